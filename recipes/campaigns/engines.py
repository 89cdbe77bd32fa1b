"""What runs tasks: executors of concurrent.futures, of this machine or of a Dask cluster; none schedules here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from dp_sim.errors import InputError, import_optional
from dp_sim.recipes.campaigns.settings import CampaignSettings
from dp_sim.recipes.campaigns.task import stop_running

#: Seconds in which a scheduler must answer.
ANSWER_S = 20.0


@dataclass(frozen=True)
class Workers:
    """Where tasks run.

    Attributes
    ----------
    executor
        Takes calls of `run_task`.
    stop
        Lets every task that runs save its state and end.
    words
        What they are, for the log.
    """

    executor: Executor
    stop: Callable[[], object]
    words: str


@contextmanager
def workers_of(settings: CampaignSettings, count: int) -> Iterator[Workers]:
    """Open what runs `count` tasks.

    Raises
    ------
    InputError
        dask is not installed, or no scheduler answers at the address.
    """
    at_once = min(count, settings.workers or max(1, _processors() // settings.threads))
    if settings.engine == "dask":
        with _dask(settings, at_once) as workers:
            yield workers
        return
    with ThreadPoolExecutor(at_once) as executor:  # each thread waits for a process
        yield Workers(executor, stop_running, f"{at_once} at a time on this machine, {settings.threads} threads each")


@contextmanager
def _dask(settings: CampaignSettings, at_once: int) -> Iterator[Workers]:
    distributed = import_optional("distributed", extra="dask", purpose="engine dask")
    if settings.scheduler is None:
        # Threads of workers wait for processes; workers that are processes can be killed and are begun again.
        place = distributed.LocalCluster(
            n_workers=at_once, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, memory_limit=0
        )
        words = f"a Dask cluster of {at_once} workers on this machine"
    else:
        place, words = settings.scheduler, f"the Dask scheduler {settings.scheduler}"
    try:
        client = distributed.Client(place, timeout=ANSWER_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            "scheduler-unreachable",
            f"no Dask scheduler answers at {settings.scheduler} ({error}); start one, or correct it",
        ) from error
    try:
        yield Workers(client.get_executor(pure=False, retries=0), lambda: client.run(stop_running), words)
    finally:
        client.close()
        if settings.scheduler is None:
            place.close()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
