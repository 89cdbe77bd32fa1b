"""`campaign`: every task of a plan, exactly once, whatever is killed when."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

from dp_sim.config.recipe import documented
from dp_sim.errors import DPSimError, InputError
from dp_sim.files import write_text
from dp_sim.recipes.campaigns import slurm
from dp_sim.recipes.campaigns.plan import CALCULATORS, Task, parse_plan, read_plan
from dp_sim.recipes.campaigns.result import CampaignResult
from dp_sim.recipes.campaigns.settings import CampaignSettings
from dp_sim.recipes.campaigns.table import Row, columns_of, rows_of
from dp_sim.recipes.campaigns.task import (
    FILES,
    Ended,
    command_of,
    has_result,
    is_locked,
    note_lost,
    prepare,
    run_task,
    stop_running,
)
from dp_sim.recipes.inputs.calculators import NAMED_SPECS
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.recipes.run.workers import Workers, open_workers, processors

#: Folder of the tasks, in the campaign's own.
TASKS = "tasks"
LOST = "worker lost"


@documented(CampaignSettings)
def campaign(
    plan: str | os.PathLike[str] | Mapping[str, Any],
    *,
    out: str | os.PathLike[str],
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    allowed: Sequence[str] = (),
    engine: str = "local",
    workers: int | None = None,
    threads: int = 1,
    attempts: int = 3,
    attempt_minutes: float | None = None,
    scheduler: str | None = None,
    seed: int = 0,
) -> CampaignResult:
    """Run the tasks of a plan, each as a command of dp-sim in a folder of its own.

    A task is found done by its result.json, whoever made it: where a worker, the scheduler or this process is killed,
    `resume` runs what is left, and what was cut short goes on where it was. Failed tasks do not keep the others from
    running; `resume` tries them again.

    Parameters
    ----------
    plan : path or mapping
        A YAML file, or its content (files are relative to the working directory then): `tasks`, a list of blocks with
        `recipe`, `inputs`, `settings` as a --config file of that command has them, and `each`: what varies, name ->
        values. A block has a task for every input and every combination. Of `inputs` a list in the list is of one task,
        a pattern (`*.xyz`) of a task for each file, and FILE@: of a task for each frame.
    out : path
        Directory of the campaign. A campaign cannot be without files: they are what it stands on.
    overwrite : bool, default False
        Replace an earlier campaign.
    resume : bool, default False
        Run what is left of an earlier one. The plan may have new tasks at its end.
    progress : bool, default True
        Show a bar.
    allowed : sequence of str, default ()
        Calculators, package.module:Class, that the plan may name; without, it starts no code but ours.

    Returns
    -------
    CampaignResult
        A table with a row for each task; not converged where one failed or did not converge, or, with engine slurm,
        has not ended.

    Raises
    ------
    InputError
        A plan, a task's settings or an input that is wrong: all are checked before the first task begins.
    """
    settings = CampaignSettings.taken_from(locals())
    tasks = [task.seeded(settings.seed) for task in _read(plan)]
    _check(tasks, tuple(allowed))
    if overwrite:
        _refuse_busy(Path(out))
    run = RunDirectory.of(settings, out, structures=[], calculator=None, overwrite=overwrite, resume=resume)
    with run:
        folders = _folders(tasks, run)
        for task, folder in zip(tasks, folders, strict=True):
            prepare(folder, task, threads=settings.threads, allowed=tuple(allowed))
        left = [folder for folder in folders if not has_result(folder)]
        run.log(f"{len(tasks)} tasks, {len(left)} to run, engine {settings.engine}")
        if settings.engine == "slurm" and left:
            return _hand_to_slurm(settings, left, run, rows_of(tasks, folders))
        if left:
            at_once = min(len(left), settings.workers or max(1, processors() // settings.threads))
            with open_workers(settings.engine, at_once, settings.scheduler) as place:
                run.log(f"{place.words}, {settings.threads} threads each")
                _run(left, len(folders), place, settings, run, show=progress)
        return run.finish(_result(rows_of(tasks, folders)))


def campaign_status(plan: str | os.PathLike[str] | Mapping[str, Any], out: str | os.PathLike[str]) -> list[Row]:
    """Read how the tasks of a campaign stand, also while it runs elsewhere; nothing is changed.

    Parameters
    ----------
    plan, out
        As for `campaign`.

    Returns
    -------
    list of Row
        One for each task, in the order of the plan.

    Raises
    ------
    InputError
        The plan is wrong, or there is no campaign in `out`.
    """
    directory = Path(out)
    if not (directory / TASKS).is_dir():
        raise InputError("file-missing", f"there is no campaign in {directory}; give the directory that -o named")
    tasks = _read(plan)
    return rows_of(tasks, [directory / TASKS / task.name for task in tasks])


def _read(plan: str | os.PathLike[str] | Mapping[str, Any]) -> list[Task]:
    return parse_plan(plan, Path.cwd(), "plan") if isinstance(plan, Mapping) else read_plan(Path(plan))


def _check(tasks: Sequence[Task], allowed: tuple[str, ...]) -> None:
    """Let the command line read every task as it will run, without running any."""
    for task in tasks:
        for key in CALCULATORS:
            spec = task.settings.get(key)
            if isinstance(spec, str) and spec.partition(":")[0] not in NAMED_SPECS and spec not in allowed:
                raise InputError(
                    "calculator-not-allowed",
                    f"{task.name}: {key} {spec} would start code because a file says so; if it is yours, name it: "
                    f"--allow {spec}",
                )
    commands = [
        {"name": task.name, "settings": task.settings, "words": command_of({**vars(task)}), "recipe": task.recipe}
        for task in tasks
    ]
    done = subprocess.run(
        [sys.executable, "-m", "dp_sim.cli.support.check_commands"],
        input=json.dumps(commands).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise DPSimError("campaign-check-failed", f"the tasks could not be checked: {said[-500:]}")
    error = pickle.loads(done.stdout)
    if error is not None:
        raise error


def _refuse_busy(directory: Path) -> None:
    """Refuse to replace a campaign of which tasks still run, left by one that was killed or on other machines."""
    busy = [folder.name for folder in sorted((directory / TASKS).glob("*")) if is_locked(folder)]
    if busy:
        raise InputError(
            "run-busy",
            f"{len(busy)} tasks in {directory} still run ({busy[0]}); wait for them or end them, or use --resume "
            "to wait",
        )


def _folders(tasks: Sequence[Task], run: RunDirectory) -> list[Path]:
    """Make the folders of the tasks the run's own."""
    assert run.directory is not None
    names = [f"{TASKS}/{task.name}" for task in tasks]
    run.claim([f"{name}/{file}" for name in names for file in FILES], parts=[f"{name}/run" for name in names])
    return [run.directory / name for name in names]


