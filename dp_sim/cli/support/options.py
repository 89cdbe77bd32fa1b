"""The options that commands share, each defined once, and what turns a recipe's options into a call of the recipe."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

SELECTION = "Model or calculator"
RUN = "Run"
StructureArgument = Annotated[
    str,
    typer.Argument(
        metavar="STRUCTURE",
        help="Structure file in any format ASE reads; FILE@INDEX picks one of several.",
        show_default=False,
    ),
]


def structure_argument(metavar: str, meaning: str) -> Any:
    """Return the type of a positional argument that names a structure file."""
    return Annotated[str, typer.Argument(metavar=metavar, help=meaning, show_default=False)]


ModelOption = Annotated[
    list[Path] | None,
    typer.Option(
        "-m",
        "--model",
        metavar="FILE",
        help="Model file, or folder of a committee; repeat a file for more members.",
        rich_help_panel=SELECTION,
    ),
]
CalculatorOption = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="emt, tblite:GFN2-xTB or package.module:Class, in place of a model.",
        rich_help_panel=SELECTION,
    ),
]
CalculatorArgOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE", help="Argument of the calculator; repeat it for more.", rich_help_panel=SELECTION
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="Where a model runs: cpu, cuda, ...",
        rich_help_panel=SELECTION,
        autocompletion=lambda: ["cpu", "cuda"],
    ),
]
DtypeOption = Annotated[
    str | None,
    typer.Option(
        metavar="DTYPE",
        help="Precision of a model: float32 or float64.",
        rich_help_panel=SELECTION,
        autocompletion=lambda: ["float32", "float64"],
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("-o", "--out", metavar="DIR", help="Directory for all files of the run.", rich_help_panel=RUN),
]
TargetOption = Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="File to write.", show_default=False)]
SeedOption = Annotated[int | None, typer.Option(help="Seed of every random number.", rich_help_panel=RUN)]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, help="Processor threads to use (default: all).", rich_help_panel=RUN)
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue the run in DIR.", rich_help_panel=RUN)]
#: Of recipes that cannot go on half-way.
StartAgainOption = Annotated[
    bool,
    typer.Option("--resume", help="Start again in DIR: this run does not continue half-way.", rich_help_panel=RUN),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the run in DIR.", rich_help_panel=RUN)]
ReplaceOption = Annotated[bool, typer.Option("--overwrite", help="Replace FILE.", rich_help_panel=RUN)]
VerboseOption = Annotated[
    int,
    typer.Option(
        "-v",
        "--verbose",
        count=True,
        metavar="",
        help="Say more; -vv shows tracebacks.",
        show_default=False,
        rich_help_panel=RUN,
    ),
]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.", rich_help_panel=RUN)]


def check_target(out: Path, source: Path, overwrite: bool) -> None:
    """Refuse to write on a file that is there, unless asked to; and on the source in any case."""
    from dp_sim.errors import InputError

    if out.exists() and source.exists() and out.samefile(source):
        raise InputError("target-is-source", f"{out} is the file to read; choose another name for the one to write")
    if out.exists() and not overwrite:
        raise InputError("target-exists", f"{out} exists; choose another name, or --overwrite replaces it")
    check_folder(out)


def check_new_folder(out: Path, overwrite: bool) -> None:
    """Refuse to write a committee's folder where something is; folders are not replaced."""
    from dp_sim.errors import InputError

    if overwrite or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise InputError(
            "target-occupied",
            f"a committee goes into a new folder, and {out} is to be replaced or is not empty; "
            "choose another name, and leave --overwrite out",
        )
    check_folder(out)


def check_folder(out: Path) -> None:
    """Refuse a file to write whose folder is not there, before any work."""
    from dp_sim.errors import InputError

    if not out.parent.is_dir():
        raise InputError(
            "folder-missing", f"cannot write {out}: there is no folder {out.parent}; make it, or choose another name"
        )


def set_up(verbose: int = 0, quiet: bool = False, threads: int | None = None) -> None:
    """Set verbosity and threads, before anything heavy is imported: numerical libraries read the variable only then."""
    import logging

    from dp_sim.errors import InputError

    if verbose and quiet:
        raise InputError("options-exclude-each-other", "-v and -q exclude each other; give one of them")
    level = logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.getLogger("dp_sim").setLevel(level)
    # Threads that spin while they wait take the cores from those that work where another program runs too: a small
    # training beside one, both with two threads on two cores, was a hundred times slower than with threads that sleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)


ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Model file, or folder of a committee.", show_default=False)
]
