"""The label calculator, in a process of its own, or in one for each of several workers."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from ase import Atoms

from dp_sim.recipes.inputs.calculator_recipe import Recipe, recipe_of
from dp_sim.recipes.inputs.failed_evaluations import EvaluationError
from dp_sim.recipes.run.kept import end_kept, kept
from dp_sim.recipes.run.process import Process
from dp_sim.recipes.run.workers import Workers

#: A label, or why there is none.
Outcome = dict[str, Any] | EvaluationError


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
        self._process = _InProcess(recipe_of(calculator), limit_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.end()

    def label(self, atoms: Atoms) -> dict[str, Any]:
        """Compute energy (eV), forces (N, 3) (eV/Angstrom) and stress (6,) (eV/Angstrom^3, or None) of a structure.

        Raises
        ------
        EvaluationError
            The calculator raises, does not converge, gives a number that is not finite, dies or takes too long.
        """
        return self._process.label(atoms)

    def labels(self, structures: Sequence[Atoms]) -> Iterator[tuple[int, Outcome]]:
        """Yield number and label of each structure, or why there is none, in the order in which they are done."""
        for number, atoms in enumerate(structures):
            try:
                yield number, self.label(atoms)
            except EvaluationError as error:
                yield number, error


class References(Reference):
    """The same by several workers, each with a process of its own.

    Parameters
    ----------
    calculator, limit_s
        As above.
    place
        The workers.
    at_once
        Labels at a time; None: as many as the workers take.
    threads
        Of each process; None: those of the worker.
    """

    def __init__(
        self, calculator: Any, limit_s: float | None, place: Workers, at_once: int | None, threads: int | None
    ) -> None:
        self._place, self._at_once, self._owner = place, at_once, uuid4().hex
        self._how = (recipe_of(calculator), limit_s, threads, os.getcwd())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._place.everywhere(end_kept, self._owner)

    def label(self, atoms: Atoms) -> dict[str, Any]:
        """Compute one label."""
        ((_, outcome),) = self.labels([atoms])
        if isinstance(outcome, EvaluationError):
            raise outcome
        return outcome

    def labels(self, structures: Sequence[Atoms]) -> Iterator[tuple[int, Outcome]]:
        """Yield labels as they are done, so many at a time."""
        left, at_once = iter(enumerate(structures)), self._at_once or len(structures)
        waiting: dict[Future[Outcome], int] = {}
        try:
            while True:
                while len(waiting) < at_once and (one := next(left, None)) is not None:
                    waiting[self._place.executor.submit(_label, self._owner, *self._how, one[1])] = one[0]
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    number = waiting.pop(future)
                    yield number, _outcome(future)
        finally:
            for future in waiting:
                future.cancel()
            if waiting:
                self._place.everywhere(end_kept, self._owner)  # nobody waits for what they compute
                self._owner = uuid4().hex


def _label(
    owner: str, recipe: Recipe, limit_s: float | None, threads: int | None, directory: str, atoms: Atoms
) -> Outcome:
    """Compute a label in the process that this thread of a worker keeps."""
    try:
        return kept(owner, partial(_InProcess, recipe, limit_s, threads, directory)).label(atoms)
    except EvaluationError as error:
        return error


def _outcome(future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except Exception as error:  # a worker that was killed takes its label with it, by an error of its library
        return EvaluationError("evaluation-failed", f"its worker was lost ({type(error).__name__}: {error})")


class _InProcess:
    """A process with the calculator, made when it is needed, and anew after it failed."""

    def __init__(
        self, recipe: Recipe, limit_s: float | None, threads: int | None = None, directory: str | None = None
    ) -> None:
        self._limit_s = limit_s
        self._make = partial(Process, "dp_sim.recipes.learning.labelling.reference_worker", recipe, threads, directory)
        self._process: Process | None = None

    def label(self, atoms: Atoms) -> dict[str, Any]:
        if self._process is None:
            self._process = self._make()
        label: dict[str, Any] | None
        try:
            label, why = self._process.ask(atoms, self._limit_s)
        except FutureTimeoutError:
            self.end()
            raise EvaluationError(
                "evaluation-timed-out", f"no label after {(self._limit_s or 0) / 60:g} min: the calculator was stopped"
            ) from None
        except (EOFError, OSError, pickle.UnpicklingError):
            status = self._process.status()
            self.end()
            raise EvaluationError(
                "evaluation-failed", f"the process of the calculator ended (status {status})"
            ) from None
        except BaseException:
            self.end()  # an answer that nobody waits for must not be taken for the next one's
            raise
        if label is None:
            self.end()  # calculators keep what they failed at
            raise EvaluationError("evaluation-failed", why)
        return label

    def end(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.end()
        self._process = None

    stop = end
