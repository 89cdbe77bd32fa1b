"""What counts as a failed evaluation, and the way back to the last good one."""

import subprocess

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, SCFError
from refusals import refused

from dp_sim.errors import InputError, TrainingError
from dp_sim.recipes.inputs.failed_evaluations import MOST_HALVINGS, WayBack, is_failure


class KohnShamConvergenceError(Exception):
    """As GPAW names it."""


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (CalculationFailed("SCF not converged"), True),
        (SCFError(), True),
        (subprocess.CalledProcessError(139, "orca"), True),
        (KohnShamConvergenceError(), True),
        (np.linalg.LinAlgError("singular"), True),
        (InputError("atoms-coincide", "atoms 0 and 1 are on one spot"), True),
        (TrainingError("any", "any"), False),
        (NotImplementedError(), False),
        (KeyError("energy"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_what_is_a_failure(error, failure):
    assert is_failure(error) is failure


def test_steps_are_halved_a_few_times_and_then_taken_back():
    atoms, lines = Atoms("H"), []
    way_back = WayBack(atoms, lines.append)
    way_back.evaluated()
    atoms.positions[0, 0] = 1.0
    for halving in range(1, MOST_HALVINGS + 1):
        assert way_back.shorten(CalculationFailed("no"), "after step 0")
        assert atoms.positions[0, 0] == 0.5**halving
    assert not way_back.shorten(CalculationFailed("no"), "after step 0")
    assert atoms.positions[0, 0] == 0.0
    assert f"{MOST_HALVINGS} shorter steps" in way_back.cause
    assert len(lines) == MOST_HALVINGS


def test_a_good_evaluation_begins_anew():
    atoms = Atoms("H")
    way_back = WayBack(atoms, print)
    for _ in range(3 * MOST_HALVINGS):
        way_back.evaluated()
        atoms.positions[0, 0] += 1.0
        assert way_back.shorten(CalculationFailed("no"), "after step 0")
    way_back.evaluated()
    assert way_back.cause == ""


def test_where_there_was_no_step_none_is_halved():
    way_back = WayBack(Atoms("H"), print)
    way_back.evaluated()
    assert not way_back.shorten(CalculationFailed("no"), "in the Hessian")
    assert "shorter" not in way_back.cause


def test_what_fails_before_anything_was_evaluated():
    with refused("evaluation-failed", "the first path", "image 4"):
        WayBack(Atoms("H"), print, "the first path").shorten(CalculationFailed("image 4: no"), "after step 0")
    with refused("atoms-coincide"):
        WayBack(Atoms("H"), print).shorten(InputError("atoms-coincide", "atoms 0 and 1"), "after step 0")


def test_a_mistake_in_a_program_goes_on():
    way_back = WayBack(Atoms("H"), print)
    way_back.evaluated()
    with pytest.raises(KeyError):
        way_back.shorten(KeyError("energy"), "after step 0")
