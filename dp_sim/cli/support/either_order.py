"""MODEL STRUCTURE, STRUCTURE MODEL, or STRUCTURE -m MODEL: for commands that take a model and something else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dp_sim.errors import InputError
from dp_sim.files import is_archive
from dp_sim.model.committee.folder import is_committee

#: Ends of the names of model files, ours and DeePMD-kit's.
MODEL_SUFFIXES = (".pt", ".pth", ".dp", ".pb")

ModelFirst = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="Model file, or folder of a committee; may be given with -m instead.", show_default=False
    ),
]


def tell_model(names: Sequence[str], *, chosen_by_option: bool, needed: str) -> tuple[list[str], list[str]]:
    """Tell the model among positional arguments from the rest, whichever stands first.

    Parameters
    ----------
    names
        The positional arguments.
    chosen_by_option
        Whether an option or a file says what to calculate with, so that all of them may be something else.
    needed
        What the command needs, for the message.

    Returns
    -------
    models
        The model file, if there is one.
    others
        The rest.

    Raises
    ------
    InputError
        There is nothing but a model.
    """
    at = next((number for number, name in enumerate(names) if looks_like_a_model(Path(name))), None)
    if at is None and not chosen_by_option:
        at = 0  # a model by its place, which opening it will tell
    models = [] if at is None else [names[at]]
    others = [name for number, name in enumerate(names) if number != at]
    if not others:
        raise InputError("argument-missing", f"{needed}, got only {names[0]}; the model may be given with -m")
    return models, others


def looks_like_a_model(path: Path) -> bool:
    """Tell by its name or content whether a path is a model, or the folder of a committee."""
    return path.suffix in MODEL_SUFFIXES or is_archive(path) or is_committee(path)
