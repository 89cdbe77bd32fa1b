"""The label calculator, in a process of its own: what raises, hangs or dies there does not take the run with it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from ase import Atoms

from dp_sim.recipes.inputs.calculator_pool import recipe_of
from dp_sim.recipes.inputs.failed_evaluations import EvaluationError


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
        self._worker: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._lifeline: int | None = None

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
        worker = self._worker or self._start()
        try:
            label, why = self._answer(worker, atoms)
        except FutureTimeoutError:
            self._end()
            raise EvaluationError(
                "evaluation-timed-out", f"no label after {(self._limit_s or 0) / 60:g} min: the calculator was stopped"
            ) from None
        except (EOFError, OSError, pickle.UnpicklingError):
            status = worker.wait() if worker.poll() is None else worker.returncode
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

    def _answer(self, worker: subprocess.Popen[bytes], atoms: Atoms) -> tuple[dict[str, Any] | None, str]:
        assert worker.stdout is not None
        if not self._ready:
            self._ready = bool(pickle.load(worker.stdout))  # to start is not what the limit is for
        _send(worker, atoms)
        threads = ThreadPoolExecutor(1)
        try:
            answer: tuple[dict[str, Any] | None, str] = threads.submit(pickle.load, worker.stdout).result(self._limit_s)
        finally:
            threads.shutdown(wait=False)
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        kept, self._lifeline = os.pipe()
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "dp_sim.recipes.learning.reference_worker", str(kept)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(kept,),
            start_new_session=True,  # Ctrl-C is for the process that asks; and its children end with it
        )
        os.close(kept)
        _send(self._worker, self._recipe)
        return self._worker

    def _end(self) -> None:
        worker, lifeline = self._worker, self._lifeline
        self._worker = self._lifeline = None
        self._ready = False
        if worker is not None:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    with suppress(OSError):  # what was not sent is lost with the process
                        pipe.close()
        if lifeline is not None:
            os.close(lifeline)


def _send(worker: subprocess.Popen[bytes], message: Any) -> None:
    assert worker.stdin is not None
    pickle.dump(message, worker.stdin)
    worker.stdin.flush()
