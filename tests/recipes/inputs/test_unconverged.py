"""Calculators that give numbers and say beside them that these are not converged."""

from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from refusals import refused

from dp_sim.recipes import find_path, optimize, run_nve, vibrations
from dp_sim.recipes.inputs.failed_evaluations import EvaluationError, check_converged


class Doubtful(EMT):
    """EMT that says of chosen evaluations that they did not converge, as ASE's Vasp does."""

    def __init__(self, doubtful):
        super().__init__()
        self.converged, self.evaluations, self.doubtful = None, 0, doubtful

    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        self.evaluations += 1
        self.converged = not self.doubtful(self.evaluations)


@pytest.mark.parametrize(
    "calculator",
    [
        SimpleNamespace(converged=False),
        SimpleNamespace(converged=None, mf=SimpleNamespace(converged=False)),
        SimpleNamespace(results={"converged": np.False_}),
    ],
)
def test_what_says_that_it_did_not_converge(calculator):
    with pytest.raises(EvaluationError) as error:
        check_converged(calculator)
    assert error.value.code == "evaluation-unconverged"


@pytest.mark.parametrize(
    "calculator",
    [
        EMT(),
        SimpleNamespace(converged=None),
        SimpleNamespace(converged=True, results=None),
        SimpleNamespace(converged=0),
    ],
)
def test_what_says_nothing_counts(calculator):
    check_converged(calculator)


def test_at_the_start_it_is_refused():
    with refused("calculator-failed", "Doubtful", "did not converge"):
        optimize(molecule("CO"), Doubtful(lambda number: True))


def test_on_the_way_the_step_is_shortened():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=0)
    calculator = Doubtful(lambda number: number in (4, 5))
    result = optimize(atoms, calculator)
    usual = optimize(atoms, EMT())
    assert result.converged
    assert calculator.evaluations > usual.steps + 1
    np.testing.assert_allclose(result.energy_eV, usual.energy_eV, atol=1e-3)


def test_dynamics_end_with_the_cause():
    result = run_nve(bulk("Cu", cubic=True), Doubtful(lambda number: number > 20), steps=100, temperature_K=300.0)
    assert not result.converged
    assert "did not converge" in result.cause


class DoubtfulHalfway(EMT):
    """EMT that says so wherever the last atom is above x = 1 Angstrom and below 1.5."""

    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        self.converged = not 1.0 < self.atoms.positions[-1, 0] < 1.5


def test_every_image_of_a_band_is_heard():
    """The middle one of three is neither the first that is evaluated nor the last."""
    start = fcc111("Cu", size=(2, 2, 1), vacuum=6.0)
    start += Atoms("Cu", positions=[[0.0, 0.0, start.positions[0, 2] + 2.0]])
    start.set_constraint(FixAtoms(range(4)))
    end = start.copy()
    end.positions[-1, 0] += 2.4
    keywords = {"images": 5, "relax_ends": False, "interpolation": "linear", "align": False, "progress": False}
    with pytest.raises(EvaluationError) as error:
        find_path(start, end, DoubtfulHalfway(), **keywords)
    assert error.value.code == "evaluation-failed"
    assert "image 2" in str(error.value)
    assert "did not converge" in str(error.value)


def test_every_displacement_of_a_hessian_is_heard():
    atoms = optimize(molecule("CO"), EMT(), fmax=1e-3, progress=False).atoms
    with pytest.raises(EvaluationError) as error:
        vibrations(atoms, Doubtful(lambda number: number == 4), relax=False)
    assert "did not converge" in str(error.value)
