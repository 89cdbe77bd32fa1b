"""dp-sim nve: dynamics at constant energy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from dp_sim.cli.commands.dynamics.settings import (
    BackendOption,
    EngineOption,
    FrameOption,
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
    recipe_command(app, panel=DYNAMICS)(nve, recipe="dp_sim.recipes.dynamics.nve:run_nve")


def nve(
    options: RecipeOptions,
    structure: StructureArgument,
    steps: StepsOption = None,
    temperature_K: TemperatureOption = None,
    timestep_fs: TimestepOption = None,
    engine: EngineOption = None,
    sample_every: SampleOption = None,
    frame_every: FrameOption = None,
    backend: BackendOption = None,
    platform: PlatformOption = None,
) -> Result:
    """Dynamics at constant energy, with its drift."""
    from dp_sim.recipes.dynamics.nve import run_nve

    return run_nve(read_structure(structure), options.calculator(), **options.settings)
