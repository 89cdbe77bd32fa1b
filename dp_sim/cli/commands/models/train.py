"""dp-sim train: make a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dp_sim.cli.support.options import (
    DeviceOption,
    OutOption,
    OverwriteOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    ThreadsOption,
    VerboseOption,
    set_up,
)
from dp_sim.recipes.run.worker_settings import ENGINES, WORKERS


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(train)


def train(
    settings: Annotated[
        Path, typer.Argument(metavar="INPUT.yaml", help="Model, data, loss and training settings.", show_default=False)
    ],
    out: OutOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    members: Annotated[
        int | None,
        typer.Option(min=2, metavar="M", help="Train a committee of so many, side by side, with consecutive seeds."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse data in which anything odd is found, before the first step.")
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            metavar="|".join(ENGINES),
            help="Where members are trained.",
            rich_help_panel=WORKERS,
            autocompletion=lambda: list(ENGINES),
        ),
    ] = "local",
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            rich_help_panel=WORKERS,
            help="Address of a Dask scheduler, tcp://HOST:PORT; a cluster of this machine if not given.",
        ),
    ] = None,
    threads: ThreadsOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Train a Deep Potential, or a committee, on labelled structures (without -o into a directory named like INPUT)."""
    set_up(verbose, quiet, threads)
    from dp_sim.cli.support.ending import end
    from dp_sim.cli.support.output_directory import check_output, naming_output

    directory = Path(settings.stem) if out is None else out
    check_output(directory, overwrite=overwrite, resume=resume)  # before torch is loaded and the data are read
    from dp_sim.recipes.models.train import train as train_model

    shared = {"overwrite": overwrite, "resume": resume, "progress": not quiet, "strict": strict}
    with naming_output(out, directory, resumable=True, quiet=quiet):
        result = train_model(
            settings,
            out=directory,
            seed=seed,
            device=device,
            members=members,
            engine=engine,
            scheduler=scheduler,
            **shared,
        )
    end(result, directory, quiet=quiet)
