"""Members as processes: as many at a time as there are processors, which share the threads."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from dp_sim.config.training import TrainConfig
from dp_sim.errors import DPSimError, InputError
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.kept import kept, stop_kept
from dp_sim.recipes.run.process import TO_SAVE_S
from dp_sim.recipes.run.progress import Advance, progress_bars
from dp_sim.recipes.run.workers import open_workers, threads_to_use


def train_members(
    members: Sequence[TrainConfig],
    directories: Sequence[Path],
    run: RunDirectory,
    *,
    engine: str,
    scheduler: str | None,
    strict: bool,
    show: bool,
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
    engine, scheduler
        Where, as for `open_workers`.
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
    owner, at_once = uuid4().hex, max(1, min(len(left), threads_to_use() if engine == "local" else len(left)))
    how = {
        "threads": None if scheduler else max(1, threads_to_use() // at_once),
        "strict": strict,
        "resume": run.resumed,
        "folder": os.getcwd(),
    }
    run.log(f"{len(left)} of {len(members)} members to train, {at_once} at a time, {how['threads'] or 'their'} threads")
    failed: list[DPSimError] = []
    with (
        open_workers(engine, at_once, scheduler) as place,
        progress_bars([f"member-{k}" for k in left], total=members[0].training.steps, show=show) as bars,
    ):
        tasks = {
            place.executor.submit(
                _train, owner, how, members[k], directories[k].absolute(), advance if engine == "local" else _untold
            ): k
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
                except Exception as error:  # a worker that was killed takes its member with it
                    failed.append(
                        DPSimError("member-ended", f"{name}: its worker was lost ({error}); --resume goes on")
                    )
                    run.log(str(failed[-1]))
                    continue
                bars[left.index(tasks[task])](members[0].training.steps if engine != "local" else 0)
                run.log(f"{name} ended")
                for line in said:
                    run.note(f"{name}: {line}")
        except BaseException:
            for task in tasks:
                task.cancel()
            place.everywhere(stop_kept, owner)
            raise
    if failed:
        raise type(failed[0])(failed[0].code, f"{failed[0]} ({len(failed)} of {len(left)} members failed)")
    return len(left)


def _train(owner: str, how: Mapping[str, Any], config: TrainConfig, directory: Path, advance: Advance) -> list[str]:
    """Train a member, by what this thread of a worker keeps."""
    return kept(owner, partial(_Processes, **how)).train(config, directory, advance)


def _untold(steps: int = 1, text: str = "") -> None:
    """Take steps of a member that is trained elsewhere: they are not told from there."""


class _Processes:
    """The processes that a worker starts, which `stop` ends together.

    Parameters
    ----------
    threads
        Of each; None: those of the worker.
    strict, resume
        For `run_training`.
    folder
        In which they work: paths in the settings are relative to it.
    """

    def __init__(self, *, threads: int | None, strict: bool, resume: bool, folder: str) -> None:
        self._environment = {**os.environ, **({} if threads is None else {"OMP_NUM_THREADS": str(threads)})}
        self._folder = folder
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
                cwd=self._folder,
                env=self._environment,
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
            running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(TO_SAVE_S)

    def end(self) -> None:
        """End every process at once; start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()
