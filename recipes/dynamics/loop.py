"""The loop of every run of dynamics: step, sample, write, and stop when the motion has become unstable."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from ase import Atoms, units

from dp_sim.recipes.dynamics.engines.protocol import Conditions, Engine, UnstableError
from dp_sim.recipes.dynamics.run_files import DynamicsFiles, Row
from dp_sim.recipes.dynamics.settings import DynamicsSettings
from dp_sim.recipes.inputs.failed_evaluations import failure_words, is_failure
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.units import KB_EV_PER_K

#: One amu/Angstrom^3 in g/cm^3.
AMU_PER_A3_IN_G_PER_CM3 = 1e27 / units.kg
#: Wall time between two checkpoints (s), for a machine that goes down. Ctrl-C and SIGTERM save one themselves.
CHECKPOINT_EVERY_S = 60.0
#: A kinetic temperature above `20 T + 10 000 K` is an explosion: neither released strain nor a fluctuation of a few
#: atoms comes near.
EXPLOSION_FACTOR, EXPLOSION_K = 20.0, 10_000.0
#: A volume that has grown or shrunk this many times is no longer the system that was asked for.
VOLUME_FACTOR = 10.0


@dataclass(frozen=True)
class Recorded:
    """The output of a run.

    Attributes
    ----------
    rows
        The table.
    atoms
        The last structure with finite positions and energy.
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


def simulate(
    engine: Engine, run: RunDirectory, settings: DynamicsSettings, conditions: Conditions, *, progress: bool
) -> Recorded:
    """Run the engine for all steps, or from the last checkpoint on, and write as it goes.

    Step 0 is sampled too. A run that becomes unstable stops at that sample, with the table and the frames up to there;
    where the calculator fails (an SCF that does not converge), with a checkpoint of the last sample too.
    """
    recorder = _Recorder(engine, DynamicsFiles(run), settings, conditions)
    done = recorder.begin()
    if run.resumed:
        run.log(f"continued from step {done:,}")
    run.on_interrupt(recorder.save)
    saved = time.monotonic()
    with progress_bar(run.recipe, total=settings.steps, show=progress) as advance:
        advance(done)
        while recorder.step < settings.steps and not recorder.ended:
            with run.whole_steps():
                block = recorder.advance()
                if time.monotonic() - saved > CHECKPOINT_EVERY_S:
                    recorder.save()
                    saved = time.monotonic()
            advance(block, f"{recorder.rows[-1].temperature_K:.0f} K")
    with run.whole_steps():
        recorder.save()
    if recorder.ended:
        run.log(recorder.ended)
    return Recorded(recorder.rows, recorder.last_good, engine.degrees_of_freedom, recorder.stopped, recorder.failed)


class _Recorder:
    """The state of the loop: the step reached, what is recorded, and whether the motion is stable."""

    def __init__(
        self, engine: Engine, files: DynamicsFiles, settings: DynamicsSettings, conditions: Conditions
    ) -> None:
        self._engine, self._files, self._settings, self._conditions = engine, files, settings, conditions
        self.step = 0
        self.rows: list[Row] = []
        self.stopped = self.failed = ""
        self.last_good = engine.structure()
        self._start_volume_A3 = self.last_good.get_volume() if self.last_good.pbc.all() else None
        self._mass = float(self.last_good.get_masses().sum())
        self._whole = engine.state()
        self._consistent = True  # the files hold what belongs to `step`

    @property
    def ended(self) -> str:
        """Why the run ended early; empty if it did not."""
        return self.stopped or self.failed

    def begin(self) -> int:
        """Continue from the checkpoint if there is one, else record step 0; return the step reached."""
        checkpoint = self._files.load_checkpoint()
        if checkpoint is None:
            self._files.begin()
            self._record()
        else:
            self.step, state = checkpoint
            self._engine.restore(state)
            self._whole = state
            self.rows = self._files.rows()
            self.last_good = self._engine.structure()
        return self.step

    def advance(self) -> int:
        """Run the steps up to the next sample; return their number."""
        every = self._settings.sample_every
        block = min(every - self.step % every, self._settings.steps - self.step)
        before = self.step
        try:
            self._engine.run(block)
            self._consistent = False
            self.step += block
            # The last steps of a run that ends between two samples have none: estimators need even spacing.
            if self.step % every:
                self.last_good = self._engine.structure()
            else:
                self._record()
        except UnstableError as error:  # the first sign of a non-finite last step may be a sample
            self._stop(f"{error} between steps {before:,} and {before + block:,}")
            return block
        except Exception as error:
            self.step, self._consistent = before, True
            if not is_failure(error):
                raise
            when = f"between steps {before:,} and {before + block:,}"
            self.failed = (
                f"{failure_words(error, when)}; what was reached is kept: --resume tries again from step {before:,}, "
                "a run of its own goes on from final.extxyz with other settings or a smaller time step"
            )
            return 0
        if not self.stopped:
            self._whole, self._consistent = self._engine.state(), True
        return block

    def _record(self) -> None:
        sample = self._engine.sample()
        temperature = 2 * sample.kinetic_eV / (self._engine.degrees_of_freedom * KB_EV_PER_K)
        cause = self._cause_to_stop(sample.potential_eV, temperature, sample.volume_A3)
        if cause:
            self._stop(f"{cause} at step {self.step:,}")
            return
        structure = self._engine.structure()
        density = None if sample.volume_A3 is None else self._mass / sample.volume_A3 * AMU_PER_A3_IN_G_PER_CM3
        total = sample.potential_eV + sample.kinetic_eV
        time_ps = self.step * self._conditions.timestep_fs / 1000.0
        row = Row(
            self.step,
            time_ps,
            temperature,
            sample.potential_eV,
            sample.kinetic_eV,
            total,
            sample.volume_A3,
            density,
            sample.pressure_bar,
            *((None,) * 6 if sample.pressure_tensor_bar is None else sample.pressure_tensor_bar.tolist()),
            *((None,) * 9 if sample.cell_A is None else sample.cell_A.ravel().tolist()),
        )
        self.rows.append(row)
        self.last_good = structure
        self._files.add_row(row)
        if self.step % self._settings.frame_every == 0:
            self._files.add_frame(structure, sample.potential_eV)

    def _cause_to_stop(self, potential_eV: float, temperature_K: float, volume_A3: float | None) -> str:
        if not (math.isfinite(potential_eV) and math.isfinite(temperature_K)):
            return "the energy became non-finite"
        limit = (
            EXPLOSION_FACTOR * (self._conditions.temperature_K or self._conditions.start_temperature_K or 0.0)
            + EXPLOSION_K
        )
        if temperature_K > limit:
            return f"the temperature has risen to {temperature_K:,.0f} K"
        if volume_A3 is not None and self._start_volume_A3 is not None:
            ratio = volume_A3 / self._start_volume_A3
            if not 1 / VOLUME_FACTOR < ratio < VOLUME_FACTOR:
                return f"the volume has become {ratio:.3g} times that of the start"
        return ""

    def _stop(self, cause: str) -> None:
        self.stopped = (
            f"{cause}: the motion is unstable; relax the structure first, take a smaller time step, "
            "or check the model on the last frames"
        )

    def save(self) -> None:
        """Save a checkpoint of the last whole step; a run that is unstable, or cut while it writes, keeps an older."""
        if self._consistent and not self.stopped:
            self._files.save_checkpoint(self.step, self._whole)
