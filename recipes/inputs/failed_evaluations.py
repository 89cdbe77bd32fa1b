"""Evaluations that fail on the way, as an SCF does that does not converge: what counts as one, and the way back."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from ase.calculators.calculator import CalculatorError
from numpy.typing import NDArray

from dp_sim.errors import DPSimError, InputError, first_line

#: A step to where the calculator fails is halved so often, at most.
MOST_HALVINGS = 4
#: What to do about it.
ADVICE = "check the calculator's settings, or start elsewhere"
#: What calculators raise for a structure that they cannot evaluate; `is_failure` knows more.
_FAILURES = (
    CalculatorError,
    subprocess.SubprocessError,
    RuntimeError,
    ArithmeticError,
    np.linalg.LinAlgError,
)


class EvaluationError(DPSimError):
    """The calculator failed, and there is no earlier state to go back to."""


class Movable(Protocol):
    """What has positions that an optimiser moves: a structure, a structure with its cell, a band."""

    def get_positions(self) -> NDArray[np.float64]:
        """Return the positions."""

    def set_positions(self, positions: NDArray[np.float64], /) -> None:
        """Move it there."""


def is_failure(error: Exception) -> bool:
    """Tell whether an exception says that the calculator has no numbers for this structure.

    Else it is a mistake in a program or a full disk. GPAW and Psi4 raise errors of their own, which say "convergence"
    in the names of their classes. Ours is an `InputError`: on the way it is no user who put two atoms on one spot.
    """
    if isinstance(error, (DPSimError, NotImplementedError, RecursionError)):
        return isinstance(error, (EvaluationError, InputError))
    return isinstance(error, _FAILURES) or any("Convergence" in kind.__name__ for kind in type(error).__mro__)


def failure_words(error: Exception, when: str) -> str:
    """Say that the calculator failed, when, and with which message: the beginning of a sentence.

    Parameters
    ----------
    error
        What it raised.
    when
        "after step 12", say.
    """
    return f"the calculator failed {when} ({first_line(error)})"


def check_converged(calculator: Any) -> None:
    """Refuse numbers of which the calculator itself says that they are not converged.

    Most calculators raise an error there. Vasp's keeps `converged`, PySCF's mean field `mf.converged`, others a result
    of that name; where nothing says False, the numbers count.

    Raises
    ------
    EvaluationError
        `evaluation-unconverged`.
    """
    said = (
        getattr(calculator, "converged", None),
        getattr(getattr(calculator, "mf", None), "converged", None),
        (getattr(calculator, "results", None) or {}).get("converged"),
    )
    if any(isinstance(one, (bool, np.bool_)) and not one for one in said):
        raise EvaluationError(
            "evaluation-unconverged", f"{type(calculator).__name__} says that its electronic steps did not converge"
        )


def _calculators(target: Any) -> list[Any]:
    """Find the calculators of what is moved: of a structure, of the one in a filter, of the images of a band."""
    structures = getattr(target, "images", None) or [getattr(target, "atoms", target)]
    return [calculator for one in structures if (calculator := getattr(one, "calc", None)) is not None]


class WayBack:
    """The last positions at which a calculator gave numbers, and shorter steps from there.

    Parameters
    ----------
    target
        What is moved.
    log
        Called with a sentence at each shorter step.
    start
        What messages call the first thing evaluated.

    Attributes
    ----------
    words
        How the calculator failed at its last evaluation; empty where it did not.
    """

    def __init__(self, target: Movable, log: Callable[[str], object], start: str = "the first structure") -> None:
        self._target, self._log, self._start = target, log, start
        self._good: NDArray[np.float64] | None = None
        self._halvings = 0
        self.words = ""

    def evaluated(self) -> None:
        """Remember the positions now: the calculator has given numbers there.

        Raises
        ------
        EvaluationError
            It says that they are not converged.
        """
        for calculator in _calculators(self._target):
            check_converged(calculator)
        self._good, self._halvings, self.words = self._target.get_positions().copy(), 0, ""

    def shorten(self, error: Exception, when: str) -> bool:
        """Halve the step that led to where the calculator failed.

        Parameters
        ----------
        error
            What was raised.
        when
            As in `failure_words`.

        Returns
        -------
        bool
            False after `MOST_HALVINGS` in a row, or where there was no step to halve: then the target is back at the
            last positions that were evaluated.

        Raises
        ------
        Exception
            `error` itself where it is no failure of the calculator; where nothing has been evaluated yet, `error` if it
            is an `InputError`, else an `EvaluationError`.
        """
        if not is_failure(error) or (self._good is None and isinstance(error, InputError)):
            raise error
        if self._good is None:
            raise failed_at_start(error, self._start) from error
        self.words = failure_words(error, when)
        there = self._target.get_positions()
        if self._halvings == MOST_HALVINGS or np.array_equal(there, self._good):
            self._target.set_positions(self._good)
            return False
        self._halvings += 1
        self._log(f"{self.words}: the step is halved")
        self._target.set_positions((self._good + there) / 2)
        return True

    @property
    def cause(self) -> str:
        """Why a run ended with the calculator's failure, as a sentence; empty where it did not."""
        if not self.words:
            return ""
        shorter = f", in {self._halvings} shorter steps too" if self._halvings else ""
        return f"{self.words}{shorter}; {ADVICE}"


def failed_at_start(error: Exception, start: str) -> EvaluationError:
    """Make the error for a calculator that fails at `start`, before there is any good state."""
    return EvaluationError(
        "evaluation-failed",
        f"{failure_words(error, f'at {start}')}; {ADVICE}",
    )
