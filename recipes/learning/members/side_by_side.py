"""Members trained side by side, in processes that stay for the next training."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import Any, Self

from dp_sim.errors import DPSimError
from dp_sim.recipes.learning.process import Process
from dp_sim.recipes.models.committee.processes import threads_to_use

_WORKER = "dp_sim.recipes.learning.members.member_worker"


class SideBySide:
    """Processes that train members, to be used in a `with` block; the processors are shared among them.

    Parameters
    ----------
    members
        Their number.

    Attributes
    ----------
    at_once
        How many are trained at a time.
    """

    def __init__(self, members: int) -> None:
        processors = threads_to_use()
        self.at_once = max(1, min(members, processors))
        self._threads = max(1, processors // self.at_once)
        self._all, self._idle = list[Process](), list[Process]()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._all:
            process.end()

    def train(self, tasks: Sequence[Mapping[str, Any]], on_end: Callable[[], object]) -> None:
        """Train members, each as `member_worker` is told; an interruption lets each save where it is.

        Parameters
        ----------
        tasks
            One for each member.
        on_end
            Called when a member is trained.

        Raises
        ------
        DPSimError
            What a training raised, or its process ended.
        """
        while len(self._all) < min(self.at_once, len(tasks)):
            self._all.append(Process(_WORKER, None, self._threads))
            self._idle.append(self._all[-1])
        with ThreadPoolExecutor(len(self._all)) as pool:
            try:
                for done in as_completed([pool.submit(self._ask, task) for task in tasks]):
                    if (error := done.result()) is not None:
                        raise error
                    on_end()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in self._all:
                    process.stop()
                self._all, self._idle = [], []
                raise

    def _ask(self, task: Mapping[str, Any]) -> DPSimError | None:
        process = self._idle.pop()
        try:
            error: DPSimError | None = process.ask(task)
        except (EOFError, OSError, pickle.UnpicklingError):
            return DPSimError("member-ended", f"the process that trains {task['target'].name} ended; --resume goes on")
        self._idle.append(process)
        return error
