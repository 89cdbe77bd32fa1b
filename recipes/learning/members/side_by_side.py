"""Members trained side by side, in processes that stay for the next training."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import as_completed
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from dp_sim.errors import DPSimError
from dp_sim.recipes.run.kept import end_kept, forget, kept, stop_kept
from dp_sim.recipes.run.process import Process
from dp_sim.recipes.run.workers import Workers


class SideBySide:
    """Workers whose processes train members, to be used in a `with` block.

    Parameters
    ----------
    place
        The workers.
    at_once
        How many members they train at a time.
    threads
        Of each process; None: those of the worker.

    Attributes
    ----------
    at_once
        As given.
    """

    def __init__(self, place: Workers, at_once: int, threads: int | None) -> None:
        self.at_once = at_once
        self._place, self._threads, self._owner = place, threads, uuid4().hex

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._place.everywhere(end_kept, self._owner)

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
        given = (self._owner, self._threads, os.getcwd())
        futures = [self._place.executor.submit(_train, *given, task) for task in tasks]
        try:
            for done in as_completed(futures):
                if (error := done.result()) is not None:
                    raise error
                on_end()
        except BaseException:
            for future in futures:
                future.cancel()
            self._place.everywhere(stop_kept, self._owner)
            self._owner = uuid4().hex  # what comes next starts processes of its own
            raise


def _train(owner: str, threads: int | None, directory: str, task: Mapping[str, Any]) -> DPSimError | None:
    """Train a member in the process that this thread of a worker keeps."""
    process = kept(owner, partial(Process, "dp_sim.recipes.learning.members.member_worker", None, threads, directory))
    try:
        error: DPSimError | None = process.ask(task)
    except (EOFError, OSError, ValueError, pickle.UnpicklingError):
        forget(owner)
        return DPSimError("member-ended", f"the process that trains {task['target'].name} ended; --resume goes on")
    return error
