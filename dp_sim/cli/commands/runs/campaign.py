"""dp-sim campaign: many tasks from a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dp_sim.cli.support.options import OverwriteOption, QuietOption, ResumeOption, SeedOption, VerboseOption, set_up
from dp_sim.cli.support.setting_options import with_options
from dp_sim.recipes.campaigns.settings import CampaignSettings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command = with_options(campaign, CampaignSettings)
    app.command(CampaignSettings.recipe, help=CampaignSettings.__doc__)(command)


def campaign(
    plan: Annotated[
        Path, typer.Argument(metavar="PLAN.yaml", help="Tasks: recipe, inputs, settings, each.", show_default=False)
    ],
    *,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Directory of the campaign.", show_default=False)
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Show how each task stands, and run nothing.")] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="Calculator, package.module:Class, that the plan may name; repeatable."),
    ] = None,
    seed: SeedOption = CampaignSettings.model_fields["seed"].default,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    **own: Any,
) -> None:
    """Read the plan, run its tasks, and show the table."""
    set_up(verbose, quiet)
    from dp_sim.cli.support.ending import end
    from dp_sim.cli.support.output_directory import check_output, naming_output
    from dp_sim.recipes.campaigns.campaign import campaign as run_campaign
    from dp_sim.recipes.campaigns.campaign import campaign_status

    directory = Path(plan.stem) if out is None else out
    if status:
        _print_status(campaign_status(plan, directory))
        return
    check_output(directory, overwrite=overwrite, resume=resume)
    with naming_output(out, directory, resumable=True, quiet=quiet):
        result = run_campaign(
            plan,
            out=directory,
            allowed=allow or (),
            seed=seed or 0,
            overwrite=overwrite,
            resume=resume,
            progress=not quiet,
            **own,
        )
    if own["engine"] == "slurm" and not (directory / "result.json").is_file():
        return  # handed over; a note has said how it goes on
    end(result, directory, quiet=quiet)


def _print_status(rows: Any) -> None:
    width = max(len(row.task.name) for row in rows)
    for row in rows:
        typer.echo(f"{row.task.name:{width}}  {row.state:14}{row.outcome or row.cause}")
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.state] = counts.get(row.state, 0) + 1
    typer.echo(", ".join(f"{number} {word}" for word, number in counts.items()))