def _run(
    folders: Sequence[Path], total: int, place: Workers, settings: CampaignSettings, run: RunDirectory, *, show: bool
) -> None:
    """Hand tasks to workers until each has ended or used up its attempts; an interruption lets those that run save."""
    tried: Counter[Path] = Counter()
    states: Counter[str] = Counter()

    def submit(folder: Path) -> Future[Ended]:
        tried[folder] += 1
        return place.executor.submit(run_task, str(folder.absolute()), settings.attempt_minutes)

    with progress_bar("campaign", total=total, show=show) as advance:
        advance(total - len(folders), "")
        waiting = {submit(folder): folder for folder in folders}
        try:
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    folder = waiting.pop(future)
                    word, again = _outcome(future)
                    if again and tried[folder] < settings.attempts:
                        run.log(f"{folder.name}: {word}; begun again")
                        waiting[submit(folder)] = folder
                        continue
                    run.log(f"{folder.name}: {word}")
                    if word.startswith(LOST):
                        note_lost(folder, word)
                    states[word.partition(":")[0]] += 1
                    advance(1, ", ".join(f"{number} {state}" for state, number in states.items()))
        except BaseException:
            for future in waiting:
                future.cancel()
            place.everywhere(stop_running)
            raise


def _outcome(future: Future[Ended]) -> tuple[str, bool]:
    """Say how an attempt ended, and whether it is worth another."""
    try:
        ended = future.result()
    except (InputError, KeyboardInterrupt):
        raise
    except Exception as error:  # a worker that was killed takes its task with it, by an error of its library
        return f"{LOST}: {type(error).__name__}: {error}", True
    if ended.to_be_continued:
        return f"interrupted: status {ended.status} after {ended.wall_s:.0f} s", True
    if ended.status == 0:
        return "done", False
    return ("not converged" if ended.status == 3 else f"failed: {ended.cause}"), False


def _result(rows: Sequence[Row]) -> CampaignResult:
    table = columns_of(rows)
    wanted: dict[str, dict[str, None]] = {}
    for row in rows:
        wanted.setdefault(row.task.recipe, {}).update(dict.fromkeys(row.headline))
    headlines = {
        recipe: [column for name in names for column in table if column.partition(" (")[0] == name]
        for recipe, names in wanted.items()
    }
    bad = [row for row in rows if row.state != "done"]
    cause = "" if not bad else f"{len(bad)} of {len(rows)} tasks; the first, {bad[0].task.name}: {bad[0].state}"
    if bad and bad[0].cause:
        cause += f" ({bad[0].cause})"
    return CampaignResult(converged=not bad, cause=cause, table=table, headlines=headlines)


def _hand_to_slurm(
    settings: CampaignSettings, left: Sequence[Path], run: RunDirectory, rows: Sequence[Row]
) -> CampaignResult:
    """Write the script of a job array, and say what to do with it; the result is written when all tasks have ended."""
    file = run.path(slurm.SCRIPT)
    assert file is not None
    assert run.directory is not None
    text = slurm.script(left, run.directory.absolute(), threads=settings.threads, workers=settings.workers)
    write_text(file, text)
    run.note(f"{len(left)} tasks are ready: sbatch {file}; afterwards --resume gathers what has ended")
    return _result(rows)
