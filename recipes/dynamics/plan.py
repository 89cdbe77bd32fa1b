"""A run of dynamics as asked for: checked, given its engine, carried out, and handed to the recipe that analyses it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from dp_sim.errors import InputError, nearest_name
from dp_sim.recipes.dynamics.engines.ase_engine import ASEEngine
from dp_sim.recipes.dynamics.engines.protocol import Conditions, Engine
from dp_sim.recipes.dynamics.engines.velocities import stop_fixed_atoms
from dp_sim.recipes.dynamics.files import TRAJECTORY, write_mdtraj_files
from dp_sim.recipes.dynamics.hydrogen_mass import with_hydrogen_mass
from dp_sim.recipes.dynamics.loop import Recorded, Schedule, simulate
from dp_sim.recipes.inputs.calculators import as_calculator
from dp_sim.recipes.inputs.charges import accept_state
from dp_sim.recipes.inputs.structures import check_structure
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.run.directory import RunDirectory

ENGINES = ("ase", "openmm")
AnyResult = TypeVar("AnyResult", bound=Result)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked run: what moves, under what, how, and how long."""

    atoms: Atoms
    calculator: Any
    conditions: Conditions
    schedule: Schedule
    engine: str
    backend: str | None
    platform: str | None
    hydrogen_mass_amu: float | None = None

    def settings(self) -> dict[str, Any]:
        """The recipe's keywords as used; what the ensemble does not have is left out."""
        conditions, schedule = self.conditions, self.schedule
        constant_energy = conditions.temperature_K is None
        temperature = conditions.start_temperature_K if constant_energy else conditions.temperature_K
        return {
            "temperature_K": temperature,
            **({} if conditions.pressure_bar is None else {"pressure_bar": conditions.pressure_bar}),
            "steps": schedule.steps,
            "timestep_fs": conditions.timestep_fs,
            "engine": self.engine,
            **(
                {}
                if constant_energy
                else {"friction_per_ps": conditions.friction_per_ps, "hydrogen_mass_amu": self.hydrogen_mass_amu}
            ),
            "sample_every": schedule.sample_every,
            "frame_every": schedule.frame_every,
            "backend": self.backend,
            "platform": self.platform,
        }

    def make_engine(self) -> Engine:
        if self.engine == "ase":
            return ASEEngine(self.atoms, self.calculator, self.conditions)
        from dp_sim.plugins.openmm_force import create_force
        from dp_sim.recipes.dynamics.engines.openmm_engine import OpenMMEngine

        return OpenMMEngine(
            self.atoms,
            lambda topology: create_force(self.calculator.model, topology, backend=self.backend or "auto"),
            self.conditions,
            platform=self.platform,
        )


def make_plan(
    atoms: Any,
    calc: Any,
    *,
    temperature_K: float | None,
    steps: int,
    timestep_fs: float | None,
    engine: str,
    sample_every: int,
    frame_every: int,
    backend: str | None,
    platform: str | None,
    seed: int,
    friction_per_ps: float | None = None,
    pressure_bar: float | None = None,
    hydrogen_mass_amu: float | None = None,
) -> Plan:
    """Check every setting and put the plan together. Without a friction the run is one at constant energy.

    Raises
    ------
    InputError
        A setting out of range, or a structure or calculator that cannot run so.
    """
    atoms = check_structure(atoms)
    calculator = as_calculator(calc)
    accept_state(atoms, calculator)
    stop_fixed_atoms(atoms)
    if hydrogen_mass_amu is not None:
        atoms = with_hydrogen_mass(atoms, hydrogen_mass_amu)
    timestep_fs = default_timestep_fs(atoms) if timestep_fs is None else timestep_fs
    _check_positive(temperature_K=temperature_K, timestep_fs=timestep_fs, friction_per_ps=friction_per_ps)
    if pressure_bar is not None and not math.isfinite(pressure_bar):
        raise InputError("setting-out-of-range", f"pressure_bar must be a finite number, got {pressure_bar!r}")
    _check_movable(atoms, constant_pressure=pressure_bar is not None)
    _check_engine(engine, calculator, backend, platform)
    if friction_per_ps is None:
        conditions = Conditions(timestep_fs=timestep_fs, start_temperature_K=temperature_K, seed=seed)
    else:
        conditions = Conditions(
            timestep_fs=timestep_fs,
            temperature_K=temperature_K,
            pressure_bar=pressure_bar,
            friction_per_ps=friction_per_ps,
            seed=seed,
        )
    return Plan(
        atoms=atoms,
        calculator=calculator,
        conditions=conditions,
        schedule=_checked_schedule(steps, sample_every, frame_every),
        engine=engine,
        backend=backend,
        platform=platform,
        hydrogen_mass_amu=hydrogen_mass_amu,
    )


