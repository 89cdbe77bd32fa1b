"""VASP's own files: the free energy is the label, steps that did not converge are no labels, failures are sentences."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from refusals import refused
from vasp_text import CELL, FORCES, KBAR, NELM, POSITIONS, IonicStep, outcar, vasprun

from dp_sim.datasets.frames import Frame
from dp_sim.datasets.reading import read_all
from dp_sim.datasets.remarks import Remarks

STEPS = [
    IonicStep(free_energy=-7.50),
    IonicStep(electronic=NELM, reached=False, free_energy=-6.66),
    IonicStep(electronic=3, free_energy=-7.52),
]


def read(source: Path | str) -> tuple[list[Frame], list[str]]:
    remarks = Remarks()
    return read_all([source], remarks=remarks), remarks.lines()


@pytest.mark.parametrize(("name", "text"), [("OUTCAR", outcar), ("vasprun.xml", vasprun), ("run_17.out", outcar)])
def test_labels(tmp_path: Path, name: str, text: Callable[[list[IonicStep]], str]) -> None:
    """Energies are TOTEN, forces eV/Angstrom, virial = V times VASP's kbar (its sign is that of a pressure)."""
    (tmp_path / name).write_text(text(STEPS))
    frames, lines = read(tmp_path / name)
    assert [frame.energy for frame in frames] == [-7.50, -7.52]
    np.testing.assert_allclose(frames[0].positions, POSITIONS, atol=1e-5)
    np.testing.assert_allclose(frames[0].cell, CELL)
    np.testing.assert_allclose(frames[0].forces, FORCES)
    xx, yy, zz, xy, yz, zx = np.array(KBAR) / 1602.1766 * np.linalg.det(CELL)
    np.testing.assert_allclose(frames[0].virial, [[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]], rtol=1e-6)
    assert any("did not converge" in line and "(1 frame)" in line for line in lines)
    assert any("'free_energy' is taken and not 'energy'" in line and "(2 frames)" in line for line in lines)


def test_slices_leave_out_the_right_step(tmp_path: Path) -> None:
    (tmp_path / "OUTCAR").write_text(outcar(STEPS))
    assert [frame.energy for frame in read(f"{tmp_path}/OUTCAR@1:")[0]] == [-7.52]
    assert [frame.energy for frame in read(f"{tmp_path}/OUTCAR@:2")[0]] == [-7.50]
    assert [frame.energy for frame in read(f"{tmp_path}/OUTCAR@-1")[0]] == [-7.52]


def test_a_compressed_outcar(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "OUTCAR.gz", "wt") as file:
        file.write(outcar(STEPS))
    assert len(read(tmp_path / "OUTCAR.gz")[0]) == 2


def test_where_vasp_does_not_say_the_number_of_steps_decides(tmp_path: Path) -> None:
    """VASP 5 has no line about EDIFF where it was not reached."""
    (tmp_path / "OUTCAR").write_text(outcar(STEPS, says=False))
    assert [frame.energy for frame in read(tmp_path / "OUTCAR")[0]] == [-7.50, -7.52]


def test_converged_in_the_last_step_that_there_may_be(tmp_path: Path) -> None:
    (tmp_path / "OUTCAR").write_text(outcar([IonicStep(electronic=NELM, reached=True)]))
    assert len(read(tmp_path / "OUTCAR")[0]) == 1


def test_nothing_that_converged(tmp_path: Path) -> None:
    (tmp_path / "OUTCAR").write_text(outcar([STEPS[1]]))
    with refused("frames-missing", "OUTCAR", "did not converge"):
        read(tmp_path / "OUTCAR")


