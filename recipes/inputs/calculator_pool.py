"""Several processes, each with a calculator of its own, that share the evaluations of one."""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.recipes.inputs.calculator_recipe import recipe_of
from dp_sim.recipes.inputs.failed_evaluations import EvaluationError


class Evaluated(NamedTuple):
    """What one evaluation gave: eV, (N, 3) eV/Angstrom, and (3,) e Angstrom where it was asked for."""

    energy: float
    forces: NDArray[np.float64]
    dipole: NDArray[np.float64] | None


class CalculatorPool:
    """Processes that evaluate structures, to be used in a `with` block.

    Parameters
    ----------
    calculator
        An ASE calculator; each process makes its own from the same SPEC, or from a pickled copy.
    processes
        How many. They share the processors: each has its part of the threads that this process may take.

    Raises
    ------
    InputError
        The calculator can be made anew in no way.
    """

    def __init__(self, calculator: Any, processes: int) -> None:
        self._recipe, self._processes = recipe_of(calculator), processes
        self._free: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        threads = max(1, int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)) // self._processes)
        for _ in range(self._processes):
            worker = subprocess.Popen(
                [sys.executable, "-m", "dp_sim.recipes.inputs.calculator_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
                start_new_session=True,  # Ctrl-C is for the process that asks
            )
            self._all.append(worker)
            _send(worker, self._recipe)
            self._free.put(worker)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._all:
            worker.kill()
            worker.communicate()

    def evaluate(
        self, groups: Sequence[Callable[[], Sequence[Atoms]]], *, dipole: bool
    ) -> Iterator[tuple[int, list[Evaluated]]]:
        """Yield the number of a group of structures and what they gave, in the order in which they are done.

        Parameters
        ----------
        groups
            Each makes its structures when it is their turn.
        dipole
            Ask for the dipole too.

        Raises
        ------
        EvaluationError
            The calculator fails at one of them.
        """
        with ThreadPoolExecutor(self._processes) as threads:
            tasks = {threads.submit(self._ask, group, dipole): number for number, group in enumerate(groups)}
            try:
                for task in as_completed(tasks):
                    yield tasks[task], task.result()
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                for worker in self._all:
                    worker.kill()
                raise

    def _ask(self, group: Callable[[], Sequence[Atoms]], dipole: bool) -> list[Evaluated]:
        worker = self._free.get()
        try:
            _send(worker, ([bare(atoms) for atoms in group()], dipole))
            assert worker.stdout is not None
            answer = pickle.load(worker.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise EvaluationError("evaluation-failed", f"a process with a calculator ended: {error}") from error
        finally:
            self._free.put(worker)
        if isinstance(answer, str):
            raise EvaluationError("evaluation-failed", answer)
        return [Evaluated(*values) for values in answer]


def bare(atoms: Atoms) -> Atoms:
    """Copy a structure without its constraints, which forces take no notice of here."""
    copy = atoms.copy()
    copy.set_constraint()
    return copy


def _send(worker: subprocess.Popen[bytes], message: Any) -> None:
    assert worker.stdin is not None
    pickle.dump(message, worker.stdin)
    worker.stdin.flush()