def carry_out(
    recipe: str,
    plan: Plan,
    analyse: Callable[[Recorded, Plan], AnyResult],
    *,
    out: str | os.PathLike[str] | None,
    overwrite: bool,
    resume: bool,
    progress: bool,
) -> AnyResult:
    """Run the plan in its directory and finish with what `analyse` makes of the record."""
    with RunDirectory(
        recipe,
        out,
        settings=plan.settings(),
        structures=[plan.atoms],
        calculator=plan.calculator,
        seed=plan.conditions.seed,
        overwrite=overwrite,
        resume=resume,
        may_change=("steps",),
    ) as run:
        recorded = simulate(plan.make_engine(), run, plan.schedule, plan.conditions, progress=progress)
        if plan.engine == "openmm":
            _write_mdtraj_files(run, plan)
        return run.finish(analyse(recorded, plan))


def _write_mdtraj_files(run: RunDirectory, plan: Plan) -> None:
    trajectory, topology, dcd = (run.path(name) for name in (TRAJECTORY, "topology.pdb", "trajectory.dcd"))
    if trajectory is not None and topology is not None and dcd is not None and trajectory.stat().st_size:
        with run.whole_steps():
            frame_ps = plan.schedule.frame_every * plan.conditions.timestep_fs / 1000.0
            write_mdtraj_files(trajectory, topology, dcd, frame_ps)


def default_timestep_fs(atoms: Atoms) -> float:
    """A time step that resolves the fastest vibration, from the lightest atom: about 18 steps a period.

    Below 3 amu (hydrogen isotopes, 3700 cm^-1) 0.5 fs; below 20 amu (second row, up to N2's 2330 cm^-1) 1 fs; else 2
    fs.
    """
    lightest = float(atoms.get_masses().min())
    return 0.5 if lightest < 3.0 else 1.0 if lightest < 20.0 else 2.0


def _check_positive(**values: float | None) -> None:
    """Refuse settings that are given and are not finite numbers above zero, by name."""
    for name, value in values.items():
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < value < math.inf
        ):
            raise InputError("setting-out-of-range", f"{name} must be a finite number above 0, got {value!r}")


def _checked_schedule(steps: int, sample_every: int, frame_every: int) -> Schedule:
    """Whole numbers of steps above zero, frames at samples."""
    for name, value in {"steps": steps, "sample_every": sample_every, "frame_every": frame_every}.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise InputError("setting-out-of-range", f"{name} must be a whole number of at least 1, got {value!r}")
    if frame_every % sample_every:
        raise InputError(
            "setting-out-of-range",
            f"frame_every must be a multiple of sample_every, got {frame_every} and {sample_every}; "
            f"take {math.ceil(frame_every / sample_every) * sample_every}",
        )
    if steps < sample_every:
        raise InputError("setting-out-of-range", f"steps must be at least sample_every ({sample_every}), got {steps}")
    return Schedule(int(steps), int(sample_every), int(frame_every))


def _check_movable(atoms: Atoms, *, constant_pressure: bool) -> None:
    """Refuse structures that cannot be moved as asked."""
    masses = atoms.get_masses()
    if not (masses > 0).all():
        index = int(np.argmin(masses))
        raise InputError(
            "mass-invalid",
            f"atom {index} ({atoms.symbols[index]}) has mass {masses[index]}; give every atom a mass above 0",
        )
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            raise InputError(
                "constraint-unsupported",
                f"dynamics knows fixed atoms (FixAtoms), but not the constraint {type(constraint).__name__}; remove it",
            )
        if constant_pressure:
            raise InputError(
                "constraint-unsupported",
                "constant pressure moves every atom with the cell, but some are fixed (FixAtoms); release them",
            )
        if len(constraint.get_indices()) == len(atoms):
            raise InputError("atoms-all-fixed", "every atom is fixed (FixAtoms); release at least one")
    if constant_pressure and not atoms.pbc.all():
        raise InputError(
            "periodicity-unsupported",
            f"constant pressure needs a structure that is periodic along all three axes, got pbc={atoms.pbc.tolist()}; "
            "set cell and pbc, or use constant volume (nvt)",
        )


def _check_engine(engine: str, calculator: Any, backend: str | None, platform: str | None) -> None:
    """The engine's name, and what belongs to one engine only."""
    if engine not in ENGINES:
        raise InputError(
            "engine-unknown",
            f"engine must be one of {', '.join(ENGINES)}, got '{engine}'{nearest_name(engine, ENGINES)}",
        )
    if engine == "openmm" and not _is_ours(calculator):
        raise InputError(
            "engine-needs-our-model",
            f"engine='openmm' needs a dp-sim model, got the calculator {type(calculator).__name__}; "
            "give a model file, or use engine='ase'",
        )
    if engine == "ase" and (backend is not None or platform is not None):
        raise InputError(
            "option-not-for-engine",
            "backend and platform belong to engine='openmm'; leave them out, or choose that engine",
        )


def _is_ours(calculator: Any) -> bool:
    from dp_sim.plugins.ase_calculator import DPCalculator

    return isinstance(calculator, DPCalculator)
