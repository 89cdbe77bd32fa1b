"""Input files of other programs with statements that ASE's readers pass over: acted on, noted or refused."""

from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from dp_sim.cli.support.structure_files import read_structure
from dp_sim.structures.stated import check_occupancy, notes_of, stated_charge, stated_multiplicity

GAUSSIAN = "# HF/STO-3G {route}\n\nwater\n\n0 1\nO 0.0 0.0 0.119\nH{iso} 0.0 0.763 -0.477\nH{iso} 0.0 -0.763 -0.477\n\n"
ESPRESSO = """&SYSTEM
 ibrav=0, nat=3, ntyp=2, ecutwfc=30{system}
/
ATOMIC_SPECIES
O 15.9994 O.pbe.UPF
H {mass} H.pbe.UPF ! heavy water
CELL_PARAMETERS angstrom
10 0 0
0 10 0
0 0 10
ATOMIC_POSITIONS angstrom
O 5 5 5.119 0 0 0
H 5 5.763 4.523
H 5 4.237 4.523
K_POINTS gamma
"""
COORD = "{coord}\n 0.0 0.0 0.2249 o\n 0.0 1.4419 -0.9014 h\n 0.0 -1.4419 -0.9014 h\n{more}$end\n"
SHELX = (
    "TITL x\nCELL 1 5 6 7 90 90 90\n{symmetry}SFAC Cu Ni\nCu 1 0.0 0.0 0.0 {share} 0.05\nNi 2 0.5 0.5 0.5 11.0\nEND\n"
)
AIMS = "lattice_vector 10 0 0\nlattice_vector 0 10 0\nlattice_vector 0 0 10\n{held}atom 5 5 5 O\natom 5 5.7 4.5 H\n"
MOLFILE = """water
  x

  3  2  0  0  0  0            999 V2000
    0.0000    0.0000    0.1190 O   0  0
    0.0000    0.7630   -0.4770 H   0  0
    0.0000   -0.7630   -0.4770 H   0  0
  1  2  1  0
  1  3  1  0
M  ISO  2   2   2   3   3
M  END
"""


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_isotopes_of_a_gaussian_input_are_masses(tmp_path: Path) -> None:
    """Frequencies of D2O were those of H2O."""
    atoms = read_structure(write(tmp_path, "water.gjf", GAUSSIAN.format(route="", iso="(Iso=2)")))
    assert atoms.get_masses() == pytest.approx([15.999, 2.0141, 2.0141], abs=1e-3)
    assert any("Iso=" in note for note in notes_of(atoms))
    plain = read_structure(write(tmp_path, "plain.gjf", GAUSSIAN.format(route="", iso="")))
    assert "masses" not in plain.arrays


@pytest.mark.parametrize("route", ["units=au", "Units=(AU,Rad)", "Freq Units(Bohr)"])
def test_bohr_in_a_gaussian_input_is_refused(tmp_path: Path, route: str) -> None:
    with refused("units-unsupported", "water.com"):
        read_structure(write(tmp_path, "water.com", GAUSSIAN.format(route=route, iso="")))


def test_masses_of_quantum_espresso_are_taken(tmp_path: Path) -> None:
    atoms = read_structure(write(tmp_path, "water.pwi", ESPRESSO.format(system="", mass="2.014")))
    assert atoms.get_masses() == pytest.approx([15.999, 2.014, 2.014])
    assert any("ATOMIC_SPECIES" in note for note in notes_of(atoms))
    usual = read_structure(write(tmp_path, "usual.pwi", ESPRESSO.format(system="", mass="1.00794")))
    assert "masses" not in usual.arrays
    assert not notes_of(usual)


def test_the_magnetisation_of_quantum_espresso_is_a_spin(tmp_path: Path) -> None:
    text = ESPRESSO.format(system=", nspin=2, tot_magnetization=2.0", mass="1.008")
    assert stated_multiplicity(read_structure(write(tmp_path, "water.pwi", text))) == 3


