"""dp-sim eval, dp-sim info: what a model file says, of a structure and of itself; what is in data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    check_folder,
    set_up,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL = "Models"
#: Neighbours are counted no farther out, Angstrom: their number grows with the cube.
LONGEST_RADIUS = 30.0
PLOT_FORMATS = (".png", ".svg", ".pdf")

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
    calculator = as_calculator([model, *(more or [])], device=device, dtype=dtype)
    with naming(structure):
        result = evaluate_structure(atoms, calculator, out=out, overwrite=overwrite)
    end(result, quiet=quiet)


def info(
    source: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|DATA",
            help="Model file; or structures, labelled or not: a file that ASE reads (FILE@INDEX for a part) or a "
            "DeePMD-kit folder.",
            show_default=False,
        ),
    ],
    cutoff: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=LONGEST_RADIUS,
            help="Of data: distance within which neighbours are counted, Angstrom (default: 6).",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png", help="Draw the learnt filters of a model; g(r) and numbers of neighbours of data."
        ),
    ] = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """What is in a model file (species, networks, training), or in data (labels, neighbours, suggested settings)."""
    set_up(verbose, quiet)
    from dp_sim.errors import InputError
    from dp_sim.export import DEEPMD_SUFFIXES, is_archive

    if plot is not None and plot.suffix not in PLOT_FORMATS:
        raise InputError(
            f"--plot writes {', '.join(PLOT_FORMATS)}; got '{plot}': give a file name with one of these endings"
        )
    if plot is not None:
        check_folder(plot)
    if Path(source).is_file() and Path(source).suffix in DEEPMD_SUFFIXES:
        raise InputError(
            f"{source} looks like a model of DeePMD-kit; import it first: dp-sim import {source} -o model.pt"
        )
    if not is_archive(Path(source)):
        from dp_sim.cli.data_info import show_data

        return show_data(source, 6.0 if cutoff is None else cutoff, plot)
    if cutoff is not None:
        raise InputError(f"--cutoff is for data; {source} is a model file, whose cutoff is fixed: leave the option out")
    _show_model(Path(source), plot)


def _show_model(model: Path, plot: Path | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from dp_sim.export import load_model, read_metadata
    from dp_sim.recipes.filters import filters_figure

    metadata = read_metadata(model)
    table = Table(title=str(model), title_justify="left", title_style="bold", show_header=False, box=box.SIMPLE)
    rows = {
        "species": " ".join(metadata.species),
        "cutoff": f"{metadata.cutoff:g} Angstrom",
        "precision": metadata.dtype,
        "made with": f"dp-sim {metadata.dp_sim_version}, torch {metadata.torch_version}",
        "SHA-256": metadata.sha256,
        **_flat("model", metadata.config),
        "embedding nets": "tables (compressed)" if metadata.compression else "networks",
        **_flat("compression", metadata.compression),
        **_flat("training", metadata.training),
    }
    for name, value in rows.items():
        table.add_row(name, Text(str(value)))
    Console().print(table)
    if plot is not None:
        save_figure(filters_figure(load_model(model)), plot, "filters")


def save_figure(figure: Figure, target: Path, what: str) -> None:
    """Write a figure whole or not at all, and say so."""
    from dp_sim.atomic_file import atomic_path

    with atomic_path(target) as temporary:
        figure.savefig(temporary)
    typer.echo(f"{what} drawn in {target}")


def _flat(prefix: str, settings: dict[str, Any]) -> dict[str, str]:
    """Nested settings as rows `prefix key: value`; long arrays (a radial distribution, say) as their length."""
    rows: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{prefix} {key.replace('_', ' ')}"
        if isinstance(value, dict):
            rows |= _flat(name, value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, item in enumerate(value, start=1):
                rows |= _flat(f"{name} {number}", item)
        elif isinstance(value, list) and len(value) > 12:
            rows[name] = f"{len(value)} values"
        else:
            rows[name] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return rows
