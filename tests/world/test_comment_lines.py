"""Comment lines of other programs, as public reports and manuals show them: each was read as something else once.

ASE's reader of extended XYZ keeps a word without `=` as True, and takes only `Lattice` and `Properties` for cell and
columns: an energy of 1 eV, a crystal as a cluster, forces that are gone.
"""

from pathlib import Path

import pytest
from ase.io import read as ase_read
from ase.units import Hartree
from refusals import refused

from dp_sim.config.label_keys import LabelKeys
from dp_sim.datasets.frames import Frame
from dp_sim.datasets.reading import read_frames
from dp_sim.datasets.remarks import Remarks
from dp_sim.recipes.inputs.structures import check_structure

WATER = "O 0.0 0.0 0.0\nH 0.0 0.76 0.59\nH 0.0 -0.76 0.59\n"
BOX = "10 0 0 0 10 0 0 0 10"


def data(folder: Path, comment: str, **keys: str) -> tuple[Frame, Remarks]:
    (folder / "water.xyz").write_text(f"3\n{comment}\n{WATER}")
    remarks = Remarks()
    (frame,) = read_frames(folder / "water.xyz", labelled=False, keys=LabelKeys(**keys), remarks=remarks)
    return frame, remarks


@pytest.mark.parametrize(
    ("comment", "key"),
    [
        ("Coordinates from ORCA-job water E -76.323466892", "E"),  # ORCA, *_trj.xyz
        (" energy: -5.070544440612 gnorm: 0.000057 xtb: 6.6.1 (8d0f1dd)", "energy:"),  # xtb, xtbopt.xyz
        ("0 1 energy -76.3", "energy"),
    ],
)
def test_a_word_is_no_energy(tmp_path, comment, key):
    """It was 1 eV."""
    frame, remarks = data(tmp_path, comment)
    assert frame.energy is None
    assert [line for line in remarks.lines() if f"'{key}'" in line]
    with refused("label-key-missing", key):
        data(tmp_path, comment, energy=key)


def test_cp2k_writes_hartree_into_its_comment_line(tmp_path):
    """PROJECT-pos-1.xyz; also where the user names E as the energy."""
    comment = " i =        0, time =        0.000, E =       -17.1643447508"
    for keys in ({}, {"energy": "E"}):
        frame, remarks = data(tmp_path, comment, **keys)
        assert frame.energy == pytest.approx(-17.1643447508 * Hartree)
        assert any("hartree" in line for line in remarks.lines())


@pytest.mark.parametrize("comment", ["-112.4234756903 converged=true", "        -5.07054444"])
def test_a_bare_number_is_no_label(tmp_path, comment):
    """ORCA's GOAT and CREST (pprcht/irmsd #23)."""
    (tmp_path / "ensemble.xyz").write_text(f"3\n{comment}\n{WATER}")
    with refused("labels-missing"):
        read_frames(tmp_path / "ensemble.xyz")


@pytest.mark.parametrize(
    ("comment", "unit"),
    [
        ("energy=-47900.1 kcal/mol", "kcal/mol"),
        ("Energy = -76.32 Hartree", "Hartree"),
        ("E = -76.32 a.u.", "a.u."),
    ],
)
def test_a_unit_behind_the_energy_is_not_passed_over(tmp_path, comment, unit):
    with refused("unit-in-words", f"energy-unit={unit}"):
        data(tmp_path, comment)
    frame, _ = data(tmp_path, f"{comment.rpartition(' ')[0]} energy-unit={unit}")
    assert frame.energy != pytest.approx(float(comment.split("=")[1].split()[0]))


def test_gold_and_electronvolts_are_no_other_unit(tmp_path):
    for comment in ("Au on water energy=-3.0", "energy=-3.0 eV"):
        assert data(tmp_path, comment)[0].energy == -3.0


@pytest.mark.parametrize(
    ("comment", "code"),
    [
        (f'lattice="{BOX}" energy=-1.0', "cell-unread"),  # GPUMD takes any case, ASE one
        (f'cell="{BOX}" energy=-1.0', "cell-unread"),
        ('box="10 10 10"', "cell-unread"),
        ("# CELL(abcABC): 25.0 25.0 25.0 90.0 90.0 90.0 Step: 0 Bead: 0 positions{angstrom}", "cell-unread"),  # i-PI
        ("Step: 0 Bead: 0 positions{atomic_unit}", "units-unsupported"),  # i-PI
        ("properties=species:S:1:pos:R:3:forces:R:3 energy=-1.0", "columns-unread"),  # GPUMD
    ],
)
def test_cells_units_and_columns_in_another_form_are_refused(tmp_path, comment, code):
    """As data, and as a structure, which a recipe would run as a cluster."""
    with refused(code):
        data(tmp_path, comment)
    with refused(code):
        check_structure(ase_read(tmp_path / "water.xyz"))


@pytest.mark.parametrize(
    "comment", [f'Lattice="{BOX}" cell="{BOX}"', "cell=relaxed", "positions{angstrom}", "box of 10"]
)
def test_words_about_a_cell_are_none(tmp_path, comment):
    data(tmp_path, comment)
    check_structure(ase_read(tmp_path / "water.xyz"))


def test_forces_on_fixed_atoms_stay_as_they_were_computed(tmp_path):
    """ASE's get_forces sets them to zero where the file fixes atoms (ACEsuit/mace #1448)."""
    columns = "Properties=species:S:1:pos:R:3:forces:R:3:move_mask:L:1"
    (tmp_path / "fixed.extxyz").write_text(f"2\n{columns} energy=-10.0\nO 0 0 0 0 0 0.1 F\nH 0 0 0.97 0 0 -0.1 T\n")
    (frame,) = read_frames(tmp_path / "fixed.extxyz")
    assert frame.forces is not None
    assert frame.forces.tolist() == [[0, 0, 0.1], [0, 0, -0.1]]


def test_a_virial_stress_is_named(tmp_path):
    """Kilobar in the order xx yy zz xy yz xz in the mlearn data (materialyzeai/mlearn #64): for no one to guess."""
    _, remarks = data(tmp_path, 'energy=-1.0 virial_stress="1 2 3 4 5 6"')
    assert any("'virial_stress'" in line for line in remarks.lines())


def test_a_number_without_a_name_is_told(tmp_path):
    """CREST's and GOAT's ensembles: the energy in hartree is the whole comment line."""
    water = "3\n{}\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"
    (tmp_path / "crest_conformers.xyz").write_text(
        water.format("      -5.07054440") + water.format("      -5.07021034")
    )
    remarks = Remarks()
    frames = read_frames(tmp_path / "crest_conformers.xyz", labelled=False, remarks=remarks)
    assert [frame.energy for frame in frames] == [None, None]
    (told,) = [sentence for sentence in remarks.decisions if "number without a name" in sentence]
    assert remarks.decisions[told] == 2
    (tmp_path / "named.xyz").write_text(water.format("energy=-5.07054440 energy-unit=hartree"))
    (frame,) = read_frames(tmp_path / "named.xyz")
    assert frame.energy == pytest.approx(-5.07054440 * Hartree)
