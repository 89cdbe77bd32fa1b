"""Relaxations, bands and saddle searches with the committee: run whole, labelled where they went, and run again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from dp_sim.config.recipe import RecipeSettings
from dp_sim.errors import DPSimError, InputError, first_line
from dp_sim.model.evaluator import Model
from dp_sim.plugins.ase_calculator import DPCalculator  # noqa: TID253 - a base class, of models that are loaded
from dp_sim.recipes.dynamics.watching.uncertainty import largest_length
from dp_sim.recipes.inputs.failed_evaluations import is_failure
from dp_sim.recipes.learning.exploring.limits import Ended, is_astray, may_be_labelled, without_budget
from dp_sim.recipes.learning.exploring.novelty import Novelty, least_alike
from dp_sim.recipes.learning.journal import PAUSED, Journal
from dp_sim.recipes.learning.labelling.labels import pick, structure_of
from dp_sim.recipes.learning.settings import LearnSettings
from dp_sim.recipes.learning.workplace import Workplace
from dp_sim.recipes.paths.band.find import find_path
from dp_sim.recipes.paths.band.settings import NEBSettings
from dp_sim.recipes.paths.saddle.settings import TSSettings
from dp_sim.recipes.paths.saddle.ts import refine_ts
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.static.opt import optimize
from dp_sim.recipes.static.settings import OptSettings

#: A run with so many structures that are not to be trusted leads nowhere: it is left, and labelled up to there.
_ASTRAY = 20


class Kind(NamedTuple):
    """A recipe that the members can be run in: its settings, function, structures, and the one that it leads to."""

    settings: type[RecipeSettings]
    function: Callable[..., Result]
    structures: int
    found: Callable[[Any], Atoms]


KINDS: Mapping[str, Kind] = {
    "opt": Kind(OptSettings, optimize, 1, lambda result: result.atoms),
    "neb": Kind(NEBSettings, find_path, 2, lambda result: result.highest),
    "ts": Kind(TSSettings, refine_ts, 1, lambda result: result.atoms),
}


class Look(NamedTuple):
    """An evaluation on the way."""

    step: int  # number of the evaluation
    spread: float  # largest uncertainty of the force on an atom, eV/Angstrom
    atoms: Atoms


class _Left(DPSimError):
    """The run is left: it has gone astray."""


class _Observed(DPCalculator):
    """A committee that shows every structure that it evaluates."""

    def __init__(self, model: Model, show: Callable[[Atoms, Mapping[str, Any]], None]) -> None:
        super().__init__(model)
        self._show = show

    def calculate(self, *arguments: Any, **keywords: Any) -> None:
        """Evaluate, and show."""
        super().calculate(*arguments, **keywords)
        self._show(self.atoms, self.results)


class Along:
    """A recipe, run from its start with one committee.

    Parameters
    ----------
    name, own
        The recipe, and its settings.
    starts
        Its structures.
    model, factor
        The committee, not calibrated, and what its spread is worth.
    settings
        Of the run on the fly.
    journal, files
        Of the run; the step of its position is the number of the round.
    folder
        Directory for the files of the recipe; None: no files.

    Attributes
    ----------
    step
        The round.
    atoms
        What the recipe has led to; at first its start.
    """

    def __init__(
        self,
        name: str,
        own: RecipeSettings,
        starts: Sequence[Atoms],
        model: Model,
        factor: float,
        settings: LearnSettings,
        journal: Journal,
        files: Workplace,
        folder: Path | None,
    ) -> None:
        self._name, self._kind, self._own = name, KINDS[name], own
        self._starts, self._model, self._factor, self._folder = starts, model, factor, folder
        self._settings, self._journal, self._files = settings, journal, files
        assert journal.position is not None
        self.step, self.atoms = int(journal.position["step"]), starts[0]
        files.cut(journal.position["sizes"])
        self._number = files.count_looks()
        self._unsure, self._astray = list[Look](), list[Look]()

    def run(self, on_steps: Callable[[int, float], object]) -> Ended | None:
        """Run the recipe to its end; pause where structures on its way are to be labelled, else say how it ended.

        Parameters
        ----------
        on_steps
            Called with 1 and the largest uncertainty at each evaluation.
        """
        hours = self._settings.max_hours
        if hours is not None and self._journal.elapsed_s > 3600 * hours:
            return Ended(False, f"the {hours:g} hours are over at round {self.step + 1}; --resume with more goes on")
        result, failure = self._result(on_steps)
        if result is not None:
            self.atoms = self._kind.found(result)
        if chosen := self._chosen():
            return self._pause(chosen)
        above = len(self._unsure) + len(self._astray)
        if above:
            return Ended(
                False,
                f"{self._name}, round {self.step + 1}: {above} structures on the way are above the limits, and none of "
                "them is new to label: train longer (train_steps), or look whether the label calculator fails there",
            )
        if result is None:
            return Ended(False, f"{self._name}, round {self.step + 1}: {failure}")
        sure = f"in round {self.step + 1} no structure on the way of {self._name} is above the threshold"
        return Ended(result.converged, sure if result.converged else f"{sure}, and it did not converge: {result.cause}")

    def _result(self, on_steps: Callable[[int, float], object]) -> tuple[Result | None, str]:
        """Run the recipe; where it fails, or is left, say why."""

        def show(atoms: Atoms, results: Mapping[str, Any]) -> None:
            on_steps(1, self._look(atoms, results))

        try:
            return self._kind.function(
                *self._starts,
                _Observed(self._model, show),
                **self._own.model_dump(),
                out=self._folder,
                overwrite=True,
                progress=False,
            ), ""
        except _Left:
            return None, f"{_ASTRAY} structures on the way are not to be trusted"
        except Exception as error:  # members that know little may lead both ends into one minimum, say
            if not (isinstance(error, InputError) or is_failure(error)):
                raise
            return None, first_line(error)

    def _look(self, atoms: Atoms, results: Mapping[str, Any]) -> float:
        """Measure the uncertainty of an evaluation, and keep the structure if it is above a limit."""
        spread = self._factor * largest_length(np.asarray(results["forces_std"]))
        force = largest_length(np.asarray(results["forces"]))
        self._files.add_look(self._number, self.step + 1, force, spread)
        look = Look(self._number, spread, atoms)
        self._number += 1
        if is_astray(atoms, spread, self._settings, self._journal):
            self._astray.append(look._replace(atoms=atoms.copy()))
            if len(self._astray) == _ASTRAY:
                raise _Left("left", "")
        elif spread > self._settings.threshold:
            self._unsure.append(look._replace(atoms=atoms.copy()))
        return spread

    def _chosen(self) -> list[Look]:
        """Choose structures to label; above the upper limit only where nothing else is unsure."""
        candidates = list[Look]()
        for part in (self._unsure, self._astray):
            candidates = candidates or [one for one in part if may_be_labelled(one.atoms, one.spread, self._journal)]
        if not candidates:
            return []
        novelty = Novelty(self._model)
        novelty.know(structure_of(one) for key, one in self._journal.picked().items() if key in self._journal.labels)
        settings = self._settings
        return least_alike(candidates, settings.picks, novelty, apart=1, min_distance=settings.min_distance)

    def _pause(self, chosen: Sequence[Look]) -> Ended | None:
        left = self._settings.max_labels - self._journal.tried
        if left < 1:
            least = max(chosen, key=lambda one: one.spread)
            return without_budget(self._settings, f"evaluation {least.step} of {self._name}", least.spread)
        picks = [pick(one.atoms, step=one.step, spread=one.spread) for one in chosen[:left]]
        self._journal.append(
            PAUSED, step=self.step + 1, state=None, sizes=self._files.sizes(), why="threshold", picks=picks
        )
        return None
