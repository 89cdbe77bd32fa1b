"""Options that the commands of dynamics share."""

from __future__ import annotations

from typing import Annotated

import typer

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
