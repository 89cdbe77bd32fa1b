"""A committee's run: its members trained side by side, each in a directory of its own, and then their mean measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dp_sim.config.training import TrainConfig
from dp_sim.datasets.frames import Frame
from dp_sim.model.committee.folder import COMMITTEE, member_file, write_committee_file
from dp_sim.model.model_file import load_model
from dp_sim.recipes.models.committee.processes import train_members
from dp_sim.recipes.models.committee.result import CommitteeResult, spread_of
from dp_sim.recipes.models.training_run import TrainResult, run_directory
from dp_sim.recipes.results.loading import load_result
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.training.accuracy import compare, pool, system_errors
from dp_sim.training.data import held_out_by_all


def train_committee(
    config: TrainConfig,
    members: Sequence[TrainConfig],
    out: Path,
    *,
    overwrite: bool,
    resume: bool,
    strict: bool,
    progress: bool,
    engine: str,
    scheduler: str | None,
) -> CommitteeResult:
    """Train a committee.

    Parameters
    ----------
    config
        Settings of the committee.
    members
        Those with which each member trains alone.
    out
        Directory of the run, which becomes the folder of the committee.
    overwrite, resume
        Whether an earlier run there may be replaced, or continued: each member goes on where it was.
    strict
        Refuse data in which anything odd is found.
    progress
        Show a bar for each member.
    engine, scheduler
        Where members are trained, as for `dp_sim.recipes.run.workers.open_workers`.

    Raises
    ------
    InputError
        As `train`, of any member.
    TrainingError
        A member diverges; the others are trained to their end first.
    """
    with progress_bar("read", total=None, show=progress) as advance:
        held_out = held_out_by_all(config, advance)
    with run_directory(config, out, overwrite=overwrite, resume=resume) as run:
        directories = [run.part(str(Path(member_file(number)).parent)) for number in range(len(members))]
        trained = train_members(
            members, directories, run, engine=engine, scheduler=scheduler, strict=strict, show=progress
        )
        committee_file = run.path(COMMITTEE)
        assert committee_file is not None
        if trained or not committee_file.is_file():  # else a calibration of these members stands in it
            write_committee_file(out, [member_file(number) for number in range(len(members))])
        return run.finish(_result(out, [_trained(directory) for directory in directories], members, held_out, run))


def _trained(directory: Path) -> TrainResult:
    result = load_result(directory)
    assert isinstance(result, TrainResult)
    return result


def _result(
    out: Path,
    trained: Sequence[TrainResult],
    members: Sequence[TrainConfig],
    held_out: Sequence[Frame],
    run: RunDirectory,
) -> CommitteeResult:
    """Measure the mean and collect what the members found."""
    model = load_model(out)
    parities = tuple(compare(model, held_out))
    return CommitteeResult(
        converged=True,
        model=model,
        model_path=out,
        seeds=tuple(member.training.seed for member in members),
        curves=tuple(one.curve for one in trained),
        frames=trained[0].frames,
        members_held_out=tuple(one.held_out for one in trained),
        held_out=system_errors(pool(parities)) if parities else None,
        spread=spread_of(model, held_out),
        parities=parities,
        remarks=_remarks(trained, run),
    )


def _remarks(trained: Sequence[TrainResult], run: RunDirectory) -> tuple[str, ...]:
    """Report what the members remarked on their data: what all did once, anything else with the member's name."""
    shared = [line for line in trained[0].remarks if all(line in one.remarks for one in trained)]
    own = [f"member-{k}: {line}" for k, one in enumerate(trained) for line in one.remarks if line not in shared]
    for line in (*shared, *own):
        run.note(f"data: {line}")
    return (*shared, *own)
