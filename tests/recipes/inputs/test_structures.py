"""Structures that a recipe must refuse, each with one sentence."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from refusals import refused

from dp_sim.recipes.inputs.identity import structures_sha256
from dp_sim.recipes.inputs.structures import check_structure, prepare_atoms


def with_nan() -> Atoms:
    atoms = molecule("H2O")
    atoms.positions[1, 2] = np.nan
    return atoms


@pytest.mark.parametrize(
    ("atoms", "refusal"),
    [
        ("water.xyz", ("structure-kind", "ase.Atoms")),
        (Atoms(), ("atoms-missing",)),
        (with_nan(), ("position-not-finite", "1")),
        (Atoms("H2", [[0, 0, 0], [0, 0, 1e-4]]), ("atoms-coincide", "0", "1")),
        (Atoms("H2", [[0, 0, 0.0], [0, 0, 5.0]], cell=[5, 5, 5], pbc=True), ("atoms-coincide", "0", "1")),
        (Atoms("H", pbc=True), ("cell-without-volume",)),
        (
            Atoms("H192", np.random.default_rng(0).uniform(0, 0.1, (192, 3)), cell=[0.1] * 3, pbc=True),
            ("atoms-too-dense", "192", "0"),
        ),
        (Atoms("H", cell=[5, 5, 0], pbc=True), ("cell-without-volume",)),
        (Atoms("H", cell=[[5, 0, 0], [0, 5, 0], [5, 5, 0]], pbc=True), ("cell-without-volume",)),
        (Atoms("H", cell=[[5, 0, 0], [5, 1e-7, 0], [0, 0, 5]], pbc=(1, 1, 0)), ("cell-without-volume",)),
        (Atoms("H", cell=[5, np.inf, 5], pbc=True), ("cell-not-finite",)),
    ],
)
def test_bad_structures(atoms, refusal):
    with refused(*refusal):
        check_structure(atoms, "water")


@pytest.mark.parametrize(
    "atoms",
    [
        Atoms("H"),
        molecule("CO2"),
        bulk("Cu"),
        fcc111("Cu", (1, 1, 2), vacuum=5, periodic=False),
        Atoms("H", cell=[3, 0, 0], pbc=(True, False, False)),
        Atoms("H", cell=[[5, 0, 0], [0, 5, 0], [5, 5, 0]], pbc=(1, 1, 0)),
    ],
)
def test_good_structures_come_back_as_a_copy(atoms):
    checked = check_structure(atoms)
    assert checked == atoms
    assert checked is not atoms


def test_an_element_that_the_calculator_lacks_is_bad_input():
    with refused("calculator-failed", "EMT"):
        prepare_atoms(Atoms("U"), EMT())


def test_numbers_that_are_not_finite_are_bad_input():
    class Broken(EMT):
        def calculate(self, *args, **keywords):
            super().calculate(*args, **keywords)
            self.results["energy"] = np.nan

    with refused("calculator-not-finite"):
        prepare_atoms(molecule("H2O"), Broken())


def test_the_evaluation_is_not_paid_for_twice():
    class Counting(EMT):
        calls = 0

        def calculate(self, *args, **keywords):
            Counting.calls += 1
            super().calculate(*args, **keywords)

    atoms = prepare_atoms(molecule("H2O"), Counting())
    atoms.get_forces()
    atoms.get_potential_energy()
    assert Counting.calls == 1


def test_the_hash_sees_everything_that_a_run_depends_on():
    water = molecule("H2O")
    hashes = {structures_sha256([water]), structures_sha256([water, water])}
    moved, heavier, boxed, moving, fixed = (water.copy() for _ in range(5))
    moved.positions[0, 0] = np.nextafter(moved.positions[0, 0], 1)
    heavier.numbers[0] = 16
    boxed.cell = [5, 5, 5]
    moving.set_momenta(np.ones((3, 3)))
    fixed.set_constraint(FixAtoms([0]))
    hashes |= {structures_sha256([atoms]) for atoms in (moved, heavier, boxed, moving, fixed)}
    assert len(hashes) == 7
    assert structures_sha256([water.copy()]) in hashes
