"""Tables of the settings, from the types of the configuration: training, models, and every recipe."""

from __future__ import annotations

import re
import types
from importlib import import_module
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dp_sim.config.model import ModelConfig
from dp_sim.config.recipe import RecipeSettings, described, expectation, phrase
from dp_sim.config.training import DataConfig, LossConfig, TrainConfig, TrainingConfig

#: Keys of a training input that hold other keys.
SECTIONS = {"model": ModelConfig, "data": DataConfig, "loss": LossConfig, "training": TrainingConfig}
#: Modules whose recipes have settings.
ROOMS = (
    "static.settings",
    "crystals.settings",
    "dynamics.settings",
    "analysis.settings",
    "paths.band.settings",
    "paths.saddle.settings",
    "paths.irc.settings",
    "paths.rates.settings",
    "learning.settings",
    "campaigns.settings",
)


def text() -> str:
    """Return a section for the training input, then one for each recipe."""
    parts = ["## Training input\n\n" + _table({k: v for k, v in TrainConfig.model_fields.items() if k not in SECTIONS})]
    parts += [f"### {name}\n\n{_first(kind)}\n\n{_table(kind.model_fields)}" for name, kind in SECTIONS.items()]
    parts.append(
        "## Recipes\n\nKeys of a `--config` file and keywords in Python; the options of the commands come from them.\n"
    )
    parts += [f"### {kind.recipe}\n\n{_first(kind)}\n\n{_recipe_table(kind)}" for kind in recipes()]
    return "\n".join(parts)


def recipes() -> list[type[RecipeSettings]]:
    """Return the settings of all recipes, in the order of their rooms."""
    found: list[type[RecipeSettings]] = []
    for room in ROOMS:
        module = import_module(f"dp_sim.recipes.{room}")
        kinds = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, RecipeSettings)]
        found += [one for one in kinds if "recipe" in vars(one) and one not in found]
    return found


def _table(fields: dict[str, FieldInfo]) -> str:
    rows = [
        f"| `{name}` | {_cell(info.description or '')} | {_type(info.annotation)} | {_default(info)} |"
        for name, info in fields.items()
    ]
    return "| key | meaning | type | default |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _recipe_table(kind: type[RecipeSettings]) -> str:
    rows = []
    for name, info in kind.model_fields.items():
        meaning = f"{phrase(info)}. {described(info)['detail']}".strip()
        rows.append(f"| `{name}` | {_cell(meaning)} | {_cell(expectation(info))} | {_default(info)} |")
    return "| key | meaning | value | default |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _first(kind: type) -> str:
    return _cell((kind.__doc__ or "").strip().splitlines()[0])


def _default(info: FieldInfo) -> str:
    if info.is_required() or info.default is PydanticUndefined:
        return "must be given"
    plain = info.default.model_dump() if hasattr(info.default, "model_dump") else info.default
    return (
        "" if plain is None or plain == () or plain == {} else f"`{list(plain) if isinstance(plain, tuple) else plain}`"
    )


def _type(annotation: Any) -> str:
    """Write a type as a person would: `number`, `list of text`, `adam | soap | rlekf`."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in inside)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(one) for one in inside if one is not types.NoneType)
    if origin is tuple:
        return f"list of {_type(inside[0])}"
    if origin is dict:
        return f"mapping of {_type(inside[0])} to {_type(inside[1])}"
    if origin is not None:  # Annotated
        return _type(inside[0])
    return {int: "whole number", float: "number", bool: "true or false", str: "text"}.get(annotation, "mapping")


def _cell(words: str) -> str:
    return re.sub(r"([|<>*_\[\]\\$])", r"\\\1", " ".join(words.split()))
