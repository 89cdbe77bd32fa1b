"""Dynamics with the committee from one pause to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from dp_sim.model.evaluator import Model
from dp_sim.recipes.dynamics.engines import engine_class
from dp_sim.recipes.dynamics.engines.protocol import Conditions, State, UnstableError
from dp_sim.recipes.dynamics.watching.uncertainty import largest_length
from dp_sim.recipes.inputs.calculators import as_calculator
from dp_sim.recipes.inputs.failed_evaluations import is_failure
from dp_sim.recipes.learning.exploring.limits import Ended, is_astray, may_be_labelled, without_budget
from dp_sim.recipes.learning.exploring.novelty import Novelty, least_alike
from dp_sim.recipes.learning.journal import PAUSED, RUNNING, Journal
from dp_sim.recipes.learning.labelling.labels import pick, structure_of
from dp_sim.recipes.learning.settings import LearnSettings
from dp_sim.recipes.learning.workplace import Workplace
from dp_sim.units import KB_EV_PER_K

#: Files of the state of dynamics, in turn.
STATES = ("state-0.npz", "state-1.npz")
#: How far a run looks ahead for further structures, in least times between two of them for each.
_AHEAD = 3


class Look(NamedTuple):
    """The run at one step: what is to be known if it comes back here."""

    step: int
    spread: float  # largest uncertainty of the force on an atom, eV/Angstrom
    atoms: Atoms
    state: State
    sizes: dict[str, int]


class Dynamics:
    """Dynamics under one committee.

    Parameters
    ----------
    atoms
        The start of the run.
    model, factor
        The committee, not calibrated, and what its spread is worth.
    conditions, settings
        Of the run.
    journal, files
        Of the run; dynamics goes on from the journal's position.

    Attributes
    ----------
    step
        The step reached.
    atoms
        The structure at the last look.
    """

    def __init__(
        self,
        atoms: Atoms,
        model: Model,
        factor: float,
        conditions: Conditions,
        settings: LearnSettings,
        journal: Journal,
        files: Workplace,
    ) -> None:
        assert settings.steps is not None
        self._settings, self._steps, self._journal, self._files = settings, settings.steps, journal, files
        self._timestep_fs, self._factor = conditions.timestep_fs, factor
        self._calculator = as_calculator(model)
        self._engine = engine_class(settings.dynamics_engine).make(atoms, self._calculator, conditions)
        self._apart = round(settings.apart_fs / conditions.timestep_fs)
        self._novelty = Novelty(model)
        self._novelty.know(structure_of(one) for key, one in journal.picked().items() if key in journal.labels)
        position = journal.position
        assert position is not None
        self.step = int(position["step"])
        files.cut(position["sizes"])
        if position["state"] is not None:
            self._engine.restore(files.load_state(position["state"]))
        self.atoms = self._engine.structure()

    def run(self, on_steps: Callable[[int, float], object]) -> Ended | None:
        """Go on to the next pause, which is then in the journal; or to the end, and say which.

        Parameters
        ----------
        on_steps
            Called with steps made and the largest uncertainty.
        """
        settings, recent, found = self._settings, [self._look()], list[Look]()
        while True:
            if not found and (ended := self._ended()) is not None:
                return ended
            before = self.step
            look = self._advance()
            on_steps(self.step - before, float("inf") if look is None else look.spread)
            if look is None or is_astray(look.atoms, look.spread, settings, self._journal):
                return self._pause(found, "threshold") if found else self._go_back(recent, look)
            kept = self.step % settings.frame_every == 0
            if kept:
                self._files.add_frame(look.atoms)
                look = look._replace(sizes=self._files.sizes())
            if look.spread > settings.threshold and self._is_far(look):
                found.append(look)
            if found:
                if self._is_enough(found[0]):
                    return self._pause(found, "threshold", ahead=True)
                continue
            recent.append(look)
            if kept:
                self._save(look, RUNNING)
                recent = [look]

    def _advance(self) -> Look | None:
        """Make the steps to the next look; None where the motion or the members fail on the way."""
        settings = self._settings
        steps = min(settings.look_every - self.step % settings.look_every, self._steps - self.step)
        try:
            self._engine.run(steps)
        except Exception as error:
            if not (isinstance(error, UnstableError) or is_failure(error)):
                raise
            return None
        finally:
            self.step += steps
        return self._look()

    def _look(self) -> Look:
        self.atoms = atoms = self._engine.structure()
        self._calculator.get_forces(atoms)  # in ASE those of the last step: nothing is evaluated
        spread = self._factor * largest_length(np.asarray(self._calculator.results["forces_std"]))
        position = self._journal.position
        if position is None or self.step > position["step"] or self.step == 0:
            temperature_K = 2 * atoms.get_kinetic_energy() / (self._engine.degrees_of_freedom * KB_EV_PER_K)
            self._files.add_look(self.step, self.step * self._timestep_fs / 1000, temperature_K, spread)
        return Look(self.step, spread, atoms, self._engine.state(), self._files.sizes())

    def _is_far(self, look: Look) -> bool:
        """Tell whether a structure is apart from those labelled, in time and in descriptors."""
        if look.step - self._journal.base_step < max(self._apart, 1):
            return False
        if not may_be_labelled(look.atoms, look.spread, self._journal):
            return False
        near = self._settings.min_distance
        return near == 0 or self._novelty.distance(look.atoms) >= near

    def _is_enough(self, first: Look) -> bool:
        """Tell whether the way ahead of the first unsure structure is long enough for all that may be labelled."""
        picks = min(self._settings.picks, self._settings.max_labels - self._journal.tried)
        ahead = _AHEAD * max(self._apart, self._settings.look_every) * (picks - 1)
        return self.step - first.step >= ahead or self.step >= self._steps

    def _go_back(self, recent: Sequence[Look], astray: Look | None) -> Ended | None:
        """Pause at structures on the way to one that is not to be trusted: the least certain of them.

        Where all of them have labels, that one itself is labelled, unless it is no structure of atoms; the run goes on
        from before it in any case.
        """
        base = self._journal.base_step
        new = [one for one in recent if one.step > base and may_be_labelled(one.atoms, one.spread, self._journal)]
        if new:
            return self._pause(new, "upper")
        if astray is not None and may_be_labelled(astray.atoms, astray.spread, self._journal):
            return self._pause([astray], "upper", back_to=recent[0])
        return Ended(
            False,
            f"before step {self.step:,}, {(self.step - self._journal.base_step) * self._timestep_fs:g} fs after the "
            f"last label, the uncertainty passes {self._settings.upper_limit:g} eV/Å, atoms run into each other or the "
            "label is refused, and nothing is new to label on the way: raise upper, look more often (look_every), or "
            "train longer (train_steps)",
        )

    def _pause(
        self, found: Sequence[Look], why: str, *, ahead: bool = False, back_to: Look | None = None
    ) -> Ended | None:
        """Pause to label the most telling structures; the run goes on from the first of them, or `ahead`: the last."""
        left = self._settings.max_labels - self._journal.tried
        if left < 1:
            return without_budget(self._settings, f"step {found[0].step:,}", found[0].spread)
        settings = self._settings
        chosen = least_alike(
            found, min(left, settings.picks), self._novelty, apart=self._apart, min_distance=settings.min_distance
        )
        picks = [pick(one.atoms, step=one.step, spread=one.spread) for one in chosen]
        self._save(back_to or chosen[-1 if ahead else 0], PAUSED, why=why, picks=picks)
        return None

    def _save(self, look: Look, kind: str, **content: Any) -> None:
        """Write the state of a look, and then the event that speaks of it."""
        name = STATES[self._journal.state_file == STATES[0]]  # the journal still speaks of the other
        self._files.save_state(name, look.state)
        self._journal.append(kind, step=look.step, state=name, sizes=look.sizes, **content)

    def _ended(self) -> Ended | None:
        settings, last_fs = self._settings, self.step * self._timestep_fs
        quiet_ps = (last_fs - self._journal.base_step * self._timestep_fs) / 1000
        over = self.step >= self._steps
        wanted = over and settings.quiet_ps is not None and quiet_ps < settings.quiet_ps
        if over:
            words = f"{self._steps:,} steps, the last {quiet_ps:g} ps of them without a label"
        elif settings.quiet_ps is not None and quiet_ps >= settings.quiet_ps:
            words = f"no label for {quiet_ps:g} ps, up to step {self.step:,}"
        elif settings.max_hours is not None and self._journal.elapsed_s > 3600 * settings.max_hours:
            return Ended(
                False, f"the {settings.max_hours:g} hours are over at step {self.step:,}; --resume with more goes on"
            )
        else:
            return None
        position = self._journal.position
        if position is not None and position["step"] != self.step:
            self._save(Look(self.step, 0.0, self.atoms, self._engine.state(), self._files.sizes()), RUNNING)
        return Ended(not wanted, f"{words}, and {settings.quiet_ps:g} ps were asked for" if wanted else words)
