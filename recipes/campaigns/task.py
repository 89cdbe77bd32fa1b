"""One task in its folder: begun, continued and found done by what lies there, whatever started it.

    task.json      what runs: recipe, inputs, threads
    settings.yaml  the settings, as --config reads them
    lock           held by whoever runs the task, its process included
    log.txt        what the command printed, of all attempts
    state.json     how the last attempt ended
    run/           the run's own directory, or labels.extxyz: the truth

The lock is held by the command's process, too: where a worker is killed its command goes on, and who comes next waits
for it in place of doing the work a second time.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import yaml

from dp_sim.errors import InputError
from dp_sim.files import write_text
from dp_sim.recipes.campaigns.plan import CALCULATORS, CONFIGURED, Task
from dp_sim.recipes.run.interrupts import EXIT_STATUS

#: What a task's folder holds beside the run.
FILES = ("task.json", "settings.yaml", "lock", "log.txt", "state.json", "labels.extxyz", ".labels.extxyz.partial")
#: Exit statuses of a command whose run is there, converged or not.
FINISHED = (0, 3)
#: What everything that counts threads reads.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENMM_CPU_THREADS")
#: Seconds between two looks at a command that has a time limit.
_LOOK_S = 0.2


class Ended(NamedTuple):
    """How an attempt ended."""

    status: int  # of the command; negative: killed by this signal
    wall_s: float
    attempts: int
    host: str
    cause: str  # the last line it wrote, where it failed

    @property
    def to_be_continued(self) -> bool:
        """Whether it was killed or stopped, and did not say that it cannot go on."""
        return self.status < 0 or self.status in EXIT_STATUS.values() or self.status >= 128


@dataclass(frozen=True)
class State:
    """What a task's folder says.

    Attributes
    ----------
    word
        waiting, running, interrupted, failed, done, or not converged.
    ended
        The last attempt; None before the first has ended.
    """

    word: str
    ended: Ended | None


def prepare(folder: Path, task: Task, *, threads: int, allowed: tuple[str, ...]) -> None:
    """Write what a task runs; it must be what an earlier session wrote there.

    Parameters
    ----------
    folder
        Of the task.
    task
        Of the plan.
    threads
        Of its process; may be others than before.
    allowed
        Calculator classes that may be imported.

    Raises
    ------
    InputError
        Another task has this folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = {**asdict(task), "inputs": list(task.inputs)}
    before = _read_json(folder / "task.json")
    if before is not None and {key: before.get(key) for key in content} != json.loads(json.dumps(content)):
        raise InputError(
            "run-differs",
            f"{folder} holds another task than the plan now has in this place; add new tasks at the end of the plan, "
            "or start another campaign (-o)",
        )
    write_text(folder / "settings.yaml", yaml.safe_dump(_plain(task.settings), sort_keys=False))
    typed = [
        word
        for key in CALCULATORS
        if task.recipe in CONFIGURED and task.settings.get(key) in allowed
        for word in (f"--{key}", task.settings[key])
    ]
    write_text(folder / "task.json", json.dumps({**content, "threads": threads, "typed": typed}, indent=1) + "\n")


def command_of(task: Mapping[str, Any]) -> list[str]:
    """Return the arguments of dp-sim that run a task from its folder; `task` is the content of its task.json."""
    if task["recipe"] in CONFIGURED:
        settings = ["--config", "settings.yaml"]
    else:
        settings = [word for key, value in task["settings"].items() for word in _flag(key, value)]
    out = "labels.extxyz" if task["recipe"] == "label" else "run"
    return [task["recipe"], *task["inputs"], *settings, *task.get("typed", []), "-o", out]


def _flag(key: str, value: Any) -> Iterator[str]:
    name = "--" + key.replace("_", "-")
    for one in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(one, bool):
            yield from (name,) if one else ()
        elif isinstance(one, Mapping):
            for inner, of_it in one.items():
                yield from (name, f"{inner}={of_it}")
        else:
            yield from (name, str(one))


def state_of(folder: Path) -> State:
    """Read how a task stands, without disturbing whoever runs it."""
    content = _read_json(folder / "state.json")
    ended = None if content is None else Ended(**content)
    if has_result(folder):
        return State("done" if converged(folder) else "not converged", ended)
    if is_locked(folder):
        return State("running", ended)
    if ended is not None and not ended.to_be_continued and ended.status not in FINISHED:
        return State("failed", ended)
    begun = ended is not None or (folder / "log.txt").exists()
    return State("interrupted" if begun else "waiting", ended)


def has_result(folder: Path) -> bool:
    """Whether the task's run has ended: its result.json is there, which is written last, or its labels are."""
    return (folder / "run" / "result.json").is_file() or (folder / "labels.extxyz").is_file()


