"""dp-sim export: a model of dp-sim in the form of another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dp_sim.cli.support.options import (
    QuietOption,
    ReplaceOption,
    TargetOption,
    VerboseOption,
    check_new_folder,
    check_target,
    set_up,
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(export)


def export(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="Model file of dp-sim; with lammps also the folder of a committee.",
            show_default=False,
        ),
    ],
    out: TargetOption,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="deepmd: DeePMD-kit's .dp or .yaml; lammps: .dpsim for pair_style dp_sim.",
            autocompletion=lambda: ["deepmd", "lammps"],
        ),
    ] = "deepmd",
    sel: Annotated[
        str | None,
        typer.Option(metavar="N,N,...", help="Most neighbours of each species that an atom may have there."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Structures whose most neighbours, and a third more, become --sel."),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(metavar="TYPE", help="lammps: float32 or float64 (default: that of the model).")
    ] = None,
    overwrite: ReplaceOption = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Write a model in the form of another program, with the same numbers.

    `dp convert-backend` makes .pth and .pb of DeePMD-kit's form.
    """
    set_up(verbose, quiet)
    from dp_sim.deepmd.exporting import export_model, sel_from_structures
    from dp_sim.errors import InputError, choose

    choose("--format", form, ("deepmd", "lammps"))
    if form == "lammps":
        if sel is not None or data:
            raise InputError("option-not-for-format", "--sel and --data belong to --format deepmd; leave them out")
        return _export_for_lammps(model, out, dtype, overwrite, quiet)
    check_target(out, model, overwrite)
    if dtype is not None:
        raise InputError("option-not-for-format", "--dtype belongs to --format lammps; leave it out")
    if sel is not None and data:
        raise InputError(
            "options-exclude-each-other", "--sel and --data both say how many neighbours there may be; give one of them"
        )
    try:
        given = () if sel is None else tuple(int(number) for number in sel.split(","))
    except ValueError:
        raise InputError(
            "sel-not-whole-numbers", f"--sel takes whole numbers with commas between them, like 46,92; got '{sel}'"
        ) from None
    content = export_model(model, out, sel_from_structures(model, [str(file) for file in data]) if data else given)
    if not quiet:
        listed = " ".join(f"{t} {n}" for t, n in zip(content.types, content.descriptors[0].sel, strict=True))
        typer.echo(f"{out}: at most so many neighbours: {listed}; dp convert-backend {out} model.pth (or .pb) next")


def _export_for_lammps(model: Path, out: Path, dtype: str | None, overwrite: bool, quiet: bool) -> None:
    """Write a model, or each member of a committee into a folder, for pair_style dp_sim."""
    from dp_sim.model.committee.folder import is_committee, read_committee
    from dp_sim.model.kernel_export import SUFFIX, export_for_kernels
    from dp_sim.model.model_file import load_model

    if is_committee(model):
        check_new_folder(out, overwrite)
        members = read_committee(model).members
        load_model(model)  # members that do not belong together are refused before the first is written
        out.mkdir(exist_ok=True)
        targets = [out / f"member-{number}{SUFFIX}" for number in range(len(members))]
    else:
        check_target(out, model, overwrite)
        members, targets = (model,), [out]
    described = [export_for_kernels(one, target, dtype=dtype) for one, target in zip(members, targets, strict=True)]
    if not quiet:
        typer.echo(f"{out}: {described[0]}; pair_style dp_sim {' '.join(map(str, targets))}")