@pytest.mark.parametrize(
    ("coord", "more", "code"),
    [
        ("$coord angs", "", "units-unsupported"),
        ("$coord frac", "", "units-unsupported"),
        ("$coord", "$periodic 3\n$lattice bohr\n 20 0 0\n 0 20 0\n 0 0 20\n", "cell-unread"),
        ("$coord", "$periodic 3\n$cell\n 20 20 20 90 90 90\n", "cell-unread"),
    ],
)
def test_a_coord_file_with_a_cell_or_a_unit_is_refused(tmp_path: Path, coord: str, more: str, code: str) -> None:
    """A crystal was read as a cluster, Angstrom as bohr."""
    with refused(code, "coord"):
        read_structure(write(tmp_path, "coord", COORD.format(coord=coord, more=more)))


def test_charge_and_spin_of_a_coord_file_are_taken(tmp_path: Path) -> None:
    text = COORD.format(coord="$coord", more="$periodic 0\n$eht charge=1 unpaired=1\n")
    atoms = read_structure(write(tmp_path, "coord", text))
    assert (stated_charge(atoms), stated_multiplicity(atoms)) == (1.0, 2)
    assert np.ptp(atoms.positions[:, 1]) == pytest.approx(1.526, abs=1e-3)  # bohr were converted


@pytest.mark.parametrize("symmetry", ["LATT 1\n", "LATT -1\nSYMM -X,-Y,Z\n", "LATT -2\n"])
def test_a_shelx_file_that_leaves_atoms_to_symmetry_is_refused(tmp_path: Path, symmetry: str) -> None:
    with refused("symmetry-unread", "x.res"):
        read_structure(write(tmp_path, "x.res", SHELX.format(symmetry=symmetry, share="11.0")))


def test_occupancies_of_a_shelx_file_are_read(tmp_path: Path) -> None:
    for share in ("0.5", "10.5"):
        with refused("occupancy-partial", "Cu"):
            read_structure(write(tmp_path, "x.res", SHELX.format(symmetry="LATT -1\n", share=share)))
    whole = read_structure(write(tmp_path, "y.res", SHELX.format(symmetry="LATT -1\n", share="1.0")))
    check_occupancy(whole)
    assert len(whole) == 2


@pytest.mark.filterwarnings("ignore:FHI-aims IO")
def test_a_held_lattice_vector_of_aims_fixes_no_atom(tmp_path: Path) -> None:
    """ASE fixed the last atom."""
    with refused("constraint-unread", "geometry.in"):
        read_structure(write(tmp_path, "geometry.in", AIMS.format(held="  constrain_relaxation .true.\n")))
    held = AIMS.format(held="") + "  constrain_relaxation .true.\n"
    (one,) = read_structure(write(tmp_path, "geometry.in", held)).constraints
    assert list(one.get_indices()) == [1]


@pytest.mark.parametrize("column", ["mass:R:1", "vel:R:3", "velocities:R:3", "fixed:I:1"])
def test_columns_under_other_names_are_noted(tmp_path: Path, column: str) -> None:
    name, _, width = column.split(":")
    row = " 1" * int(width)
    text = f"2\nProperties=species:S:1:pos:R:3:{column}\nH 0 0 0{row}\nH 0 0 0.74{row}\n"
    atoms = read_structure(write(tmp_path, "h2.xyz", text))
    assert any(f"'{name}'" in note for note in notes_of(atoms))


def test_every_isotope_of_a_file_has_its_mass(tmp_path: Path) -> None:
    """The first one only was set."""
    molfile = read_structure(write(tmp_path, "water.mol", MOLFILE))
    water = read_structure(write(tmp_path, "water.xyz", "3\n\nO 0 0 0\nD 0 0.7 0.5\nT 0 -0.7 0.5\n"))
    for atoms in (molfile, water):
        assert atoms.get_masses() == pytest.approx([15.999, 2.014, 3.016], abs=1e-3)
