"""Settings of the analysis of a trajectory."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from dp_sim.config.recipe import RecipeSettings, setting
from dp_sim.errors import InputError
from dp_sim.recipes.analysis.trajectory.lammps_units import LAMMPS_UNITS
from dp_sim.recipes.analysis.trajectory.motion import THERMOSTATS

#: What can be computed, in the order of the page.
PARTS = ("structure", "diffusion", "velocities", "viscosity")
HEAT = "Heat capacity"
FILE = "Trajectory files of other programs"


class AnalyseSettings(RecipeSettings):
    """Compute structure and transport from a finished run, of dp-sim or of another program."""

    recipe: ClassVar[str] = "analyse"
    function: ClassVar[str] = "dp_sim.recipes.analysis.analyse:analyse"
    resumable: ClassVar[bool] = False

    only: tuple[str, ...] = setting((), "What to compute; all that the trajectory supports if not given", choices=PARTS)
    first: int | None = setting(
        None, "First frame to use, from 0; the run's own equilibration decides if not given", ge=0
    )
    last: int | None = setting(None, "Last frame to use; the end if not given", ge=0)
    stride: int = setting(1, "Use every n-th frame", ge=1)
    r_max_A: float | None = setting(
        None,
        "Longest distance of the RDF; half the cell's smallest height, at most 15 Å, if not given",
        unit="Å",
        flags=("--r-max",),
        gt=0,
    )
    bin_A: float = setting(0.05, "Width of the RDF's bins", unit="Å", flags=("--bin",), ge=0.001, le=1.0)
    q_max_per_A: float = setting(
        8.0, "Largest wave vector of the structure factor", unit="1/Å", flags=("--q-max",), gt=0, le=50
    )
    structure_frames: int = setting(1000, "Frames at most that the structure is computed from, evenly spaced", ge=20)
    carriers: str = setting(
        "auto",
        "What diffuses; auto: molecules where there are any",
        choices=("auto", "atoms", "molecules"),
        detail="Molecules are found by distances in the first frame, and move as their centres of mass.",
    )
    viscosity_mPa_s: float | None = setting(
        None,
        "Viscosity for the finite-size correction of the diffusion; the measured one if not given",
        unit="mPa s",
        flags=("--viscosity",),
        gt=0,
    )
    dos_resolution_cm1: float = setting(
        10.0, "Resolution of the vibrational density of states", unit="1/cm", flags=("--dos-resolution",), gt=0
    )
    neighbour: str | None = setting(
        None,
        "Run at another temperature, else alike: heat capacity from the slope of the mean energy",
        metavar="DIR",
        is_path=True,
        panel=HEAT,
    )
    energy_noise_meV: float | None = setting(
        None,
        "Standard deviation of the model's error of the whole system's energy, to be taken out of the heat capacity",
        unit="meV",
        flags=("--energy-noise",),
        gt=0,
        panel=HEAT,
        detail="An error that is independent of the energy.",
    )
    test_results: str | None = setting(
        None,
        "Results of dp-sim test, which tell that error",
        metavar="DIR",
        is_path=True,
        panel=HEAT,
        detail="Of frames of the same composition or its proportions; the variance is taken as proportional to their "
        "number of atoms.",
    )
    members: tuple[str, ...] = setting(
        (),
        "Models trained alike, whose spread on the frames tells that error; those of the run's own committee if not "
        "given",
        metavar="FILE",
        is_path=True,
        panel=HEAT,
        detail="The run must have been driven by one of them, by their mean, or by models like them. What all of them "
        "get wrong alike is not seen.",
    )
    topology: str | None = setting(
        None, "Structure with the atoms of a DCD, XTC, TRR or NetCDF file", panel=FILE, is_path=True
    )
    frame_fs: float | None = setting(
        None,
        "Time between two frames, where the file does not say",
        unit="fs",
        flags=("--frame-time",),
        gt=0,
        panel=FILE,
    )
    types: tuple[str, ...] = setting((), "LAMMPS: element of each atom type, in order", panel=FILE)
    units: str | None = setting(None, "LAMMPS: units of the run", choices=LAMMPS_UNITS, panel=FILE)
    timestep: float | None = setting(
        None, "LAMMPS: time step of the run in its units; the dump counts in it", gt=0, panel=FILE
    )
    log: str | None = setting(
        None, "LAMMPS: log file with the pressure tensor, for the viscosity", panel=FILE, is_path=True
    )
    thermostat: str | None = setting(None, "Thermostat of the run", choices=THERMOSTATS, panel=FILE)
    temperature_K: float | None = setting(
        None, "Temperature of the run", unit="K", flags=("--temperature", "-T"), gt=0, panel=FILE
    )

    @model_validator(mode="after")
    def _one_noise(self) -> Self:
        given = {name: getattr(self, name) for name in ("energy_noise_meV", "test_results", "members")}
        given = {name: value for name, value in given.items() if value not in (None, ())}
        if len(given) > 1:
            words = " and ".join(f"{name} ({value})" for name, value in given.items())
            raise InputError("options-exclude", f"{words} each tell the model's error; give one")
        return self

    @model_validator(mode="after")
    def _frames_in_order(self) -> Self:
        if self.first is not None and self.last is not None and self.last < self.first:
            raise InputError("setting-out-of-range", f"last must be at least first ({self.first}), got {self.last}")
        return self

    def wants(self, part: str) -> bool:
        """Tell whether one of `PARTS` is to be computed."""
        return not self.only or part in self.only
