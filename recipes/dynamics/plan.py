"""A run of dynamics as asked for: checked, given its engine, carried out, and passed to the recipe that analyses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from dp_sim.errors import InputError
from dp_sim.recipes.dynamics.conditions import conditions_of
from dp_sim.recipes.dynamics.engines import ENGINES, engine_class
from dp_sim.recipes.dynamics.engines.ensembles import check_ensemble
from dp_sim.recipes.dynamics.engines.protocol import Conditions, Engine
from dp_sim.recipes.dynamics.engines.velocities import stop_fixed_atoms
from dp_sim.recipes.dynamics.fastest_vibration import timestep_remark
from dp_sim.recipes.dynamics.frame_formats.writing import write_forms
from dp_sim.recipes.dynamics.hydrogen_mass import with_hydrogen_mass
from dp_sim.recipes.dynamics.loop import Recorded, simulate
from dp_sim.recipes.dynamics.member_runs import runs_of_members, with_errors_of_runs, without_error
from dp_sim.recipes.dynamics.remarks import (
    drift_words,
    gas_remark,
    motion_remark,
    short_cell_remark,
    stretch_remark,
    temperature_remark,
)
from dp_sim.recipes.dynamics.replicas.pooling import COMPARED, agreement, equilibrated_parts, pooled
from dp_sim.recipes.dynamics.replicas.processes import Beside, run_side_by_side
from dp_sim.recipes.dynamics.result import DynamicsResult
from dp_sim.recipes.dynamics.rigid_bonds.bonds import RigidBonds
from dp_sim.recipes.dynamics.rigid_bonds.search import find_rigid_bonds
from dp_sim.recipes.dynamics.run_files import TRAJECTORY
from dp_sim.recipes.dynamics.settings import DynamicsSettings, NPTSettings, NVESettings, ThermostatSettings
from dp_sim.recipes.dynamics.stages.preparation import keep_stages, prepare
from dp_sim.recipes.dynamics.stages.stage_file import Stage, read_stages
from dp_sim.recipes.dynamics.watching.uncertainty import UNCERTAIN, UncertaintyWatch, uncertainty_words, watched_model
from dp_sim.recipes.inputs.calculator_recipe import recipe_of
from dp_sim.recipes.inputs.calculators import as_calculator, loaded_model, only_model
from dp_sim.recipes.inputs.charges import accept_state
from dp_sim.recipes.inputs.failed_evaluations import failure_words, is_failure
from dp_sim.recipes.inputs.structures import check_structure
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.uncertainty.derived import SpreadWorth

if TYPE_CHECKING:
    from dp_sim.model.evaluator import Model

AnyResult = TypeVar("AnyResult", bound=DynamicsResult)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked run.

    Attributes
    ----------
    atoms
        The structure, hydrogens made heavier if asked for.
    calculator
        An ASE calculator.
    settings
        As used: the time step is filled in.
    conditions
        What the engine holds constant.
    stages
        What runs before.
    rigid_bonds
        Those that are held, with their lengths in `atoms`; None: none are.
    """

    atoms: Atoms
    calculator: Any
    settings: DynamicsSettings
    conditions: Conditions
    stages: Sequence[Stage] = ()
    rigid_bonds: RigidBonds | None = None

    @property
    def reach_A(self) -> float | None:
        """The distance beyond which atoms do not act on each other, Angstrom: a model's cutoff; None: not known."""
        model = loaded_model(self.calculator)
        return None if model is None else max(member.cutoff for member in model.members)

    @property
    def committee(self) -> Model | None:
        """The committee whose mean drives a run at constant temperature; None for any other run."""
        model = only_model(self.calculator)
        several = model is not None and len(model.members) > 1
        return model if several and self.conditions.temperature_K is not None else None

    def watch(self, run: RunDirectory, prefix: str = "") -> UncertaintyWatch | None:
        """Set up the watch on the uncertainty, for the run or a stage of it; None where no limit is set."""
        model, limit = watched_model(self.settings, self.calculator), self.settings.max_force_uncertainty_eV_A
        if model is None or limit is None:
            return None
        keeps = self.settings.when_uncertain != "warn"
        file = run.path(prefix + UNCERTAIN) if keeps else None
        return UncertaintyWatch(model, limit, file, self.settings.when_uncertain == "stop")

    def make_engine(self) -> Engine:
        """Set up the engine that the settings name."""
        kind = engine_class(self.settings.engine)
        options = {name: getattr(self.settings, name, None) for name in kind.options}
        if "rigid_bonds" in options:
            options["rigid_bonds"] = self.rigid_bonds
        return kind.make(self.atoms, self.calculator, self.conditions, **options)


