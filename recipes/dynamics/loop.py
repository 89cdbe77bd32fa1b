"""The loop of every run of dynamics: step, sample, write, and stop when the motion has become unstable."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from dp_sim.recipes.dynamics.engines.protocol import Conditions, Engine, Sample, State, UnstableError
from dp_sim.recipes.dynamics.run_files import DynamicsFiles, Row, optional_columns
from dp_sim.recipes.dynamics.settings import DynamicsSettings
from dp_sim.recipes.dynamics.watching.guards import ADVICE, LOOK_EVERY, Guards
from dp_sim.recipes.dynamics.watching.uncertainty import UNCERTAIN, UncertaintyWatch
from dp_sim.recipes.inputs.failed_evaluations import failure_words, is_failure
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.units import EV_PER_A3_IN_BAR

if TYPE_CHECKING:
    from dp_sim.model.evaluator import Model

Array: TypeAlias = NDArray[np.float64]
#: One amu/Angstrom^3 in g/cm^3.
AMU_PER_A3_IN_G_PER_CM3 = 1e27 / units.kg
#: Wall time between two checkpoints (s), for a machine that goes down. Ctrl-C and SIGTERM save one themselves.
CHECKPOINT_EVERY_S = 60.0
#: File of the structure at which a run was stopped.
UNSTABLE = "unstable.extxyz"
#: Key of the state of the guards in a checkpoint.
GUARDS = "dp_sim_guards"


@dataclass(frozen=True)
class Recorded:
    """The output of a run.

    Attributes
    ----------
    rows
        The table.
    atoms
        The last structure that the guards found sound.
    degrees_of_freedom
        Number of momenta that count in the temperature.
    stopped
        Why it became unstable, as a sentence; empty if it did not. Then no number can be taken from it.
    failed
        How the calculator failed and ended the run, as a sentence; empty if it did not. What was recorded is sound.
    """

    rows: list[Row]
    atoms: Atoms
    degrees_of_freedom: int
    stopped: str
    failed: str = ""
    #: What was recorded in the stages before, by their descriptions.
    stages: dict[str, list[Row]] = field(default_factory=dict)
    #: Whether the rows are the equilibrated parts of replicas, one after the other.
    pooled: bool = False


def simulate(
    engine: Engine,
    run: RunDirectory,
    settings: DynamicsSettings,
    conditions: Conditions,
    *,
    reach_A: float | None = None,
    progress: bool,
    prefix: str = "",
    watch: UncertaintyWatch | None = None,
    committee: Model | None = None,
) -> Recorded:
    """Run the engine for all steps, or from the last checkpoint on, and write as it goes.

    Step 0 is sampled too. A run that becomes unstable stops within `LOOK_EVERY` steps, with the last sound structure,
    the table and the frames up to there; where the calculator fails (an SCF that does not converge), with a checkpoint
    of the last sample too. `prefix` begins the names of the files of a stage. `reach_A` is the distance beyond which
    atoms do not act on each other, None where not known. `watch` looks at the uncertainty of each sample; of a
    `committee` the energy by each member is kept.
    """
    guards = Guards(engine.degrees_of_freedom, reach_A)
    recorder = _Recorder(engine, DynamicsFiles(run, prefix), settings, conditions, guards, watch, committee)
    done = recorder.begin()
    if run.resumed:
        run.log(f"continued from step {done:,}")
    run.on_interrupt(recorder.save)
    saved = begun = time.monotonic()
    told, warned = "", False
    with progress_bar(prefix.rstrip("-") or run.recipe, total=settings.steps, show=progress) as advance:
        advance(done)
        while recorder.step < settings.steps and not recorder.ended:
            with run.whole_steps():
                block = recorder.advance()
                if time.monotonic() - saved > CHECKPOINT_EVERY_S:
                    recorder.save()
                    saved = time.monotonic()
            if guards.remark != told:
                told = guards.remark
                run.note(f"{told} from step {recorder.step:,} on")
            if recorder.uncertain and not warned:
                run.note(recorder.uncertain)
                warned = True
            advance(block, _now_words(recorder, done, time.monotonic() - begun))
    with run.whole_steps():
        recorder.save()
    if recorder.ended:
        run.log(recorder.ended)
    if recorder.bad is not None and (file := run.path(UNSTABLE)) is not None:
        write_frames(file, recorder.bad)
    return Recorded(recorder.rows, recorder.last, engine.degrees_of_freedom, recorder.stopped, recorder.failed)


def _now_words(recorder: _Recorder, done: int, elapsed_s: float) -> str:
    """Say what the last sample shows, and how fast the run is."""
    row = recorder.rows[-1]
    shown = [f"{row.temperature_K:.0f} K"]
    if row.pressure_bar is not None:
        shown.append(f"{row.pressure_bar:.0f} bar")
    if row.density_g_cm3 is not None:
        shown.append(f"{row.density_g_cm3:.3f} g/cm³")
    made_ns = (recorder.step - done) * recorder.timestep_fs / 1e6
    if elapsed_s > 0:
        shown.append(f"{made_ns / elapsed_s * 86400:.3g} ns/day")
    return ", ".join(shown)


class _Recorder:
    """The state of the loop: the step reached, what is recorded, and whether the motion is stable."""

    def __init__(
        self,
        engine: Engine,
        files: DynamicsFiles,
        settings: DynamicsSettings,
        conditions: Conditions,
        guards: Guards,
        watch: UncertaintyWatch | None,
        committee: Model | None,
    ) -> None:
        self._engine, self._files, self._settings = engine, files, settings
        self._start = self._conditions = conditions
        self._guards, self._watch, self._committee = guards, watch, committee
        #: The first sample of this session whose uncertainty is above the limit, as a sentence; else empty.
        self.uncertain = ""
        self.step = 0
        self.rows: list[Row] = []
        self.stopped = self.failed = ""
        self.last = engine.structure()
        #: The structure at which the guards stopped the run; None where it was not, or is not finite.
        self.bad: Atoms | None = None
        self._mass = float(self.last.get_masses().sum())
        self._whole = self._state()
        self._consistent = True  # the files hold what belongs to `step`

    @property
    def ended(self) -> str:
        """Why the run ended early; empty if it did not."""
        return self.stopped or self.failed

    @property
    def timestep_fs(self) -> float:
        """Time step, fs."""
        return self._conditions.timestep_fs

    def begin(self) -> int:
        """Continue from the checkpoint if there is one, else record step 0; return the step reached."""
        checkpoint = self._files.load_checkpoint()
        if self._watch is not None:
            self._watch.begin(0 if checkpoint is None else checkpoint[0])
        if checkpoint is None:
            self._files.begin()
            self._record()
            self._whole = self._state()  # with what the guards took as the start
        else:
            self.step, state = checkpoint
            self._whole = dict(state)
            watched = state.pop(GUARDS, None)
            self._engine.restore(state)
            self.rows = self._files.rows()
            self.last = self._engine.structure()
            if watched is not None:
                self._guards.restore(watched.tolist(), self.last)
        return self.step

    def _state(self) -> State:
        return {**self._engine.state(), GUARDS: np.array(self._guards.state())}

    def advance(self) -> int:
        """Run the steps up to the next sample; return their number."""
        every = self._settings.sample_every
        block = min(every - self.step % every, self._settings.steps - self.step)
        before = reached = self.step
        try:
            while self.step < before + block and not self.ended:
                reached = self.step
                steps = min(LOOK_EVERY - self.step % LOOK_EVERY, before + block - self.step)
                if self._start.ramp is not None:  # after a restart too, in the same stairs
                    self._conditions = self._start.at(reached)
                    self._engine.retarget(self._conditions)
                self._engine.run(steps)
                self._consistent = False
                self.step += steps
                # The last steps of a run that ends between two samples have none: estimators need even spacing.
                if self.step % every:
                    self._look()
                else:
                    self._record()
        except UnstableError as error:  # the first sign of a non-finite last step may be a sample
            when = f"between steps {reached:,} and {reached + steps:,}"
            why = f"{error} {when}: the motion is unstable; {ADVICE}"
            self._stop(why if error.code == "motion-unstable" else f"{when} {error}")
            return block
        except Exception as error:
            self.step, self._consistent = before, True
            if not is_failure(error):
                raise
            when = f"between steps {reached:,} and {reached + steps:,}"
            self.failed = (
                f"{failure_words(error, when)}; what was reached is kept: --resume tries again from step {before:,}, "
                "a run of its own goes on from final.extxyz with other settings or a smaller time step"
            )
            return 0
        if not self.stopped:
            self._whole, self._consistent = self._state(), True
        return block

    def _look(self) -> None:
        """Look at the motion between two samples: at the energy only where the velocities call for it."""
        structure = self._engine.structure()
        if self._guards.looks_odd(structure, self._conditions):
            self._judge(self._engine.sample(), structure)
        if not self.stopped:
            self.last = structure

    def _judge(self, sample: Sample, structure: Atoms) -> None:
        """Stop the run if the guards say so."""
        cause = self._guards.cause_to_stop(sample, structure, self._conditions)
        if cause:
            what, _, why = cause.partition(": ")
            self._stop(f"{what} at step {self.step:,}: {why}")
            self.bad = structure if np.isfinite(structure.positions).all() else None

    def _record(self) -> None:
        sample, structure = self._engine.sample(), self._engine.structure()
        self._judge(sample, structure)
        if self.stopped:
            return
        density = None if sample.volume_A3 is None else self._mass / sample.volume_A3 * AMU_PER_A3_IN_G_PER_CM3
        row = Row(
            self.step,
            self.step * self._conditions.timestep_fs / 1000.0,
            self._guards.temperature_K(sample.kinetic_eV),
            sample.potential_eV,
            sample.kinetic_eV,
            sample.potential_eV + sample.kinetic_eV,
            sample.volume_A3,
            density,
            sample.pressure_bar,
            **optional_columns(sample),
            force_uncertainty_eV_A=self._uncertainty(structure),
            **self._members(sample, structure),
        )
        self.rows.append(row)
        self.last = structure
        self._files.add_row(row)
        if self.step % self._settings.frame_every == 0:
            self._files.add_frame(structure, sample.potential_eV, velocities=self._settings.velocities)

    def _members(self, sample: Sample, structure: Atoms) -> dict[str, Any]:
        """Take what the members of a committee say, or ask for it where the engine knows their mean alone."""
        if self._committee is None:
            return {}
        energies, pressures = sample.members_eV, sample.members_bar
        if energies is None:
            energies, pressures = _asked(self._committee, sample, structure)
        told = {"members_eV": energies, "members_bar": pressures}
        return {name: tuple(map(float, values)) for name, values in told.items() if values is not None}

    def _uncertainty(self, structure: Atoms) -> float | None:
        """Look at the uncertainty, where it is watched; end the run there if that is asked for."""
        if self._watch is None:
            return None
        found = self._watch.look(structure, self.step)
        if found > self._watch.limit_eV_A:
            words = self._watch.words(found, self.step)
            self.uncertain = self.uncertain or words
            if self._watch.stops:
                self.failed = f"{words}; label {UNCERTAIN} and train on it, or go on with a larger limit and --resume"
        return found

    def _stop(self, cause: str) -> None:
        self.stopped = cause

    def save(self) -> None:
        """Save a checkpoint of the last whole step; a run that is unstable, or cut while it writes, keeps an older."""
        if self._consistent and not self.stopped:
            self._files.save_checkpoint(self.step, self._whole)


def _asked(committee: Model, sample: Sample, structure: Atoms) -> tuple[Array, Array | None]:
    """Evaluate the energies (K,) of the members, eV, and their pressures (K,), bar, where the sample has one.

    With rigid bonds the pressure is that of the centres of their groups, of which nothing is told here.
    """
    with_pressure = sample.pressure_bar is not None and sample.kinetic_pressure_bar is None
    asked = committee.evaluate(structure, forces=False, virial=with_pressure)
    assert asked.member_energies is not None
    energies = asked.member_energies[0].cpu().numpy()
    if not with_pressure:
        return energies, None
    assert asked.member_virials is not None
    assert asked.virial is not None
    apart = np.trace((asked.member_virials[0] - asked.virial[0]).cpu().numpy(), axis1=1, axis2=2)
    return energies, sample.pressure_bar + apart / (3 * structure.get_volume()) * EV_PER_A3_IN_BAR
