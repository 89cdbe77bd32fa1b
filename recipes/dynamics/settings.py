"""Settings of dynamics: those of every run, and what each ensemble adds."""

from __future__ import annotations

import math
from typing import ClassVar, Self

from pydantic import model_validator

from dp_sim.config.recipe import RecipeSettings, setting
from dp_sim.errors import InputError
from dp_sim.recipes.dynamics.engines import ENGINES
from dp_sim.recipes.dynamics.engines.ensembles import CELL_CHANGES, THERMOSTATS

#: Friction of the Langevin thermostat (1/ps) and time constant of the others (fs), where none is given.
DEFAULT_FRICTION_PER_PS, DEFAULT_THERMOSTAT_TIME_FS = 5.0, 100.0

#: Where model errors come from: the run of the mean, reweighted to each member of a committee, or a run of each.
MEMBERS = ("reweighted", "each")
#: Forms in which frames are written; `frame_formats/writing.py` writes all but the first.
TRAJECTORY_FORMS = ("extxyz", "dcd", "h5")


class DynamicsSettings(RecipeSettings):
    """Steps, output and engine: what every run of dynamics has."""

    steps: int = setting(
        ...,
        "Time steps in all, earlier sessions included",
        ge=1,
        may_change=True,
    )
    # Before the time step that follows from it: of a resumed run that differs in both, the choice is named.
    rigid_bonds: str | None = setting(
        None,
        "OpenMM: bonds that keep their length; hydrogen: those of hydrogens",
        choices=("hydrogen",),
        detail="Each keeps the length that it has at the start, after a relaxation if asked for. The longest time step "
        "is then that of the other vibrations, about 2 fs. Heat capacity and pressure count what is left to move.",
    )
    timestep_fs: float | None = setting(
        None,
        "Time step; chosen by the lightest atom if not given",
        unit="fs",
        flags=("--timestep",),
        gt=0,
        detail="0.5 fs with atoms below 3 amu (hydrogen), 1 fs with atoms below 20 amu or rigid bonds, else 2 fs.",
    )
    engine: str = setting(
        "ase",
        "Program that moves the atoms; openmm and lammps: dp-sim models only",
        choices=tuple(ENGINES),
    )
    sample_every: int = setting(10, "Steps between lines of thermo.csv", ge=1)
    frame_every: int = setting(
        100, "Steps between frames of the trajectory", ge=1, detail="A multiple of `sample_every`."
    )
    trajectory: tuple[str, ...] = setting(
        ("extxyz",),
        "Forms of the trajectory",
        choices=TRAJECTORY_FORMS,
        may_change=True,
        detail="Of extxyz, dcd (for VMD, with topology.pdb) and h5 (MDTraj's HDF5), as a list or separated by commas. "
        "extxyz is always there: a resumed run needs it.",
    )
    velocities: bool = setting(
        False,
        "Keep velocities in the frames",
        detail="In extxyz as momenta, in h5 in nm/ps. "
        "Those of engine openmm at constant energy are half a step earlier than the positions.",
    )
    backend: str | None = setting(
        None,
        "OpenMM: how the model enters",
        choices=("torchscript", "python", "auto"),
    )
    platform: str | None = setting(None, "OpenMM: CUDA, OpenCL, CPU or Reference")
    ranks: int | None = setting(None, "LAMMPS: MPI processes; 1 if not given", ge=1, may_change=True)

    max_force_uncertainty_eV_A: float | None = setting(
        None,
        "Committees: largest uncertainty of the force on an atom that is taken",
        unit="eV/Å",
        flags=("--max-force-uncertainty",),
        gt=0,
        may_change=True,
        detail="Looked at in every sample; of a committee that is not calibrated it is the raw spread.",
    )
    when_uncertain: str = setting(
        "save",
        "What is done above that",
        choices=("warn", "save", "stop"),
        may_change=True,
        detail="warn says so; save also keeps the frames, in uncertain.extxyz; stop also ends the run.",
    )

    stages: str | None = setting(
        None,
        "Stages before the run itself: a file with ensembles, ramps and lengths",
        metavar="FILE.yaml",
        is_path=True,
        may_change=True,
        detail="Only the run itself, with the numbers of its own settings, enters the estimates. The file is checked "
        "as a whole before anything runs, and a resumed run must have the same stages.",
    )
    relax: bool = setting(False, "Relax the atoms first, before any stage")
    relax_cell: bool = setting(False, "Relax atoms and cell first, at the pressure of the run")

    @model_validator(mode="after")
    def _frames_at_samples(self) -> Self:
        if self.frame_every % self.sample_every:
            raise InputError(
                "setting-out-of-range",
                f"frame_every must be a multiple of sample_every, got {self.frame_every} and {self.sample_every}; "
                f"take {math.ceil(self.frame_every / self.sample_every) * self.sample_every}",
            )
        if self.steps < self.sample_every:
            raise InputError(
                "setting-out-of-range",
                f"steps must be at least sample_every ({self.sample_every}), got {self.steps}",
            )
        return self