def make_plan(settings: DynamicsSettings, atoms: Any, calc: Any) -> Plan:
    """Check structure, calculator and engine against the settings, and put the plan together.

    Raises
    ------
    InputError
        A structure or calculator that cannot run so.
    """
    atoms = check_structure(atoms)
    calculator = as_calculator(calc)
    accept_state(atoms, calculator)
    stop_fixed_atoms(atoms)
    if isinstance(settings, ThermostatSettings) and settings.hydrogen_mass_amu is not None:
        atoms = with_hydrogen_mass(atoms, settings.hydrogen_mass_amu)
    constant_pressure = isinstance(settings, NPTSettings)
    _check_movable(atoms, constant_pressure=constant_pressure)
    _check_engine(settings, atoms, calculator)
    watched_model(settings, calculator)
    held = None if settings.rigid_bonds is None else find_rigid_bonds(atoms)
    timestep_fs = settings.timestep_fs or default_timestep_fs(atoms, rigid_hydrogens=held is not None)
    settings = settings.model_copy(update={"timestep_fs": timestep_fs})
    if isinstance(settings, ThermostatSettings):
        settings = settings.with_times()
    stages = [] if settings.stages is None else read_stages(settings.stages, settings)
    for stage in stages:
        _check_movable(atoms, constant_pressure=isinstance(stage.settings, NPTSettings))
        _check_engine(stage.settings, atoms, calculator)
    _check_velocities(atoms, [*(stage.settings for stage in stages), settings])
    conditions = conditions_of(settings, timestep_fs)
    if stages and conditions.start_temperature_K is None:
        conditions = replace(conditions, keeps_momenta=True)
    return Plan(
        atoms=atoms,
        calculator=calculator,
        settings=settings,
        conditions=conditions,
        stages=stages,
        rigid_bonds=held,
    )


def _check_velocities(atoms: Atoms, one_after_another: list[DynamicsSettings]) -> None:
    """Refuse a start at constant energy without velocities."""
    first = one_after_another[0]
    if isinstance(first, NVESettings) and first.temperature_K is None and not atoms.get_momenta().any():
        raise InputError(
            "velocities-missing",
            "the structure has no velocities; give temperature_K, at which they are drawn, or begin with a stage that "
            "has a thermostat",
        )


def run_dynamics(
    ensemble: type[DynamicsSettings], analyse: Callable[[Recorded, Plan], AnyResult], arguments: Mapping[str, Any]
) -> AnyResult:
    """Check, run in the run's directory, and analyse: what every ensemble shares.

    Parameters
    ----------
    ensemble
        Its settings.
    analyse
        Makes its result of what was recorded.
    arguments
        What its recipe was called with: `atoms`, `calc`, the settings, and `out`, `overwrite`, `resume`, `progress`.
    """
    plan = make_plan(ensemble.taken_from(arguments), arguments["atoms"], arguments["calc"])
    beside = _runs_beside(plan)
    with RunDirectory.of(
        plan.settings,
        arguments["out"],
        structures=[plan.atoms],
        calculator=plan.calculator,
        overwrite=arguments["overwrite"],
        resume=arguments["resume"],
    ) as run:
        keep_stages(plan, run)
        _check_timestep(plan, run)
        for words in _remarks(plan):
            run.note(words)
        if beside.replicas:
            results = run_side_by_side(plan.settings, beside.replicas, arguments, run, "replicas")
            return run.finish(_pool(results, plan, analyse))
        recorded = _simulate(plan, run, progress=arguments["progress"])
        frames = run.path(TRAJECTORY)
        if frames is not None and frames.is_file() and frames.stat().st_size:
            _write_trajectories(run, plan, frames)
        if (limit := plan.settings.max_force_uncertainty_eV_A) is not None:
            _tell_uncertainty(recorded, limit, plan, run)
        result = analyse(recorded, plan)
        if beside.members and (result.unusable or recorded.failed):
            run.note("the members were not run: the run of their mean did not come to its end, or gives no number")
        elif beside.members:
            result = _with_members(
                result, run_side_by_side(plan.settings, beside.members, arguments, run, "members"), plan, run
            )
        if result.converged and (words := temperature_remark(result.temperature_K, plan.conditions.temperature_K)):
            run.note(words)
        drift = result.conserved_drift_meV_per_atom_ns
        if drift is not None and (words := drift_words(drift)).startswith("too large"):
            run.note(f"the drift of the conserved energy, {drift}, is {words}")
        return run.finish(result)


