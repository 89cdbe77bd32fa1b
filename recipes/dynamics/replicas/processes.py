"""Replicas as processes, each with one thread: as many at a time as there are processors."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dp_sim.errors import DPSimError
from dp_sim.recipes.dynamics.settings import DynamicsSettings
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar

#: Threads of each process: everything that counts them reads one of these.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENMM_CPU_THREADS"), "1")


def run_replicas(
    settings: DynamicsSettings, made_by: Any, arguments: Mapping[str, Any], run: RunDirectory, count: int
) -> list[Any]:
    """Run the replicas, each in a directory of its own, `replica-1` and so on; return their results in this order.

    Replica k has the seed of the run plus k - 1. Those of a resumed run go on where each of them was.

    Parameters
    ----------
    settings
        Of the run.
    made_by
        How each process makes its calculator: what `calculator_recipe.recipe_of` says.
    arguments
        What the recipe was called with.
    run
        The directory.
    count
        How many.

    Raises
    ------
    DPSimError
        A replica could not run.
    """
    own = {name: arguments[name] for name in type(settings).model_fields}
    atoms = arguments["atoms"].copy()
    with TemporaryDirectory(prefix="dp-sim-replicas-") as elsewhere:
        keywords = [
            {
                **own,
                "replicas": 1,
                "seed": settings.seed + number,
                "out": (run.directory or Path(elsewhere)) / f"replica-{number + 1}",
                "resume": run.resumed,
                "overwrite": not run.resumed,
                "progress": False,
            }
            for number in range(count)
        ]
        messages = [pickle.dumps((settings.function, atoms, made_by, one)) for one in keywords]
        return _side_by_side(messages, run, show=bool(arguments["progress"]))


def _side_by_side(messages: list[bytes], run: RunDirectory, *, show: bool) -> list[Any]:
    """Hand each message to a process; on an interruption let each save what it has."""
    running: list[subprocess.Popen[bytes]] = []
    results: dict[int, Any] = {}
    at_once = min(len(messages), os.cpu_count() or 1)
    run.log(f"{len(messages)} replicas, {at_once} at a time")
    with ThreadPoolExecutor(at_once) as threads, progress_bar("replicas", total=len(messages), show=show) as advance:
        tasks = {threads.submit(_ask, message, running): number for number, message in enumerate(messages)}
        try:
            for task in as_completed(tasks):
                results[tasks[task]] = task.result()
                run.log(f"replica {tasks[task] + 1} ended")
                advance(1)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            for process in running:
                process.terminate()  # SIGTERM: a run saves its checkpoint
            raise
    return [results[number] for number in range(len(messages))]


def _ask(message: bytes, running: list[subprocess.Popen[bytes]]) -> Any:
    process = subprocess.Popen(
        [sys.executable, "-m", "dp_sim.recipes.dynamics.replicas.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **_ONE_THREAD},
        start_new_session=True,  # Ctrl-C is for the process that waits
    )
    running.append(process)
    answer, said = process.communicate(message)
    running.remove(process)
    if process.returncode or not answer:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise DPSimError("replica-ended", f"the process of a replica ended with status {process.returncode}: {last}")
    result = pickle.loads(answer)
    if isinstance(result, DPSimError):
        raise result
    return result