def converged(folder: Path) -> bool:
    """Whether a run that has ended reached what it was asked for."""
    result = _read_json(folder / "run" / "result.json")
    if result is not None:
        return bool(result.get("converged"))
    ended = _read_json(folder / "state.json")
    return ended is None or ended.get("status") != 3


def run_task(folder: str, minutes: float | None = None) -> Ended:
    """Run a task to its end, or go on with it; return at once if it is done. What workers call.

    Parameters
    ----------
    folder
        Of the task.
    minutes
        Stop it after so long, so that it saves its state.

    Returns
    -------
    Ended
        How it ended.
    """
    place = Path(folder)
    with _lock(place) as lock:
        before = _read_json(place / "state.json")
        attempts = 0 if before is None else before["attempts"]
        if has_result(place):
            return Ended(**before) if before is not None else Ended(0, 0.0, 1, socket.gethostname(), "")
        task = json.loads((place / "task.json").read_text(encoding="utf-8"))
        begun = _begun(place)
        if begun is None and (place / "run").exists():
            _clear(place / "run")
        words = [*command_of(task), *([] if begun is None else [begun])]
        start = time.monotonic()
        status = _execute(words, place, lock, task["threads"], minutes, start)
        if has_result(place) and status not in FINISHED:  # stopped after its last word
            status = 0 if converged(place) else 3
        cause = "" if status in FINISHED else _last_line(place / "log.txt")
        ended = Ended(status, round(time.monotonic() - start, 3), attempts + 1, socket.gethostname(), cause)
        write_text(place / "state.json", json.dumps(ended._asdict(), indent=1) + "\n")
        return ended


def note_lost(folder: Path, cause: str) -> None:
    """Write down why a task has not ended whose worker is gone, where nobody else runs it."""
    if has_result(folder) or is_locked(folder):
        return
    before = _read_json(folder / "state.json")
    attempts = 0 if before is None else before["attempts"]
    ended = Ended(-signal.SIGKILL, 0.0, attempts + 1, socket.gethostname(), cause)
    write_text(folder / "state.json", json.dumps(ended._asdict(), indent=1) + "\n")


def _begun(folder: Path) -> str | None:
    """Return how the command is told of an earlier attempt; None where there was none that it could go on with."""
    if (folder / "run" / ".dp-sim.json").is_file() or (folder / ".labels.extxyz.partial").is_file():
        return "--resume"
    return None


def _clear(directory: Path) -> None:
    """Remove a run's directory that is still empty: its process was killed before it wrote a word."""
    if not any(directory.iterdir()):
        directory.rmdir()


def _execute(words: list[str], folder: Path, lock: IO[str], threads: int, minutes: float | None, start: float) -> int:
    """Run dp-sim with these arguments and return its exit status; negative after a signal."""
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        log.write(f"$ dp-sim {' '.join(words)}\n")
        log.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "dp_sim.cli.main", *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **dict.fromkeys(_THREADS, str(threads))},
            pass_fds=(lock.fileno(),),
            start_new_session=True,  # Ctrl-C is for who asked
        )
    _running.append(process)
    if _stops and _stops[-1] >= start:  # while the process was being made
        process.terminate()
    try:
        return _wait(process, None if minutes is None else time.monotonic() + 60 * minutes)
    except BaseException:
        process.terminate()  # a run saves its state
        process.wait()
        raise
    finally:
        _running.remove(process)


#: Commands of this process that run now.
_running: list[subprocess.Popen[bytes]] = []
#: When `stop_running` was called, by the clock of `time.monotonic`.
_stops: list[float] = []


def _wait(process: subprocess.Popen[bytes], until: float | None) -> int:
    if until is None:
        return process.wait()
    while time.monotonic() < until:
        try:
            return process.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            continue
    process.terminate()
    return process.wait()


def stop_running() -> int:
    """Let every command of this process save its state and end; return how many there were."""
    _stops.append(time.monotonic())
    for process in (processes := list(_running)):
        process.terminate()
    return len(processes)


@contextmanager
def _lock(folder: Path) -> Iterator[IO[str]]:
    """Hold the task's lock; waits until nobody else does."""
    with (folder / "lock").open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def is_locked(folder: Path) -> bool:
    """Whether somebody runs the task."""
    try:
        with (folder / "lock").open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(
            "file-unreadable", f"{file} is damaged ({error}); remove it, and the task is run again"
        ) from None


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").split("\n") if line.strip()]
    return lines[-1].removeprefix("dp-sim: ") if lines and not lines[-1].startswith("$ ") else "it says nothing"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def main() -> int:
    """Run the task of the folder that is named: what a job of Slurm calls, with SIGTERM before its walltime."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(EXIT_STATUS[signal.SIGTERM]))
    return max(run_task(sys.argv[1]).status, 0)


if __name__ == "__main__":
    sys.exit(main())
