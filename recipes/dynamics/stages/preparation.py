"""What comes before the run itself: relaxation and stages, one after the other, resumable at every step.

Each stage is a run of its own with files of its own. A resumed run makes the stages that have ended again from their
last checkpoints, which takes no steps, and so comes to the same structure to the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import yaml
from ase import Atoms
from ase.io import read

from dp_sim.config.safe_yaml import load_yaml
from dp_sim.errors import InputError
from dp_sim.files import write_text
from dp_sim.recipes.dynamics.conditions import conditions_of
from dp_sim.recipes.dynamics.engines.protocol import Ramp
from dp_sim.recipes.dynamics.loop import simulate
from dp_sim.recipes.dynamics.rigid_bonds.bonds import RigidBonds
from dp_sim.recipes.dynamics.rigid_bonds.search import rigid_bonds_words
from dp_sim.recipes.dynamics.run_files import Row
from dp_sim.recipes.dynamics.settings import NPTSettings
from dp_sim.recipes.dynamics.stages.stage_file import Stage
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.static.opt import optimize
from dp_sim.units import EV_PER_A3_IN_BAR, EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from dp_sim.recipes.dynamics.plan import Plan

#: Files of the relaxed structure, and of the stages as they were when the run began.
RELAXED, STAGES = "relaxed.extxyz", "stages.yaml"
#: Largest force that a relaxation before dynamics leaves, eV/Angstrom; thermal forces are ten times that.
RELAX_TO_EV_A = 0.05


@dataclass
class Prepared:
    """The structure from which the run itself starts.

    Attributes
    ----------
    atoms
        With momenta, if there were stages.
    tables
        Stage in words -> what was recorded in it.
    ended
        Why a stage ended before its last step; empty if none did.
    degrees_of_freedom
        Of the last stage; 0 without one.
    rigid_bonds
        Those that are held, with their lengths at the start of the first stage; None: none are.
    """

    atoms: Atoms
    tables: dict[str, list[Row]] = field(default_factory=dict)
    ended: str = ""
    degrees_of_freedom: int = 0
    rigid_bonds: RigidBonds | None = None


def prepare(plan: Plan, run: RunDirectory, *, progress: bool) -> Prepared:
    """Relax and run the stages of a plan."""
    prepared = Prepared(plan.atoms, rigid_bonds=plan.rigid_bonds)
    if plan.settings.relax or plan.settings.relax_cell:
        prepared.atoms = _relaxed(plan, run, progress=progress)
    if plan.rigid_bonds is not None:
        prepared.rigid_bonds = plan.rigid_bonds.measured(prepared.atoms)
        run.note(rigid_bonds_words(prepared.rigid_bonds, prepared.atoms))
    for stage in plan.stages:
        begun = replace(plan, atoms=prepared.atoms, rigid_bonds=prepared.rigid_bonds)
        _run_stage(stage, begun, run, prepared, progress=progress)
        if prepared.ended:
            break
    return prepared


def _run_stage(stage: Stage, plan: Plan, run: RunDirectory, prepared: Prepared, *, progress: bool) -> None:
    timestep_fs = stage.settings.timestep_fs
    assert timestep_fs is not None
    # Random numbers of its own: those of the stage before, again, would be correlated with what they made.
    seed = int(np.random.SeedSequence([plan.settings.seed, stage.number]).generate_state(1)[0])
    start, end = (
        replace(conditions_of(one, timestep_fs), seed=seed, keeps_momenta=bool(prepared.tables))
        for one in (stage.settings, stage.end)
    )
    if start != end:
        start = replace(start, ramp=Ramp(end.temperature_K, end.pressure_bar, stage.settings.steps))
    engine = replace(plan, settings=stage.settings, conditions=start).make_engine()
    run.log(str(stage))
    recorded = simulate(
        engine,
        run,
        stage.settings,
        start,
        reach_A=plan.reach_A,
        progress=progress,
        prefix=stage.prefix,
        watch=plan.watch(run, stage.prefix),
    )
    prepared.atoms, prepared.degrees_of_freedom = recorded.atoms, recorded.degrees_of_freedom
    prepared.tables[str(stage)] = recorded.rows
    if recorded.stopped or recorded.failed:
        prepared.ended = f"in {stage.name}, before the run itself, {recorded.stopped or recorded.failed}"


def _relaxed(plan: Plan, run: RunDirectory, *, progress: bool) -> Atoms:
    """Relax the structure; a resumed run takes the one that it had found."""
    file = run.path(RELAXED)
    atoms = plan.atoms.copy()
    if not (run.resumed and file is not None and file.is_file()):
        pressure_bar = plan.settings.pressure_bar if isinstance(plan.settings, NPTSettings) else 0.0
        cell = plan.settings.relax_cell
        found = optimize(
            plan.atoms,
            plan.calculator,
            fmax=RELAX_TO_EV_A,
            cell=cell,
            pressure_GPa=pressure_bar * EV_PER_A3_IN_GPA / EV_PER_A3_IN_BAR if cell else 0.0,
            progress=progress,
        )
        words = f"relaxed in {found.steps} steps to {found.fmax_eV_A:.2g} eV/Angstrom"
        if found.converged:
            run.log(words)
        else:
            run.note(f"the relaxation before the run did not converge ({found.cause}): {words}, and goes on from there")
        if file is None:
            return _moved(atoms, found.atoms)
        write_frames(file, found.atoms)
    return _moved(atoms, read(file, format="extxyz"))  # the file's digits, whether the run was resumed or not


def _moved(atoms: Atoms, to: Atoms) -> Atoms:
    atoms.set_cell(to.cell)
    atoms.set_positions(to.positions, apply_constraint=False)
    return atoms


def keep_stages(plan: Plan, run: RunDirectory) -> None:
    """Write the stages as used into the directory; refuse to go on with others than the run began with.

    Raises
    ------
    InputError
        The stages, or what they take from the run, differ from those in the directory: the first difference is named.
    """
    file = run.path(STAGES)
    if file is None:
        return
    now = [_content(stage) for stage in plan.stages]
    if run.resumed:
        before = load_yaml(file.read_text(encoding="utf-8"))["stages"] if file.is_file() else []
        _refuse_others(before, now, str(run.directory))
    if plan.stages:
        write_text(file, yaml.safe_dump({"stages": now}, sort_keys=False))


def _content(stage: Stage) -> dict[str, object]:
    """Return a stage as a file says it, everything filled in."""
    first, last = stage.settings.as_used(), stage.end.as_used()
    kept = ("steps", "timestep_fs", "thermostat", "friction_per_ps", "thermostat_time_fs", "cell_change")
    targets = ("temperature_K", "pressure_bar")
    ramped = {name: [first[name], last[name]] for name in targets if first.get(name) is not None}
    return {
        "name": stage.name,
        "ensemble": stage.settings.recipe,
        **{name: first[name] for name in kept if first.get(name) is not None},
        **ramped,
    }


def _refuse_others(before: list[dict[str, object]], now: list[dict[str, object]], directory: str) -> None:
    advice = "use the same stages, another directory (-o), or start over with --overwrite"
    if len(before) != len(now):
        raise InputError(
            "run-differs", f"the run in {directory} had {len(before)} stages, this one has {len(now)}; {advice}"
        )
    for number, (old, new) in enumerate(zip(before, now, strict=True), start=1):
        for key in dict.fromkeys([*new, *old]):
            if old.get(key) != new.get(key):
                raise InputError(
                    "run-differs",
                    f"stage {number} of the run in {directory} had {key}: {old.get(key)!r}, this one has "
                    f"{new.get(key)!r}; {advice}",
                )
