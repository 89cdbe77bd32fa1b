"""dp-sim train, dp-sim test: make a model, and measure it on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dp_sim.cli.models import PANEL, ModelArgument
from dp_sim.cli.options import (
    DeviceOption,
    DtypeOption,
    OutOption,
    OverwriteOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    ThreadsOption,
    VerboseOption,
    set_up,
)


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(train)
    app.command("test", rich_help_panel=PANEL)(measure)


def train(
    settings: Annotated[
        Path, typer.Argument(metavar="INPUT.yaml", help="Model, data, loss and training settings.", show_default=False)
    ],
    out: OutOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    threads: ThreadsOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Train a Deep Potential on labelled structures (into a directory named like INPUT, without -o)."""
    set_up(verbose, quiet, threads)
    from dp_sim.cli.recipe_command import end
    from dp_sim.recipes.train import train as train_model

    shared = {"overwrite": overwrite, "resume": resume, "progress": not quiet}
    end(train_model(settings, out=out, seed=seed, device=device, **shared), quiet=quiet)


def measure(
    model: ModelArgument,
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="Labelled files in any format ASE reads (FILE@INDEX for a part), or DeePMD-kit folders.",
            show_default=False,
        ),
    ],
    more: Annotated[
        list[Path] | None, typer.Option("-m", "--model", metavar="FILE", help="Further members of a committee.")
    ] = None,
    out: OutOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    overwrite: OverwriteOption = False,
    threads: ThreadsOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """MAE and RMSE of energy per atom, forces and virial on labelled data, with a parity plot."""
    set_up(verbose, quiet, threads)
    from dp_sim.cli.recipe_command import end
    from dp_sim.recipes.accuracy import measure_accuracy
    from dp_sim.recipes.calculators import as_calculator

    calculator = as_calculator([model, *(more or [])], device=device, dtype=dtype)
    end(measure_accuracy(calculator, data, out=out, overwrite=overwrite, progress=not quiet), quiet=quiet)