def test_the_work_of_the_forces_is_the_change_of_the_energy_that_is_read(tmp_path: Path) -> None:
    """A published run of titanium: the work is 0.76939 eV, TOTEN rises by 0.76931, energy(sigma->0) by 0.75407."""
    steps = [
        IonicStep(free_energy=-100.0, energy=-99.9),
        IonicStep(free_energy=-100.0 + 0.76931, energy=-99.9 + 0.75407),
    ]
    (tmp_path / "OUTCAR").write_text(outcar(steps))
    first, last = read(tmp_path / "OUTCAR")[0]
    assert first.energy is not None
    assert last.energy is not None
    assert last.energy - first.energy == pytest.approx(0.76939, abs=2e-4)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(" POTCAR:    PAW_PBE Cu 22Jun2005\n", ""),
        lambda text: text.replace("0.100000     -0.200000", "******** *********"),
        lambda text: text.replace("  free  energy   TOTEN  =", "  Edisp (eV): -0.1\n  free  energy   TOTEN  ="),
    ],
)
def test_what_ase_cannot_read_names_the_file_and_the_way_out(tmp_path: Path, damage: Callable[[str], str]) -> None:
    (tmp_path / "OUTCAR").write_text(damage(outcar(STEPS)))
    with refused("file-unreadable", "OUTCAR", "vasprun.xml", f"dpdata:vasp/outcar:{tmp_path / 'OUTCAR'}"):
        read(tmp_path / "OUTCAR")


def test_a_vasprun_that_was_cut_off_gives_its_whole_steps(tmp_path: Path) -> None:
    text = vasprun(STEPS)
    (tmp_path / "vasprun.xml").write_text(text[: text.rindex("<calculation>") + 60])
    assert [frame.energy for frame in read(tmp_path / "vasprun.xml")[0]] == [-7.50]


#: Of VASP's machine-learned force field, as it lays them out (deepmodeling/dpdata, tests/poscars/OUTCAR.ch4.ml).
MACHINE_LEARNED = """
  ML FORCE on cell =-STRESS in cart. coord. units (eV/cell)
  Direction    XX          YY          ZZ          XY          YZ          ZX
  --------------------------------------------------------------------------------------
  Total:      0.00000     0.00000     0.00000     0.00000     0.00000     0.00000
  in kB       5.00000     5.00000     5.00000     0.00000     0.00000     0.00000
  external pressure =       -1.00 kB  Pullay stress =        1.00 kB

  POSITION                                       TOTAL-FORCE (eV/Angst) (ML)
 -----------------------------------------------------------------------------------
      0.00000      0.00000      0.00000         9.000000      0.000000      0.000000
      1.80000      1.80000      0.10000        -9.000000      0.000000      0.000000
 -----------------------------------------------------------------------------------
    total drift:                                0.000000      0.000000      0.000000

  ML FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy ML TOTEN  =        -9.90000000 eV

  ML energy  without entropy=       -9.90000000  ML energy(sigma->0) =       -9.90000000

"""


def test_an_outcar_with_machine_learned_steps_is_told_of_and_read_by_dpdata(tmp_path: Path) -> None:
    """Their zeros and predictions are no labels."""
    text = outcar([STEPS[0], STEPS[2]])
    first = text.index("-" * 39 + " Iteration      2")
    (tmp_path / "OUTCAR").write_text(text[:first] + MACHINE_LEARNED + text[first:] + MACHINE_LEARNED)
    with refused("file-unreadable", "machine-learned", "dpdata:vasp/outcar"):
        read(tmp_path / "OUTCAR")
    pytest.importorskip("dpdata")
    frames, lines = read(f"dpdata:vasp/outcar:{tmp_path / 'OUTCAR'}")
    assert [frame.energy for frame in frames] == [-7.50, -7.52]
    assert not [line for line in lines if "left out" in line]


def test_a_vasprun_with_machine_learned_steps_is_told_of(tmp_path: Path) -> None:
    """They have no electronic steps, without which ASE cannot read it; dpdata can, and takes them for labels."""
    text = vasprun([STEPS[0], IonicStep(electronic=0, free_energy=-9.9), STEPS[2]])
    learning = text.replace("<incar>", '<incar><i type="logical" name="ML_LMLFF"> T  </i>')
    (tmp_path / "vasprun.xml").write_text(learning)
    with refused("file-unreadable", "machine-learned", "dpdata:vasp/outcar"):
        read(tmp_path / "vasprun.xml")
    pytest.importorskip("dpdata")
    frames, lines = read(f"dpdata:vasp/xml:{tmp_path / 'vasprun.xml'}")
    assert -9.9 not in [frame.energy for frame in frames]
    assert any("ML_LMLFF" in line and "(1 frame)" in line for line in lines)
