"""dp-sim nvt: dynamics at constant volume and temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    recipe_command(app, panel=DYNAMICS)(nvt, recipe="dp_sim.recipes.dynamics.nvt:run_nvt")


def nvt(
    options: RecipeOptions,
    structure: StructureArgument,
    temperature_K: TemperatureOption = None,
    steps: StepsOption = None,
    timestep_fs: TimestepOption = None,
    engine: EngineOption = None,
    friction_per_ps: FrictionOption = None,
    hydrogen_mass_amu: HydrogenMassOption = None,
    sample_every: SampleOption = None,
    frame_every: FrameOption = None,
    backend: BackendOption = None,
    platform: PlatformOption = None,
) -> Result:
    """Dynamics at constant volume and temperature, with the heat capacity."""
    from dp_sim.recipes.dynamics.nvt import run_nvt

    return run_nvt(read_structure(structure), options.calculator(), **options.settings)