class _Beside(NamedTuple):
    """Runs that belong to this one: replicas in its place, or members of its committee beside it."""

    replicas: list[Beside]
    members: list[Beside]


def _runs_beside(plan: Plan) -> _Beside:
    """Say how to make their calculators before anything is evaluated: used once, some cannot be copied any more."""
    settings = plan.settings
    if not isinstance(settings, ThermostatSettings):
        return _Beside([], [])
    if settings.members == "each":
        return _Beside([], runs_of_members(plan.calculator, plan.settings.seed))
    if settings.replicas == 1:
        return _Beside([], [])
    made_by, seed = recipe_of(plan.calculator), plan.settings.seed
    return _Beside([Beside(f"replica-{n + 1}", made_by, {"seed": seed + n}) for n in range(settings.replicas)], [])


def _with_members(result: AnyResult, members: Sequence[AnyResult], plan: Plan, run: RunDirectory) -> AnyResult:
    """Take the model's errors from runs of the members, and tell of numbers that a member's run did not give."""
    assert plan.committee is not None
    result = with_errors_of_runs(result, members, SpreadWorth.of(len(members), plan.committee.calibration))
    if names := without_error(result):
        run.note(f"no model error of {', '.join(names)}: not every member's run gives it (member-0, ...)")
    return result


def _tell_uncertainty(recorded: Recorded, limit_eV_A: float, plan: Plan, run: RunDirectory) -> None:
    """Say how much of the run was above the limit, and whether uncertainties are calibrated."""
    if words := uncertainty_words(recorded.rows, limit_eV_A):
        run.note(words)
    model = watched_model(plan.settings, plan.calculator)
    if model is not None and model.calibration is None:
        run.note("force uncertainties are the raw spread of the committee, which is not calibrated (dp-sim calibrate)")


def _pool(results: Sequence[Any], plan: Plan, analyse: Callable[[Recorded, Plan], AnyResult]) -> AnyResult:
    """Make one result of those of replicas; where they disagree it has not converged."""
    result = analyse(pooled(results, plan.settings.sample_every), plan)
    parts = equilibrated_parts(results)
    compared = tuple(one for name in COMPARED if (one := agreement(name, parts)) is not None)
    cause = next((one.disagrees for one in compared if one.disagrees), "") or result.cause
    changes: dict[str, Any] = {"replicas": compared, "replica_count": len(results)}
    return replace(result, cause=cause, converged=not cause, **changes)


def _simulate(plan: Plan, run: RunDirectory, *, progress: bool) -> Recorded:
    """Prepare and run; a stage that ends early leaves a run without a sample."""
    prepared = prepare(plan, run, progress=progress)
    if prepared.ended:
        return Recorded([], prepared.atoms, prepared.degrees_of_freedom, stopped=prepared.ended, stages=prepared.tables)
    engine = replace(plan, atoms=prepared.atoms, rigid_bonds=prepared.rigid_bonds).make_engine()
    for words in engine.notes:
        run.note(words)
    recorded = simulate(
        engine,
        run,
        plan.settings,
        plan.conditions,
        reach_A=plan.reach_A,
        progress=progress,
        watch=plan.watch(run),
        committee=plan.committee,
    )
    return replace(recorded, stages=prepared.tables)


