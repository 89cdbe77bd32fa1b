"""From a function with a recipe's options to a command with every shared option, a summary and an exit status."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperOption

from dp_sim.cli.support.calculator_choice import CalculatorChoice
from dp_sim.cli.support.config_file import ConfigOption, naming_config
from dp_sim.cli.support.ending import end
from dp_sim.cli.support.options import (
    CalculatorArgOption,
    CalculatorOption,
    DeviceOption,
    DtypeOption,
    ModelOption,
    OutOption,
    OverwriteOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    ThreadsOption,
    VerboseOption,
    set_up,
)
from dp_sim.cli.support.structures import naming
from dp_sim.errors import InputError

if TYPE_CHECKING:
    from dp_sim.recipes.results.result import Result


@dataclass(frozen=True)
class RecipeOptions:
    """What a recipe's command hands to the recipe.

    settings   the options that the user gave, by the recipe's own names, with out, overwrite, resume, progress and seed
    choice     the calculator that was asked for
    """

    settings: dict[str, Any]
    choice: CalculatorChoice

    def calculator(self) -> Any:
        """The ASE calculator that the user asked for; see `CalculatorChoice.make`."""
        return self.choice.make()


def _shared_options(
    context: typer.Context,
    model: ModelOption = None,
    calculator: CalculatorOption = None,
    calculator_arg: CalculatorArgOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    out: OutOption = None,
    config: ConfigOption = None,
    seed: SeedOption = None,
    threads: ThreadsOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> RecipeOptions:
    """The options of every recipe; the body reads them."""
    set_up(verbose, quiet, threads)

    def typed(name: str) -> bool:
        source = context.get_parameter_source(name)
        return source is not None and source.name == "COMMANDLINE"

    # A model or calculator on the command line replaces what the file says of either.
    chosen: dict[str, Any] = {
        "model": model,
        "device": device,
        "dtype": dtype,
        "spec": calculator,
        "arguments": calculator_arg,
    }
    flags = {"spec": "calculator", "arguments": "calculator_arg"}
    if typed("model") or typed("calculator"):
        chosen = {name: value if typed(flags.get(name, name)) else None for name, value in chosen.items()}
    choice = CalculatorChoice(**chosen, may_import=typed("calculator"))
    settings: dict[str, Any] = {"out": out, "overwrite": overwrite, "resume": resume, "progress": not quiet}
    if seed is not None:
        settings["seed"] = seed
    return RecipeOptions(settings, choice)


def recipe_command(app: typer.Typer, *, panel: str) -> Callable[..., None]:
    """A function that adds commands to `app`, shown under `panel` in the help.

    `add(function, recipe="module:function")` makes a command of `function(options, STRUCTURES..., settings...)`, which
    calls the recipe and returns its result. The settings are named as the recipe's keywords and are None by default:
    the recipe holds the defaults, and the help shows them from there.
    """

    def add(function: Callable[..., Result], *, recipe: str, name: str | None = None) -> None:
        hints = {key: hint for key, hint in function.__annotations__.items() if key not in ("return", "options")}
        hints = get_type_hints(SimpleNamespace(__annotations__=hints), function.__globals__, include_extras=True)
        own = [p.replace(annotation=hints[p.name]) for p in list(inspect.signature(function).parameters.values())[1:]]
        shared_hints = get_type_hints(_shared_options, include_extras=True)
        shared = [
            p.replace(annotation=shared_hints[p.name]) for p in inspect.signature(_shared_options).parameters.values()
        ]
        shared_names = {parameter.name for parameter in shared}

        def command(**values: Any) -> None:
            options = _shared_options(**{key: value for key, value in values.items() if key in shared_names})
            given = {key: value for key, value in values.items() if key not in shared_names and value is not None}
            arguments = {p.name: values[p.name] for p in own}
            inputs = {p.name for p in own if p.default is p.empty}
            options.settings.update({key: value for key, value in given.items() if key not in inputs})
            _check_complete(recipe, options.settings, own)
            structures = " and ".join(str(values[p.name]) for p in own if p.name in inputs)
            with naming_config(values["context"]), naming(structures):
                result = function(options, **arguments)
            end(result, quiet=values["quiet"])

        command.__doc__ = function.__doc__
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in [*own, *shared]]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        kind = type("RecipeCommand", (_RecipeCommand,), {"recipe": recipe})
        app.command(name or function.__name__, cls=kind, rich_help_panel=panel)(command)

    return add


def _recipe_parameters(recipe: str) -> dict[str, inspect.Parameter]:
    module, _, function = recipe.partition(":")
    return dict(inspect.signature(getattr(importlib.import_module(module), function)).parameters)


def _check_complete(recipe: str, settings: dict[str, Any], own: Sequence[inspect.Parameter]) -> None:
    """Settings that the recipe has no default for must be given, by flag or by file."""
    flags = {p.name: p for p in own if p.default is not p.empty}
    for name, parameter in _recipe_parameters(recipe).items():
        if name in flags and parameter.default is parameter.empty and name not in settings:
            flag = next(iter(flags[name].annotation.__metadata__[0].param_decls or ()), "--" + name.replace("_", "-"))
            raise InputError(
                "setting-missing", f"the setting {name} is missing; give {flag}, or {name} in the --config file"
            )


class _RecipeCommand(TyperCommand):
    """A command whose help shows the recipe's own defaults."""

    recipe: str

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with naming_config(ctx):
            return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        defaults = _recipe_parameters(self.recipe)
        for option in self.params:
            parameter = defaults.get(option.name or "")
            if parameter is None or not isinstance(option, TyperOption) or option.default is not None:
                continue
            if parameter.default is parameter.empty:
                option.help = f"{option.help} (required)"
            else:
                option.default = parameter.default
        super().format_help(ctx, formatter)
