"""dp-sim import, dp-sim export: models of DeePMD-kit in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dp_sim.cli.options import QuietOption, ReplaceOption, VerboseOption, check_target, set_up

PANEL = "Models"

TargetOption = Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="File to write.", show_default=False)]


def register(app: typer.Typer) -> None:
    app.command("import", rich_help_panel=PANEL)(import_)
    app.command("export", rich_help_panel=PANEL)(export)


def import_(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="DeePMD-kit model: .dp, .yaml or frozen .pth.", show_default=False)
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
    """A DeePMD-kit model as a dp-sim model, with the same numbers; deepmd-kit is not needed."""
    set_up(verbose, quiet)
    from dp_sim.deepmd.importing import import_model

    check_target(out, model, overwrite)
    names = () if species is None else tuple(name.strip() for name in species.split(","))
    config = import_model(model, out, names)
    if not quiet:
        kinds = " + ".join(part.kind for part in config.parts)
        typer.echo(f"{out}: {kinds}, {' '.join(config.species)}, cutoff {config.cutoff:g} Å, {config.precision}")


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file of dp-sim.", show_default=False)],
    out: TargetOption,
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="deepmd: DeePMD-kit's .dp or .yaml.")
    ] = "deepmd",
    sel: Annotated[
        str | None,
        typer.Option(metavar="N,N,...", help="Most neighbours of each species that an atom may have there."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Structures whose most neighbours, and a third more, become --sel."),
    ] = None,
    overwrite: ReplaceOption = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """A model in DeePMD-kit's form, with the same numbers; `dp convert-backend` makes .pth and .pb of it."""
    set_up(verbose, quiet)
    from dp_sim.batch import choose
    from dp_sim.deepmd.exporting import export_model, places_for
    from dp_sim.errors import InputError

    check_target(out, model, overwrite)
    choose("--format", form, ("deepmd",))
    if sel is not None and data:
        raise InputError("--sel and --data both say how many neighbours there may be; give one of them")
    try:
        places = () if sel is None else tuple(int(number) for number in sel.split(","))
    except ValueError:
        raise InputError(f"--sel takes whole numbers with commas between them, like 46,92; got '{sel}'") from None
    content = export_model(model, out, places_for(model, [str(file) for file in data]) if data else places)
    if not quiet:
        listed = " ".join(f"{t} {n}" for t, n in zip(content.types, content.descriptors[0].sel, strict=True))
        typer.echo(f"{out}: at most so many neighbours: {listed}; dp convert-backend {out} model.pth (or .pb) next")
