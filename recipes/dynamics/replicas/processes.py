"""Runs as processes, each with one thread: as many at a time as there are processors."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from dp_sim.errors import DPSimError
from dp_sim.recipes.dynamics.settings import MEMBERS, DynamicsSettings
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar

#: Threads of each process: everything that counts them reads one of these.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENMM_CPU_THREADS"), "1")


class Beside(NamedTuple):
    """A run of its own with the settings of another.

    Attributes
    ----------
    name
        Of its directory, in that of the other.
    made_by
        How its process makes the calculator: what `calculator_recipe.recipe_of` says.
    changes
        Its settings that differ.
    """

    name: str
    made_by: Any
    changes: Mapping[str, Any]


def run_side_by_side(
    settings: DynamicsSettings, runs: Sequence[Beside], arguments: Mapping[str, Any], run: RunDirectory, what: str
) -> list[Any]:
    """Run each in its directory; return their results in this order.

    Those of a resumed run go on where each of them was.

    Parameters
    ----------
    settings
        Of the run that they belong to.
    runs
        What tells them from it.
    arguments
        What the recipe was called with.
    run
        The directory.
    what
        What they are called.

    Raises
    ------
    DPSimError
        One could not run.
    """
    own = {name: arguments[name] for name in type(settings).model_fields}
    atoms = arguments["atoms"].copy()
    with TemporaryDirectory(prefix="dp-sim-replicas-") as elsewhere:
        keywords = [
            {
                **own,
                "replicas": 1,
                "members": MEMBERS[0],
                **one.changes,
                "out": Path(elsewhere) / one.name if run.directory is None else run.part(one.name),
                "resume": run.resumed,
                "overwrite": not run.resumed,
                "progress": False,
            }
            for one in runs
        ]
        messages = [
            pickle.dumps((settings.function, atoms, one.made_by, own)) for one, own in zip(runs, keywords, strict=True)
        ]
        return _side_by_side(messages, run, what, show=bool(arguments["progress"]))


def _side_by_side(messages: list[bytes], run: RunDirectory, what: str, *, show: bool) -> list[Any]:
    """Hand each message to a process; on an interruption let each save what it has."""
    running: list[subprocess.Popen[bytes]] = []
    results: dict[int, Any] = {}
    at_once = min(len(messages), os.cpu_count() or 1)
    run.log(f"{len(messages)} {what}, {at_once} at a time")
    with ThreadPoolExecutor(at_once) as threads, progress_bar(what, total=len(messages), show=show) as advance:
        tasks = {threads.submit(_ask, message, running): number for number, message in enumerate(messages)}
        try:
            for task in as_completed(tasks):
                results[tasks[task]] = task.result()
                run.log(f"{tasks[task] + 1} of {len(messages)} {what} ended")
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
        raise DPSimError("replica-ended", f"the process of a run ended with status {process.returncode}: {last}")
    result = pickle.loads(answer)
    if isinstance(result, DPSimError):
        raise result
    return result
