"""dp-sim import: a model of DeePMD-kit as one of dp-sim."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dp_sim.cli.support.options import QuietOption, ReplaceOption, TargetOption, VerboseOption, check_target, set_up


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("import")(import_)


def import_(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="DeePMD-kit model: .dp, .yaml, .pth, .pt.", show_default=False)
    ],
    out: TargetOption,
    species: Annotated[
        str | None,
        typer.Option(metavar="O,H,...", help="Elements of the model's types, where their names are no elements."),
    ] = None,
    overwrite: ReplaceOption = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Make a dp-sim model of a DeePMD-kit model, with the same numbers; deepmd-kit is not needed."""
    set_up(verbose, quiet)
    from dp_sim.deepmd.importing import import_model

    check_target(out, model, overwrite)
    names = () if species is None else tuple(name.strip() for name in species.split(","))
    config = import_model(model, out, names)
    if not quiet:
        kinds = " + ".join("DPA-1" if part.shared_sel else part.kind for part in config.parts)
        typer.echo(f"{out}: {kinds}, {' '.join(config.species)}, cutoff {config.cutoff:g} Å, {config.precision}")
