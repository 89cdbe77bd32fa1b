"""Point groups and symmetry numbers that textbooks give."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import read
from refusals import refused

from dp_sim.recipes import vibrations
from dp_sim.recipes.static.symmetry import molecular_symmetry, rotations_of

KNOWN = {
    "H2O": ("C2v", 2), "NH3": ("C3v", 3), "CH4": ("Td", 12), "C6H6": ("D6h", 12), "C2H6": ("D3d", 6),
    "CO2": ("Dinfh", 2), "HCN": ("Cinfv", 1), "CH3CH2OH": ("Cs", 1), "H2": ("Dinfh", 2), "C2H4": ("D2h", 4),
    "H2O2": ("C2", 2), "BF3": ("D3h", 6), "C60": ("Ih", 60), "CH3OH": ("Cs", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_groups_in_any_orientation_and_as_an_optimisation_leaves_them(name):
    pytest.importorskip("pymsym", reason="pymsym is an optional package")
    atoms = molecule(name)
    random = np.random.default_rng(5)
    atoms.rotate(random.uniform(0, 180), random.normal(size=3))
    atoms.positions += random.normal(scale=1e-3, size=(len(atoms), 3))
    assert molecular_symmetry(atoms) == KNOWN[name]


def test_isotopes_lower_the_symmetry_and_atoms_have_all():
    pytest.importorskip("pymsym", reason="pymsym is an optional package")
    methane = molecule("CH4")
    methane.set_masses([12.011, 2.014, 1.008, 1.008, 1.008])
    assert molecular_symmetry(methane) == ("C3v", 3)
    assert molecular_symmetry(Atoms("Ne")) == ("Kh", 1)


def test_a_molecule_without_symmetry():
    pytest.importorskip("pymsym", reason="pymsym is an optional package")
    chiral = Atoms("CHFClBr", [[0, 0, 0], [0.6, 0.6, 0.6], [-0.8, -0.8, 0.8], [-1, 1, -1], [1.1, -1.1, -1.1]])
    assert molecular_symmetry(chiral) == ("C1", 1)


@pytest.mark.parametrize(
    ("group", "rotations"), [("Cs", 1), ("Ci", 1), ("S4", 2), ("S6", 3), ("D2d", 4), ("Th", 12), ("T", 12), ("Oh", 24)]
)
def test_rotations_in_the_other_groups(group, rotations):
    assert rotations_of(group) == rotations


def test_without_the_package_the_message_names_the_way_out(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pymsym", None)
    with refused("package-missing", "symmetry_number", "'pymsym'", "dp-sim[symmetry]"):
        molecular_symmetry(molecule("H2O"))


@pytest.mark.parametrize("name", ["C6H6", "C2H6", "CH4", "CO2", "H2O"])
def test_molecules_relaxed_at_gfn2_have_their_symmetry_numbers(name):
    """As `vib --relax` of the default settings finds them."""
    pytest.importorskip("pymsym", reason="pymsym is an optional package")
    gfn2 = pytest.importorskip("tblite.ase", reason="tblite is an optional package").TBLite(verbosity=0)
    start = molecule(name)
    start.rattle(0.02, seed=2)
    found = vibrations(start, gfn2, relax=True)
    assert found.is_minimum
    assert found.symmetry == KNOWN[name]
    assert found.thermochemistry([298.15]).symmetry_number == KNOWN[name][1]


def test_a_complex_of_which_one_part_alone_has_a_high_symmetry():
    """Hydrogen beside benzene: within the usual tolerance libmsym finds C6v, which the hydrogen does not obey."""
    pytest.importorskip("pymsym", reason="pymsym is an optional package")
    complexed = read(Path(__file__).parents[3] / "benchmarks/reactions/h2_elimination/product.extxyz")
    assert molecular_symmetry(complexed) == ("Cs", 1)


def test_a_molecule_without_any_group_that_libmsym_can_tell(monkeypatch):
    pymsym = pytest.importorskip("pymsym", reason="pymsym is an optional package")
    asked = []

    def lost(context):
        asked.append(context)
        raise pymsym.Error("no permutation")

    monkeypatch.setattr(pymsym.Context, "find_symmetry", lost)
    with refused("symmetry-not-found", "H2O", "no permutation"):
        molecular_symmetry(molecule("H2O"))
    assert len(asked) == 3
