"""dp-sim eval: one evaluation of a structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from dp_sim.cli.support.either_order import ModelFirst, tell_model
from dp_sim.cli.support.recipe_command import Inputs, add_recipe
from dp_sim.errors import InputError
from dp_sim.recipes.static.settings import EvalSettings

StructureAfter = Annotated[
    str | None,
    typer.Argument(
        metavar="STRUCTURE",
        help="Structure file in any format ASE reads; FILE@INDEX picks one of several.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    arguments = {"first": ModelFirst, "second": StructureAfter}
    add_recipe(app, EvalSettings, arguments=arguments, sort_inputs=_sorted)


def _sorted(values: Mapping[str, Any]) -> Inputs:
    names = [name for name in (values["first"], values["second"]) if name is not None]
    chosen = bool(values["model"] or values["calculator"])
    models, structures = tell_model(names, chosen_by_option=chosen, needed="eval needs a model and a structure")
    if len(structures) > 1:
        raise InputError("argument-unexpected", f"eval takes one structure, got {' and '.join(structures)}")
    return Inputs(structures, models)
