"""Command-line options from the settings of a recipe: name, type, default, help and choices."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo

from dp_sim.config.recipe import RecipeSettings, described, phrase, plain_type


def option_parameters(settings: type[RecipeSettings]) -> list[inspect.Parameter]:
    """Return one keyword for each setting but the seed, which all recipes share, as typer reads them.

    What must be given stands first.
    """
    own = [(name, info) for name, info in settings.model_fields.items() if name != "seed"]
    return [_parameter(name, info) for name, info in sorted(own, key=lambda one: not one[1].is_required())]


def with_options(command: Callable[..., None], settings: type[RecipeSettings]) -> Callable[..., None]:
    """Give a command an option for each setting, in place of its `**own`.

    Parameters
    ----------
    command
        Its positional parameters stand before the settings in the help, its keyword-only ones after them.
    settings
        Of the recipe that it calls.

    Returns
    -------
    callable
        The command, with the signature that typer reads.
    """
    signature = inspect.signature(command, eval_str=True)
    kind = inspect.Parameter
    own = [one for one in signature.parameters.values() if one.kind is not kind.VAR_KEYWORD]
    before = [one.replace(kind=kind.KEYWORD_ONLY) for one in own if one.kind is kind.POSITIONAL_OR_KEYWORD]
    after = [one for one in own if one.kind is kind.KEYWORD_ONLY]

    @functools.wraps(command)
    def called(**values: Any) -> None:
        command(**values)

    called.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*before, *option_parameters(settings), *after]
    )
    return called


def flags_of(name: str, info: FieldInfo) -> tuple[str, ...]:
    """Return the names of a setting's option; those of a switch are one, with what turns it off."""
    flags: tuple[str, ...] = described(info)["flags"] or ("--" + name.replace("_", "-"),)
    if info.annotation is bool:
        flags = (f"{flags[0]}/--no-{flags[0].removeprefix('--')}", *flags[1:])
    return flags


def _parameter(name: str, info: FieldInfo) -> inspect.Parameter:
    extra = described(info)
    kind, is_list, optional = plain_type(info.annotation)
    choices = extra["choices"]
    option = typer.Option(
        *flags_of(name, info),
        help=_help(info),
        metavar=extra["metavar"] or "|".join(choices) or None,
        autocompletion=_completion(choices) if choices else None,
        rich_help_panel=extra["panel"] or None,
    )
    typed: Any = list[kind] if is_list else kind  # type: ignore[valid-type]
    required = info.is_required()
    default = None if required else list(info.default) if is_list else info.default
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        # A setting that must be given may be given by the --config file too: no option is required by typer.
        annotation=Annotated[typed | None if optional or required else typed, option],
    )


def _help(info: FieldInfo) -> str:
    return f"{phrase(info)}. (required)" if info.is_required() else f"{phrase(info)}."


def _completion(choices: tuple[str, ...]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete
