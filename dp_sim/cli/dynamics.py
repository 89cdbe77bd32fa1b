"""`dp-sim nve`, `nvt` and `npt`: dynamics with estimators, in ASE or in OpenMM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dp_sim.cli.options import StructureArgument
from dp_sim.cli.recipe_command import RecipeOptions, recipe_command
from dp_sim.cli.structures import read_structure

if TYPE_CHECKING:
    from dp_sim.recipes.results import Result

PANEL = "Dynamics"

TemperatureOption = Annotated[float | None, typer.Option("--temperature", "-T", help="Temperature in K.")]
StepsOption = Annotated[int | None, typer.Option(help="Time steps in all, earlier sessions included.")]
TimestepOption = Annotated[
    float | None, typer.Option("--timestep", help="Time step in fs; chosen by the lightest atom if not given.")
]
EngineOption = Annotated[str | None, typer.Option(help="ase, or openmm (dp-sim models only).")]
FrictionOption = Annotated[float | None, typer.Option("--friction", help="Friction of the thermostat in 1/ps.")]
HydrogenMassOption = Annotated[
    float | None,
    typer.Option("--hydrogen-mass", help="Mass of hydrogens in amu, taken from their heavy atoms; 4 allows 2 fs."),
]
SampleOption = Annotated[int | None, typer.Option(help="Steps between lines of thermo.csv.")]
FrameOption = Annotated[int | None, typer.Option(help="Steps between frames of the trajectory.")]
BackendOption = Annotated[str | None, typer.Option(help="OpenMM: torchscript, python or auto.")]
PlatformOption = Annotated[str | None, typer.Option(help="OpenMM: CUDA, CPU, Reference, ...")]


def register(app: typer.Typer) -> None:
    add = recipe_command(app, panel=PANEL)
    add(nve, recipe="dp_sim.recipes.nve:run_nve")
    add(nvt, recipe="dp_sim.recipes.nvt:run_nvt")
    add(npt, recipe="dp_sim.recipes.npt:run_npt")


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
    from dp_sim.recipes.nve import run_nve

    return run_nve(read_structure(structure), options.calculator(), **options.settings)


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
    from dp_sim.recipes.nvt import run_nvt

    return run_nvt(read_structure(structure), options.calculator(), **options.settings)


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
    from dp_sim.recipes.npt import run_npt

    return run_npt(read_structure(structure), options.calculator(), **options.settings)
