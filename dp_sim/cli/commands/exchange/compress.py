"""dp-sim compress: the embedding nets of a model as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dp_sim.cli.support.options import (
    ModelArgument,
    QuietOption,
    ReplaceOption,
    VerboseOption,
    check_new_folder,
    check_target,
    set_up,
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(compress)


def compress(
    model: ModelArgument,
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", metavar="FILE", help="The compressed model; a folder for a committee.", show_default=False
        ),
    ],
    spacing: Annotated[
        float | None, typer.Option(metavar="S", help="Width of a segment of the tables, 1/Angstrom (default: 0.005).")
    ] = None,
    overwrite: ReplaceOption = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Replace embedding nets by tables: the same numbers, several times faster. The result cannot be trained."""
    set_up(verbose, quiet)
    from dp_sim.model.committee.folder import is_committee
    from dp_sim.model.committee_writing import compress_committee
    from dp_sim.model.compression import SPACING, compress_file

    width = SPACING if spacing is None else spacing
    if is_committee(model):
        check_new_folder(out, overwrite)
        every = compress_committee(model, out, width)
    else:
        check_target(out, model, overwrite)
        every = [compress_file(model, out, width)]
    for number, done in enumerate(every):
        _say(out / f"member-{number}" if len(every) > 1 else out, done, quiet)


def _say(out: Path, done: dict[str, Any], quiet: bool) -> None:
    """Tell of the tables and what they cost."""
    if not quiet:
        value, slope = done["error"]
        typer.echo(
            f"{out}: {done['tables']} tables of {done['knots']} knots, {done['spacing']:g} 1/Angstrom apart down to a "
            f"distance of {done['fine_to']:.2f} Angstrom"
        )
        typer.echo(f"largest error of an embedding function: {value:.1e}, of its slope: {slope:.1e} Angstrom")
        nearer = done["error_nearer"]
        typer.echo(f"for atoms that are nearer, down to 0.01 Angstrom: {nearer[0]:.1e} and {nearer[1]:.1e} Angstrom")