class ThermostatSettings(RecipeSettings):
    """Temperature, friction and masses: what the thermostat adds."""

    temperature_K: float = setting(..., "Temperature", unit="K", flags=("--temperature", "-T"), gt=0)
    thermostat: str = setting(
        "langevin",
        "What keeps the temperature: random forces, random rescaling, or a chain",
        choices=THERMOSTATS,
        detail="langevin samples every system, but slows diffusion down and damps every correlation in time; bussi "
        "leaves them nearly as they are at constant energy; nose-hoover is without random numbers, and not ergodic for "
        "few atoms or a nearly harmonic solid. Diffusion and velocity correlations are those of nve and of bussi.",
    )
    friction_per_ps: float | None = setting(
        None,
        "Friction of thermostat langevin; 5 if not given",
        unit="1/ps",
        flags=("--friction",),
        gt=0,
        detail="Averages do not depend on it; the speed of sampling and the dynamics do.",
    )
    thermostat_time_fs: float | None = setting(
        None,
        "Time constant of thermostats bussi and nose-hoover; 100 if not given",
        unit="fs",
        flags=("--thermostat-time",),
        gt=0,
    )
    replicas: int = setting(
        1,
        "Runs with other seeds, side by side, pooled into one result",
        ge=1,
        detail="Replica k has the seed plus k - 1, a process with one thread and a directory of its own. Equilibrated "
        "parts are pooled; the scatter between replicas tests the errors within them.",
    )
    members: str = setting(
        "reweighted",
        "Where a committee's model errors come from: the run of its mean, reweighted to each member, or a run of each",
        choices=MEMBERS,
        may_change=True,
        detail="each: every member runs beside the mean, with the same seed, in a process with one thread and a "
        "directory of its own. It costs a run more for each member, holds where reweighting has too few samples left, "
        "and its errors have those of sampling in them. A run that is resumed with it gets those of its members.",
    )
    hydrogen_mass_amu: float | None = setting(
        None,
        "Mass of hydrogens; taken from their heavy atoms, 4 allows 2 fs",
        unit="amu",
        flags=("--hydrogen-mass",),
        ge=1,
        detail="Averages of positions do not depend on masses.",
    )

    @model_validator(mode="after")
    def _replicas_or_members(self) -> Self:
        if self.replicas > 1 and self.members == "each":
            raise InputError(
                "setting-out-of-range",
                f"members='each' and replicas={self.replicas} do not go together; leave one of them out",
            )
        return self

    @model_validator(mode="after")
    def _time_of_the_thermostat(self) -> Self:
        unused = "thermostat_time_fs" if self.thermostat == "langevin" else "friction_per_ps"
        if getattr(self, unused) is not None:
            other = "friction_per_ps" if self.thermostat == "langevin" else "thermostat_time_fs"
            raise InputError(
                "option-not-for-thermostat",
                f"{unused} (got {getattr(self, unused):g}) does not apply to thermostat='{self.thermostat}'; leave it "
                f"out, give {other}, or choose another thermostat",
            )
        return self

    def with_times(self) -> Self:
        """Return the settings with the time constant of the chosen thermostat filled in."""
        if self.thermostat == "langevin":
            return self.model_copy(update={"friction_per_ps": self.friction_per_ps or DEFAULT_FRICTION_PER_PS})
        return self.model_copy(update={"thermostat_time_fs": self.thermostat_time_fs or DEFAULT_THERMOSTAT_TIME_FS})


class BarostatSettings(RecipeSettings):
    """Pressure: what the barostat adds."""

    pressure_bar: float = setting(1.0, "Pressure", unit="bar", flags=("--pressure", "-p"))
    cell_change: str = setting(
        "isotropic",
        "What the pressure may change of the cell",
        choices=CELL_CHANGES,
        detail="isotropic: the volume alone, at a fixed shape; anisotropic: the length of each lattice vector; "
        "flexible: lengths and angles, for solids, as nothing holds the shape of a fluid; membrane: a and b by one "
        "factor, c by another.",
    )
    barostat_time_fs: float | None = setting(
        None,
        "ASE: time constant of the barostat; 500 if not given",
        unit="fs",
        flags=("--barostat-time",),
        gt=0,
    )


class NVESettings(DynamicsSettings):
    """Run dynamics at constant energy, and measure the drift of the total energy."""

    recipe: ClassVar[str] = "nve"
    function: ClassVar[str] = "dp_sim.recipes.dynamics.nve:run_nve"

    temperature_K: float | None = setting(
        None,
        "Temperature at which velocities are drawn; those of the structure if not given",
        unit="K",
        flags=("--temperature", "-T"),
        gt=0,
        detail="Half of a relaxed structure's kinetic energy goes into its vibrations: start at twice the temperature "
        "that you want.",
    )


class NVTSettings(DynamicsSettings, ThermostatSettings):
    """Run dynamics at constant volume and temperature: heat capacity, pressure."""

    recipe: ClassVar[str] = "nvt"
    function: ClassVar[str] = "dp_sim.recipes.dynamics.nvt:run_nvt"


class NPTSettings(DynamicsSettings, BarostatSettings, ThermostatSettings):
    """Run dynamics at constant pressure and temperature: density, compressibility, expansion, heat capacity."""

    recipe: ClassVar[str] = "npt"
    function: ClassVar[str] = "dp_sim.recipes.dynamics.npt:run_npt"
