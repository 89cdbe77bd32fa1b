"""dp-sim eval, dp-sim info: what a model file says, of a structure and of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dp_sim.cli.options import (
    DeviceOption,
    DtypeOption,
    OutOption,
    OverwriteOption,
    QuietOption,
    StructureArgument,
    ThreadsOption,
    VerboseOption,
    set_up,
)

PANEL = "Models"

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="Model file.", show_default=False)]


def register(app: typer.Typer) -> None:
    app.command("eval", rich_help_panel=PANEL)(evaluate)
    app.command(rich_help_panel=PANEL)(info)


def evaluate(
    model: ModelArgument,
    structure: StructureArgument,
    more: Annotated[
        list[Path] | None, typer.Option("-m", "--model", metavar="FILE", help="Further members of a committee.")
    ] = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    threads: ThreadsOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Energy, forces and stress of one structure; with several models their spread."""
    set_up(verbose, quiet, threads)
    from dp_sim.cli.recipe_command import end
    from dp_sim.cli.structures import naming, read_structure
    from dp_sim.recipes.calculators import as_calculator
    from dp_sim.recipes.evaluation import evaluate as evaluate_structure

    atoms = read_structure(structure)
    options = {name: value for name, value in (("device", device), ("dtype", dtype)) if value is not None}
    calculator = as_calculator([model, *(more or [])], **options)
    with naming(structure):
        result = evaluate_structure(atoms, calculator, out=out, overwrite=overwrite)
    end(result, quiet=quiet)


def info(
    model: ModelArgument,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw the learnt filters over the neighbours of the training data."),
    ] = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """What is in a model file: species, cutoff, precision, networks, training; with --plot the learnt filters."""
    set_up(verbose, quiet)
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from dp_sim.export import read_metadata

    metadata = read_metadata(model)
    table = Table(title=str(model), title_justify="left", title_style="bold", show_header=False, box=box.SIMPLE)
    rows = {
        "species": " ".join(metadata.species),
        "cutoff": f"{metadata.cutoff:g} Angstrom",
        "precision": metadata.dtype,
        "made with": f"dp-sim {metadata.dp_sim_version}, torch {metadata.torch_version}",
        "SHA-256": metadata.sha256,
        **_flat("model", metadata.config),
        **_flat("training", metadata.training),
    }
    for name, value in rows.items():
        table.add_row(name, Text(str(value)))
    Console().print(table)
    if plot is not None:
        _plot_filters(model, plot)


def _plot_filters(model: Path, target: Path) -> None:
    from dp_sim.atomic_file import atomic_path
    from dp_sim.errors import InputError
    from dp_sim.export import load_model
    from dp_sim.recipes.filters import filters_figure

    formats = (".png", ".svg", ".pdf")
    if target.suffix not in formats:
        raise InputError(
            f"--plot writes {', '.join(formats)}; got '{target}': give a file name with one of these endings"
        )
    with atomic_path(target) as temporary:
        filters_figure(load_model(model)).savefig(temporary)
    typer.echo(f"filters drawn in {target}")


def _flat(prefix: str, settings: dict[str, Any]) -> dict[str, str]:
    """Nested settings as rows `prefix key: value`; long arrays (a radial distribution, say) as their length."""
    rows: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{prefix} {key.replace('_', ' ')}"
        if isinstance(value, dict):
            rows |= _flat(name, value)
        elif isinstance(value, list) and len(value) > 12:
            rows[name] = f"{len(value)} values"
        else:
            rows[name] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return rows
