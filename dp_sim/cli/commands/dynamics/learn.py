"""dp-sim learn: dynamics with a committee that is labelled and retrained where it is unsure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dp_sim.cli.support.calculator_choice import parse_arguments
from dp_sim.cli.support.config_file import ConfigOption, naming_config
from dp_sim.cli.support.ending import end
from dp_sim.cli.support.options import (
    DeviceOption,
    DtypeOption,
    OutOption,
    OverwriteOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    StructureArgument,
    ThreadsOption,
    VerboseOption,
    set_up,
)
from dp_sim.cli.support.output_directory import check_output, naming_output, output_directory
from dp_sim.cli.support.setting_options import with_options
from dp_sim.errors import InputError
from dp_sim.recipes.learning.settings import LearnSettings

_MEMBERS = "Committee"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command = with_options(learn, LearnSettings)
    app.command(LearnSettings.recipe, help=LearnSettings.__doc__)(command)


def learn(
    context: typer.Context,
    structure: StructureArgument,
    product: Annotated[
        str | None,
        typer.Argument(metavar="[PRODUCT]", help="The other end, for --along neb.", show_default=False),
    ] = None,
    *,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "-m",
            "--model",
            metavar="FILE",
            help="Folder of the committee, or its model files; without, --train makes one.",
            rich_help_panel=_MEMBERS,
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="What computes labels: emt, tblite:GFN2-xTB or package.module:Class. (required)",
            rich_help_panel=_MEMBERS,
        ),
    ] = None,
    label_arg: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Argument of the label calculator; repeat it for more.", rich_help_panel=_MEMBERS
        ),
    ] = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    out: OutOption = None,
    config: ConfigOption = None,
    seed: SeedOption = LearnSettings.model_fields["seed"].default,
    threads: ThreadsOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    **own: Any,
) -> None:
    """Check, read, run and end."""
    set_up(verbose, quiet, threads)
    own["seed"] = seed
    directory = output_directory(out, structure, LearnSettings.recipe, again=resume or overwrite)
    with naming_config(context):
        _check_complete(label, own)
        LearnSettings.check(own)
        check_output(directory, overwrite=overwrite, resume=resume)
        from dp_sim.cli.support.structure_files import naming, read_structure
        from dp_sim.recipes.inputs.calculators import as_calculator, calculator_from_spec
        from dp_sim.recipes.learning.learn import learn as run_learning

        with naming(structure):
            structures = [read_structure(name) for name in (structure, product) if name is not None]
            source = context.get_parameter_source("label")
            typed = source is not None and source.name == "COMMANDLINE"
            reference = calculator_from_spec(label or "", parse_arguments(label_arg or []), may_import=typed)
            members = None if not model else as_calculator(model, device=device, dtype=dtype)
            with naming_output(out, directory, resumable=True, quiet=quiet):
                result = run_learning(
                    structures,
                    members,
                    reference,
                    out=directory,
                    overwrite=overwrite,
                    resume=resume,
                    progress=not quiet,
                    **own,
                )
    end(result, directory, quiet=quiet)


def _check_complete(label: str | None, own: dict[str, Any]) -> None:
    """Refuse a run without what has no default; it may come by flag or by file."""
    if label is None:
        raise InputError(
            "setting-missing", "the label calculator is missing; give --label SPEC, or label in the --config file"
        )
    if own["threshold"] is None:
        raise InputError(
            "setting-missing", "the setting threshold is missing; give --threshold, or threshold in the --config file"
        )