def _remarks(plan: Plan) -> list[str]:
    """Say what is odd about the structure that the run starts from."""
    temperature_K, pressure_bar = plan.conditions.temperature_K, plan.conditions.pressure_bar
    remarks = [short_cell_remark(plan.atoms, plan.reach_A)]
    if temperature_K is not None and pressure_bar is not None:
        remarks.append(gas_remark(plan.atoms, temperature_K, pressure_bar))
    keeps = plan.conditions.start_temperature_K is None and not plan.stages
    if temperature_K is None and keeps:
        remarks += [motion_remark(plan.atoms), stretch_remark(plan.atoms, plan.rigid_bonds)]
    return [words for words in remarks if words]


def _check_timestep(plan: Plan, run: RunDirectory) -> None:
    """Tell of a time step that the fastest vibration at the start makes too long."""
    try:
        remark = timestep_remark(
            plan.atoms,
            plan.calculator,
            plan.conditions.timestep_fs,
            plan.settings.steps,
            thermostat=plan.conditions.temperature_K is not None,
            rigid_bonds=plan.rigid_bonds,
        )
    except Exception as error:
        if not is_failure(error):
            raise
        why = failure_words(error, "while the fastest vibration was sought")
        remark = f"{why}; whether the time step is short enough is not known"
    if remark:
        run.note(remark)


def _write_trajectories(run: RunDirectory, plan: Plan, frames: Path) -> None:
    forms = {*plan.settings.trajectory, *engine_class(plan.settings.engine).forms}
    with run.whole_steps():
        write_forms(forms, frames, run.path, plan.settings.frame_every, plan.conditions.timestep_fs / 1000.0)


def default_timestep_fs(atoms: Atoms, *, rigid_hydrogens: bool = False) -> float:
    """Return a time step that resolves the fastest vibration, by the lightest atom: about 18 steps a period.

    Below 3 amu (hydrogen isotopes, 3700 cm^-1) 0.5 fs; below 20 amu (second row, up to N2's 2330 cm^-1) 1 fs; else 2
    fs. Where the bonds of hydrogens are held their bending is the fastest (1700 cm^-1): 1 fs.
    """
    if rigid_hydrogens:
        return 1.0
    lightest = float(atoms.get_masses().min())
    return 0.5 if lightest < 3.0 else 1.0 if lightest < 20.0 else 2.0


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
        _check_constraint(constraint, len(atoms), constant_pressure)
    if constant_pressure and not atoms.pbc.all():
        raise InputError(
            "periodicity-unsupported",
            f"constant pressure needs a structure that is periodic along all three axes, got pbc={atoms.pbc.tolist()}; "
            "set cell and pbc, or use constant volume (nvt)",
        )


def _check_constraint(constraint: Any, n_atoms: int, constant_pressure: bool) -> None:
    if not isinstance(constraint, FixAtoms):
        raise InputError(
            "constraint-unsupported",
            f"dynamics knows fixed atoms (FixAtoms), but not the constraint {type(constraint).__name__}; remove it"
            + (", or hold bonds of hydrogens with rigid_bonds" if "FixBondLength" in type(constraint).__name__ else ""),
        )
    if constant_pressure:
        raise InputError(
            "constraint-unsupported",
            "constant pressure moves every atom with the cell, but some are fixed (FixAtoms); release them",
        )
    if len(constraint.get_indices()) == n_atoms:
        raise InputError("atoms-all-fixed", "every atom is fixed (FixAtoms); release at least one")


def _check_engine(settings: DynamicsSettings, atoms: Atoms, calculator: Any) -> None:
    """Refuse what the engine cannot run, and settings of another engine."""
    chosen = engine_class(settings.engine)
    if isinstance(settings, ThermostatSettings):
        pressed = isinstance(settings, NPTSettings)
        check_ensemble(settings.engine, settings.thermostat, settings.cell_change if pressed else None)
    chosen.check(atoms, calculator)
    for name in ENGINES:
        others = sorted(
            option
            for option in engine_class(name).options - chosen.options
            if getattr(settings, option, None) is not None
        )
        if others:
            raise InputError(
                "option-not-for-engine",
                f"{' and '.join(others)} belong{'s' if len(others) == 1 else ''} to engine='{name}', not to "
                f"'{settings.engine}'; leave out, or choose that engine",
            )
