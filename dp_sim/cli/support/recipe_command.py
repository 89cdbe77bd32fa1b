"""From the settings of a recipe to its command: options, files, a summary and an exit status."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

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
    StartAgainOption,
    StructureArgument,
    ThreadsOption,
    VerboseOption,
    set_up,
)
from dp_sim.cli.support.output_directory import check_output, naming_output, output_directory
from dp_sim.cli.support.setting_options import flags_of, option_parameters
from dp_sim.cli.support.structure_files import naming, read_one_or_several, read_structure
from dp_sim.config.recipe import RecipeSettings
from dp_sim.errors import InputError

#: Name -> type and default of the options that every recipe's command has after its own, in the order of the help.
SHARED: Mapping[str, tuple[Any, Any]] = {
    "model": (ModelOption, None),
    "calculator": (CalculatorOption, None),
    "calculator_arg": (CalculatorArgOption, None),
    "device": (DeviceOption, None),
    "dtype": (DtypeOption, None),
    "out": (OutOption, None),
    "config": (ConfigOption, None),
    "seed": (SeedOption, RecipeSettings.model_fields["seed"].default),
    "threads": (ThreadsOption, None),
    "resume": (ResumeOption, False),
    "overwrite": (OverwriteOption, False),
    "verbose": (VerboseOption, 0),
    "quiet": (QuietOption, False),
}


@dataclass(frozen=True)
class Inputs:
    """What the positional arguments of a command named.

    Attributes
    ----------
    structures
        Structure files, in the order in which the recipe takes them.
    models
        Model files among the positional arguments.
    """

    structures: Sequence[str]
    models: Sequence[str] = ()


def add_recipe(
    app: typer.Typer,
    settings: type[RecipeSettings],
    *,
    arguments: Mapping[str, Any] | None = None,
    sort_inputs: Callable[[Mapping[str, Any]], Inputs] | None = None,
) -> None:
    """Add the command of a recipe: a keyword for each argument, setting and shared option, as typer reads them.

    Parameters
    ----------
    app
        The application.
    settings
        Of the recipe: the command's name, its help (the first line of the docstring), its own options.
    arguments
        Name -> type of the positional arguments; one structure by default.
    sort_inputs
        Tells structures from models where the arguments may be either; by default all are structures.
    """
    arguments = {"structure": StructureArgument} if arguments is None else arguments

    def command(**values: Any) -> None:
        given = {name: values[name] for name in arguments}
        inputs = Inputs([str(name) for name in given.values()]) if sort_inputs is None else sort_inputs(values)
        _run(settings, inputs, values)

    shared = SHARED if settings.resumable else {**SHARED, "resume": (StartAgainOption, False)}
    keyword = inspect.Parameter.KEYWORD_ONLY
    command.__doc__ = inspect.getdoc(settings)
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("context", keyword, annotation=typer.Context),
            *(_argument(name, annotation) for name, annotation in arguments.items()),
            *option_parameters(settings),
            *(inspect.Parameter(name, keyword, default=d, annotation=t) for name, (t, d) in shared.items()),
        ]
    )
    app.command(settings.recipe, cls=_RecipeCommand)(command)


def _argument(name: str, annotation: Any) -> inspect.Parameter:
    default = None if type(None) in getattr(annotation.__origin__, "__args__", ()) else inspect.Parameter.empty
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _run(settings: type[RecipeSettings], inputs: Inputs, values: Mapping[str, Any]) -> None:
    """Check, say where files go, call the recipe and end."""
    context, quiet, resume, overwrite = (values[name] for name in ("context", "quiet", "resume", "overwrite"))
    set_up(values["verbose"], quiet, values["threads"])
    choice = _calculator_choice(context, values, inputs.models)
    own = {name: values[name] for name in settings.model_fields}
    directory = output_directory(values["out"], inputs.structures[0], settings.recipe, again=resume or overwrite)
    with naming_config(context), naming(" and ".join(inputs.structures)):
        _check_complete(settings, own)
        settings.check(own)
        check_output(directory, overwrite=overwrite, resume=resume)
        read = read_one_or_several if settings.takes_several else read_structure
        structures = [read(name) for name in inputs.structures]
        calculator = choice.make()
        recipe = _load(settings.function)
        with naming_output(values["out"], directory, resumable=settings.resumable, quiet=quiet):
            result = recipe(
                *structures, calculator, out=directory, overwrite=overwrite, resume=resume, progress=not quiet, **own
            )
    end(result, directory, quiet=quiet)


def _calculator_choice(context: Any, values: Mapping[str, Any], models: Sequence[str]) -> CalculatorChoice:
    """Return what stands for the calculator; a model or calculator on the command line replaces both of the file's."""

    def typed(name: str) -> bool:
        source = context.get_parameter_source(name)
        return source is not None and source.name == "COMMANDLINE"

    names = ("model", "calculator", "calculator_arg", "device", "dtype")
    chosen = {name: values[name] for name in names}
    if models or typed("model") or typed("calculator"):
        chosen = {name: value if typed(name) else None for name, value in chosen.items()}
    return CalculatorChoice(
        model=[*map(Path, models), *(chosen["model"] or [])] or None,
        spec=chosen["calculator"],
        arguments=chosen["calculator_arg"],
        device=chosen["device"],
        dtype=chosen["dtype"],
        may_import=typed("calculator"),
    )


def _check_complete(settings: type[RecipeSettings], own: Mapping[str, Any]) -> None:
    """Refuse a run without a setting that has no default; it may come by flag or by file."""
    for name, info in settings.model_fields.items():
        if info.is_required() and own[name] is None:
            flag = flags_of(name, info)[0]
            raise InputError(
                "setting-missing", f"the setting {name} is missing; give {flag}, or {name} in the --config file"
            )


def _load(function: str) -> Callable[..., Any]:
    module, _, name = function.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


class _RecipeCommand(TyperCommand):
    """A command whose errors about a value name the --config file that gave it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.allow_extra_args = True  # refused below, with what to do
        try:
            with naming_config(ctx):
                left = super().parse_args(ctx, args)
        except typer.TyperException as error:
            if "Missing argument" not in error.format_message():
                raise
            raise InputError("argument-missing", f"{error.format_message()} {_USAGE.format(self.name)}") from error
        if ctx.args and not ctx.resilient_parsing:
            wanted = [param.name for param in self.params if param.param_type_name == "argument"]
            raise _too_many(
                str(self.name),
                [str(ctx.params[name]) for name in wanted],
                [str(extra) for extra in ctx.args],
                model_among="model" in wanted,
            )
        return left


#: How structures and models are given.
_USAGE = "-m takes the model: dp-sim {} STRUCTURE -m MODEL"


def _too_many(command: str, taken: list[str], extra: list[str], *, model_among: bool) -> InputError:
    """Make the error for an argument too many: often the model, which stands without its option."""
    from dp_sim.cli.support.either_order import looks_like_a_model

    models = [] if model_among else [name for name in (*taken, *extra) if looks_like_a_model(Path(name))]
    advice = f"the model is given as -m {models[0]}" if models else "settings are given as options, with their names"
    return InputError("argument-unexpected", f"'{extra[0]}' is one argument too many for {command}; {advice}")
