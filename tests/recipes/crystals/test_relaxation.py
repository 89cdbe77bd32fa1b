"""Relaxation of crystals where the calculator fails on the way."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from failing_calculators import WORDS, Failing
from refusals import refused

from dp_sim.recipes.crystals.relaxation import relax_crystal, strained_copy


def moved_copper():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    return atoms


@pytest.mark.parametrize("cell", [False, True])
def test_a_failed_evaluation_shortens_the_step(cell):
    atoms = moved_copper()
    atoms.calc = EMT()
    usual = relax_crystal(atoms, fmax=1e-3, cell=cell)
    failing = Failing(EMT(), lambda number, _: number in (3, 4))
    atoms.calc = failing
    relaxed = relax_crystal(atoms, fmax=1e-3, cell=cell)
    assert failing.evaluations > 4
    np.testing.assert_allclose(relaxed.get_potential_energy(), usual.get_potential_energy(), atol=1e-5)


def test_a_calculator_that_goes_on_failing_ends_it():
    failing = Failing(EMT(), lambda number, _: number > 2)
    with refused("relaxation-failed", WORDS, "strained crystal"):
        strained_copy(moved_copper(), np.diag([0.01, 0, 0]), failing, 1e-3)
