"""dp-sim test: the accuracy of a model on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dp_sim.cli.commands.models.label_keys import (
    EnergyKeyOption,
    ForcesKeyOption,
    StressKeyOption,
    VirialKeyOption,
    label_keys,
)
from dp_sim.cli.support.either_order import ModelFirst, tell_model
from dp_sim.cli.support.options import (
    DeviceOption,
    DtypeOption,
    OutOption,
    OverwriteOption,
    QuietOption,
    ThreadsOption,
    VerboseOption,
    set_up,
)
from dp_sim.cli.support.panels import MODELS


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("test", rich_help_panel=MODELS)(measure)


def measure(
    model: ModelFirst,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA...",
            help="Labelled files in any format ASE reads (FILE@INDEX for a part), or DeePMD-kit folders.",
            show_default=False,
        ),
    ] = None,
    more: Annotated[
        list[Path] | None,
        typer.Option("-m", "--model", metavar="FILE", help="The model, or more of a committee."),
    ] = None,
    energy_key: EnergyKeyOption = None,
    forces_key: ForcesKeyOption = None,
    virial_key: VirialKeyOption = None,
    stress_key: StressKeyOption = None,
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
    from dp_sim.cli.support.ending import end
    from dp_sim.cli.support.run_place import check_place, run_place, saying_where
    from dp_sim.recipes.inputs.calculators import as_calculator
    from dp_sim.recipes.models.accuracy import measure_accuracy

    named, sources = tell_model(
        [model, *(data or [])], chosen_by_option=bool(more), needed="test needs a model and labelled data"
    )
    files = [*named, *(str(path) for path in more or ())]
    place = run_place(out, files[0], "test", again=overwrite)
    check_place(place, overwrite=overwrite, resume=False)
    keys = label_keys(energy_key, forces_key, virial_key, stress_key)
    calculator = as_calculator(files, device=device, dtype=dtype)
    with saying_where(out, place, resumable=False, quiet=quiet):
        result = measure_accuracy(calculator, sources, keys=keys, out=place, overwrite=overwrite, progress=not quiet)
    end(result, place, quiet=quiet)
