"""Members as processes: as many at a time as there are processors, which share the threads."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import IO

from dp_sim.config.training import TrainConfig
from dp_sim.errors import DPSimError, InputError
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import Advance, progress_bars


def train_members(
    members: Sequence[TrainConfig], directories: Sequence[Path], run: RunDirectory, *, strict: bool, show: bool
) -> int:
    """Train all members that have not ended yet; an interruption lets each save where it is.

    Parameters
    ----------
    members
        Settings of each.
    directories
        Of the run of each.
    run
        Of the committee: in a resumed one members go on.
    strict
        Refuse data in which anything odd is found.
    show
        Show a bar for each member.

    Returns
    -------
    int
        How many were trained; the others had ended before.

    Raises
    ------
    InputError
        A member refuses its settings or data; the others are stopped.
    DPSimError
        A member failed, after the others have ended.
    """
    left = [k for k, directory in enumerate(directories) if not (run.resumed and (directory / "result.json").is_file())]
    processors = threads_to_use()
    at_once = max(1, min(len(left), processors))
    processes = _Processes(threads=max(1, processors // at_once), strict=strict, resume=run.resumed)
    run.log(f"{len(left)} of {len(members)} members to train, {at_once} at a time, {processes.threads} threads each")
    failed: list[DPSimError] = []
    with (
        ThreadPoolExecutor(at_once) as pool,
        progress_bars([f"member-{k}" for k in left], total=members[0].training.steps, show=show) as bars,
    ):
        tasks = {
            pool.submit(processes.train, members[k], directories[k], advance): k
            for k, advance in zip(left, bars, strict=True)
        }
        try:
            for task in as_completed(tasks):
                name = directories[tasks[task]].name
                try:
                    said = task.result()
                except InputError as error:
                    raise type(error)(error.code, f"{name}: {error}") from error
                except DPSimError as error:
                    failed.append(type(error)(error.code, f"{name}: {error}"))
                    run.log(f"{name} failed: {error}")
                    continue
                run.log(f"{name} ended")
                for line in said:
                    run.note(f"{name}: {line}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.stop()
            raise
    if failed:
        raise type(failed[0])(failed[0].code, f"{failed[0]} ({len(failed)} of {len(left)} members failed)")
    return len(left)


def threads_to_use() -> int:
    """Count the threads that this process may take: what `--threads` set, else the processors that it may run on."""
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if given.isdigit() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Processes:
    """The processes that run, which `stop` ends together.

    Parameters
    ----------
    threads
        Of each.
    strict, resume
        For `run_training`.
    """

    def __init__(self, *, threads: int, strict: bool, resume: bool) -> None:
        self.threads = threads
        self._how = {"strict": strict, "resume": resume, "overwrite": not resume}
        self._lock = threading.Lock()
        self._running: list[subprocess.Popen[bytes]] = []
        self._stopped = False

    def train(self, config: TrainConfig, directory: Path, advance: Advance) -> list[str]:
        """Train a member, and return what its process wrote on its standard error, line by line.

        Raises
        ------
        DPSimError
            What the training raised; or its process ended without a word.
        """
        with tempfile.TemporaryFile() as said:
            process = self._start(said)
            try:
                error = self._follow(process, (config.model_dump(mode="json"), directory, self._how), advance)
                status = process.wait()
            finally:
                with self._lock:
                    self._running.remove(process)
                for pipe in (process.stdin, process.stdout):
                    assert pipe is not None
                    pipe.close()
            said.seek(0)
            lines = said.read().decode(errors="replace").split("\n")
        lines = [line for line in map(str.strip, lines) if line]
        if error is not None:
            raise error
        if status:
            last = lines[-1] if lines else "it says nothing"
            raise DPSimError("member-ended", f"its process ended with status {status} ({last}); --resume trains it on")
        return lines

    def _start(self, said: IO[bytes]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise DPSimError("member-ended", "it was stopped before it began")
            process = subprocess.Popen(
                [sys.executable, "-m", "dp_sim.recipes.models.committee.member"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env={**os.environ, "OMP_NUM_THREADS": str(self.threads)},
                start_new_session=True,  # Ctrl-C is for the process that waits
            )
            self._running.append(process)
        return process

    def _follow(self, process: subprocess.Popen[bytes], message: object, advance: Advance) -> DPSimError | None:
        """Hand a process its task and show its steps; return its error."""
        assert process.stdin is not None
        assert process.stdout is not None
        done = 0
        try:
            pickle.dump(message, process.stdin)
            process.stdin.flush()  # not closed: its end would tell the process that this one is gone
            while True:
                answer = pickle.load(process.stdout)
                if isinstance(answer, DPSimError):
                    return answer
                step, text = answer
                advance(step - done, text)
                done = step
        except (EOFError, OSError, pickle.UnpicklingError):
            return None

    def stop(self) -> None:
        """Let every process save its checkpoint and end; start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.terminate()
