"""dp-sim info: what a model file says of itself, or what is in data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dp_sim.cli.support.figures import PLOT_FORMATS, save_figure
from dp_sim.cli.support.options import QuietOption, VerboseOption, check_folder, set_up
from dp_sim.cli.support.setting_options import with_options
from dp_sim.config.label_keys import LabelKeySettings
from dp_sim.errors import InputError

#: Neighbours are counted no farther out, Angstrom: their number grows with the cube.
LONGEST_RADIUS = 30.0
#: Of what a model computes from lengths and energies.
_DERIVED_UNITS = {"forces": "eV/Angstrom", "virial": "eV", "stress (ASE)": "eV/Angstrom^3"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(with_options(info, LabelKeySettings))


def info(
    source: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|DATA",
            help="Model file, or folder of a committee; or structures, labelled or not: a file that ASE reads "
            "(FILE@INDEX for a part) or a DeePMD-kit folder.",
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
    strict: Annotated[
        bool, typer.Option("--strict", help="Of data: end with status 2 where anything odd is found.")
    ] = False,
    *,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    **names: Any,
) -> None:
    """Show what is in a model file (species, networks, training) or in data (labels, neighbours, first settings)."""
    set_up(verbose, quiet)
    from dp_sim.files import is_archive
    from dp_sim.model.committee.folder import is_committee

    _check_plot(plot)
    _refuse_deepmd_model(Path(source))
    keys = LabelKeySettings.check(names).label_keys()
    committee = is_committee(Path(source))
    if not (committee or is_archive(Path(source))):
        from dp_sim.cli.commands.models.data_tables import show_data

        return show_data(source, 6.0 if cutoff is None else cutoff, plot, keys=keys, strict=strict, progress=not quiet)
    if cutoff is not None:
        raise InputError(
            "option-not-for-models",
            f"--cutoff is for data; {source} is a model file, whose cutoff is fixed: leave the option out",
        )
    if strict or any(keys.model_dump().values()):
        raise InputError(
            "option-of-data", f"--strict and names of labels are for data; {source} is a model file: leave them out"
        )
    if committee:
        return _show_committee(Path(source), plot)
    _show_model(Path(source), plot)


def _check_plot(plot: Path | None) -> None:
    """Refuse a figure that cannot be written."""
    if plot is None:
        return
    if plot.suffix not in PLOT_FORMATS:
        raise InputError(
            "plot-format-unknown",
            f"--plot writes {', '.join(PLOT_FORMATS)}; got '{plot}': give a file name with one of these endings",
        )
    check_folder(plot)


def _refuse_deepmd_model(source: Path) -> None:
    """Refuse a model of DeePMD-kit, and say how to import it."""
    from dp_sim.model.model_file import DEEPMD_SUFFIXES

    if source.is_file() and source.suffix in DEEPMD_SUFFIXES:
        raise InputError(
            "model-needs-import",
            f"{source} looks like a model of DeePMD-kit; import it first: dp-sim import {source} -o model.pt",
        )


def _show_committee(folder: Path, plot: Path | None) -> None:
    """Show a line for each member; all else is in their own files."""
    from dp_sim.model.committee.folder import read_committee
    from dp_sim.model.model_file import load_model

    first = read_committee(folder).members[0]
    if plot is not None:
        raise InputError("option-not-for-committees", f"--plot draws one model, and {folder} has several; try {first}")
    model = load_model(folder)
    typer.echo(f"{model!r}".strip("<>"))
    for file in model.files:
        typer.echo(f"{Path(file).relative_to(folder)}: {load_model(file)!r}".replace("<Model: ", "").removesuffix(">"))
    typer.echo(f"one member in full: dp-sim info {first}")


def _show_model(model: Path, plot: Path | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from dp_sim.model.metadata import summary
    from dp_sim.model.model_file import load_model
    from dp_sim.recipes.models.filters import filters_figure

    opened = load_model(model)
    metadata = opened.metadata
    table = Table(title=str(model), title_justify="left", title_style="bold", show_header=False, box=box.SIMPLE)
    rows = {
        "species": " ".join(metadata.species),
        "cutoff": f"{metadata.cutoff:g} Angstrom",
        "precision": metadata.dtype,
        "units": ", ".join(f"{quantity} {unit}" for quantity, unit in {**metadata.units, **_DERIVED_UNITS}.items()),
        "parameters": f"{opened.n_parameters:,}",
        "made with": f"dp-sim {metadata.dp_sim_version}, torch {metadata.torch_version}",
        "SHA-256": metadata.sha256,
        **_flat("model", metadata.config),
        "embedding nets": "tables (compressed)" if metadata.compression else "networks",
        **_flat("compression", metadata.compression),
        **_flat("training", metadata.training),
    }
    for name, value in rows.items():
        table.add_row(name, Text(str(value)))
    console = Console()
    console.print(summary(metadata, opened.n_parameters), markup=False, highlight=False, soft_wrap=True)
    console.print(table)
    if plot is not None:
        save_figure(filters_figure(opened), plot, "filters")


def _flat(prefix: str, settings: dict[str, Any]) -> dict[str, str]:
    """Write nested settings as rows `prefix key: value`; long arrays (a radial distribution) as their length."""
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
