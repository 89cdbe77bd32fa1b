"""The label calculator, in a process of its own."""

from __future__ import annotations

import pickle
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import TracebackType
from typing import Any, Self

from ase import Atoms

from dp_sim.recipes.inputs.calculator_pool import recipe_of
from dp_sim.recipes.inputs.failed_evaluations import EvaluationError
from dp_sim.recipes.learning.process import Process


class Reference:
    """Labels from an ASE calculator, to be used in a `with` block. The process starts with the first label.

    Parameters
    ----------
    calculator
        An ASE calculator; the process makes its own from the same SPEC, or from a pickled copy.
    limit_s
        Time limit of one label (s); None: none.

    Raises
    ------
    InputError
        The calculator cannot be made anew in another process.
    """

    def __init__(self, calculator: Any, limit_s: float | None) -> None:
        self._recipe, self._limit_s = recipe_of(calculator), limit_s
        self._process: Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def label(self, atoms: Atoms) -> dict[str, Any]:
        """Compute energy (eV), forces (N, 3) (eV/Angstrom) and stress (6,) (eV/Angstrom^3, or None) of a structure.

        Raises
        ------
        EvaluationError
            The calculator raises, does not converge, gives a number that is not finite, dies or takes too long.
        """
        if self._process is None:
            self._process = Process("dp_sim.recipes.learning.labelling.reference_worker", self._recipe)
        label: dict[str, Any] | None
        try:
            label, why = self._process.ask(atoms, self._limit_s)
        except FutureTimeoutError:
            self._end()
            raise EvaluationError(
                "evaluation-timed-out", f"no label after {(self._limit_s or 0) / 60:g} min: the calculator was stopped"
            ) from None
        except (EOFError, OSError, pickle.UnpicklingError):
            status = self._process.status()
            self._end()
            raise EvaluationError(
                "evaluation-failed", f"the process of the calculator ended (status {status})"
            ) from None
        except BaseException:
            self._end()  # an answer that nobody waits for must not be taken for the next one's
            raise
        if label is None:
            self._end()  # calculators keep what they failed at
            raise EvaluationError("evaluation-failed", why)
        return label

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
        self._process = None
