"""dp-sim npt: dynamics at constant pressure and temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dp_sim.cli.commands.dynamics.settings import (
    BackendOption,
    EngineOption,
    FrameOption,
    FrictionOption,
    HydrogenMassOption,
    PlatformOption,
    SampleOption,
    StepsOption,
    TemperatureOption,
    TimestepOption,
)
from dp_sim.cli.support.options import StructureArgument
from dp_sim.cli.support.panels import DYNAMICS
from dp_sim.cli.support.recipe_command import RecipeOptions, recipe_command
from dp_sim.cli.support.structures import read_structure

if TYPE_CHECKING:
    from dp_sim.recipes.results.result import Result


def register(app: typer.Typer) -> None:
    recipe_command(app, panel=DYNAMICS)(npt, recipe="dp_sim.recipes.dynamics.npt:run_npt")


def npt(
    options: RecipeOptions,
    structure: StructureArgument,
    temperature_K: TemperatureOption = None,
    steps: StepsOption = None,
    pressure_bar: Annotated[float | None, typer.Option("--pressure", "-p", help="Pressure in bar.")] = None,
    timestep_fs: TimestepOption = None,
    engine: EngineOption = None,
    friction_per_ps: FrictionOption = None,
    hydrogen_mass_amu: HydrogenMassOption = None,
    sample_every: SampleOption = None,
    frame_every: FrameOption = None,
    backend: BackendOption = None,
    platform: PlatformOption = None,
) -> Result:
    """Dynamics at constant pressure and temperature: density, compressibility, expansion, heat capacity."""
    from dp_sim.recipes.dynamics.npt import run_npt

    return run_npt(read_structure(structure), options.calculator(), **options.settings)
