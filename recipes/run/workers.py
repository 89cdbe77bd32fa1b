"""Where work beside this process runs: executors of concurrent.futures, of this machine or of a Dask cluster.

Their threads wait for processes; none computes, and none schedules here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from dp_sim.errors import InputError, import_optional

#: Seconds in which a scheduler must answer.
ANSWER_S = 20.0


@dataclass(frozen=True)
class Workers:
    """Where work runs.

    Attributes
    ----------
    executor
        Takes calls of functions that every worker can import.
    everywhere
        Calls a function in each process that has threads of the executor.
    words
        What they are, for the log.
    """

    executor: Executor
    everywhere: Callable[..., object]
    words: str


@contextmanager
def open_workers(engine: str, at_once: int, scheduler: str | None = None) -> Iterator[Workers]:
    """Open workers.

    Parameters
    ----------
    engine
        local or dask.
    at_once
        How many, of this machine.
    scheduler
        Address of a Dask scheduler; None: a cluster of this machine.

    Raises
    ------
    InputError
        dask is not installed, or no scheduler answers at the address.
    """
    if engine == "dask":
        with _dask(at_once, scheduler) as workers:
            yield workers
        return
    with ThreadPoolExecutor(at_once) as executor:
        yield Workers(executor, lambda function, *given: function(*given), f"{at_once} at a time on this machine")


@contextmanager
def _dask(at_once: int, scheduler: str | None) -> Iterator[Workers]:
    distributed = import_optional("distributed", extra="dask", purpose="engine dask")
    if scheduler is None:
        # Workers that are processes can be killed and are begun again; port 0: any, for there may be other clusters.
        place = distributed.LocalCluster(
            n_workers=at_once, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", memory_limit=0
        )
        words = f"a Dask cluster of {at_once} workers on this machine"
    else:
        place, words = scheduler, f"the Dask scheduler {scheduler}"
    try:
        client = distributed.Client(place, timeout=ANSWER_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            "scheduler-unreachable",
            f"no Dask scheduler answers at {scheduler} ({error}); start one, or correct it",
        ) from error
    try:
        yield Workers(client.get_executor(pure=False, retries=0), client.run, words)
    finally:
        client.close()
        if scheduler is None:
            place.close()


def processors() -> int:
    """Count the processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_to_use() -> int:
    """Count the threads that this process may take: what `--threads` set, else the processors that it may run on."""
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(given) if given.isdigit() and int(given) > 0 else processors()
