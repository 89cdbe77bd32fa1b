"""The steps that lead from one event of the journal to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dp_sim.datasets.frames import Frame
from dp_sim.errors import InputError
from dp_sim.model.committee.folder import write_committee_file
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import load_model
from dp_sim.recipes.inputs.failed_evaluations import EvaluationError
from dp_sim.recipes.learning.exploration import Ended, Exploration
from dp_sim.recipes.learning.first_set import first_structures
from dp_sim.recipes.learning.inputs import Inputs
from dp_sim.recipes.learning.journal import (
    BEGUN,
    FAILED,
    JOURNAL,
    LABELLED,
    PAUSED,
    RESUMED,
    RUNNING,
    TRAINED,
    Journal,
)
from dp_sim.recipes.learning.labels import frame, labelled_structures, pick, structure_of
from dp_sim.recipes.learning.reference import Reference
from dp_sim.recipes.learning.result import LearnResult, result_of
from dp_sim.recipes.learning.retraining import (
    force_errors,
    force_rmse,
    network_of,
    train_member,
    watched,
    weights_sha256,
)
from dp_sim.recipes.learning.settings import LearnSettings
from dp_sim.recipes.learning.workplace import Workplace
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import Advance, progress_bar

LABELS, FINAL = "labels.extxyz", "final.extxyz"
#: Fewer labels make no first members.
_LEAST_LABELS = 2


class Learner:
    """A run on the fly: what is next follows from the journal alone.

    Parameters
    ----------
    inputs, settings
        Of the run.
    run
        Its directory.
    reference
        The label calculator.
    spare
        Folder for files of a run without a directory.
    progress
        Show a bar on a terminal.
    """

    def __init__(
        self,
        inputs: Inputs,
        settings: LearnSettings,
        run: RunDirectory,
        reference: Reference,
        spare: Path,
        *,
        progress: bool,
    ) -> None:
        self._inputs, self._settings, self._run, self._reference = inputs, settings, run, reference
        self._files, self._progress = Workplace(run, spare), progress
        self._journal = Journal(self._files.file(JOURNAL))
        calibration = None if inputs.model is None else inputs.model.calibration
        #: What a spread of the members was worth at the start; it is taken over for those that come after them.
        self._factor = 1.0 if calibration is None else float(calibration.forces.factor)

    def run(self) -> LearnResult:
        """Go from event to event until dynamics has ended."""
        self._begin()
        ended = None
        while ended is None:
            ended = self._next()
        self._run.log(ended.words)
        write_frames(self._files.file(FINAL), self._final)
        return result_of(
            self._journal, self._files.looks(), self._settings, self._inputs, ended, self._current(), self._final
        )

    def _begin(self) -> None:
        begun = {"data": self._inputs.data_sha256, "training": list(self._inputs.recipe.settings)}
        if self._journal.begun is None:
            self._files.begin()
            self._journal.append(BEGUN, **begun)
        for key, value in begun.items():
            if self._journal.begun is not None and self._journal.begun[key] != value:
                raise InputError(
                    "run-differs",
                    f"the run had other {key} ({self._journal.begun[key]}), now {value}; give the same, or start over "
                    "with --overwrite",
                )
        self._say()
        self._publish()

    def _say(self) -> None:
        run = self._run
        run.note(
            "no averages are taken of this run: its members changed on the way; nvt with this committee gives them"
        )
        if self._factor == 1.0:
            run.note("the uncertainty is the raw spread of the members: nobody has calibrated it")
        else:
            run.note(f"the uncertainty is {self._factor:.3g} times the spread of the members, calibrated at the start")
        if not self._inputs.frames and self._inputs.model is not None:
            run.note("without --data the members are trained on new labels alone, and may forget what they knew")

    def _next(self) -> Ended | None:
        """Make the next step; say so when dynamics has ended."""
        journal = self._journal
        if journal.pause is None:
            if journal.position is not None:
                return self._explore()
            self._start()
            return None
        pending = journal.pending(self._settings.label_retries)
        if pending:
            self._label(pending[0])
        elif any(one["hash"] in journal.fresh for one in journal.pause["picks"]) and journal.pause["why"] != "start":
            self._train()
        else:
            self._go_on(journal.pause)
        return None

    def _start(self) -> None:
        """Have the start labelled: it shows that the label calculator knows the structure, before all else."""
        start = pick(self._inputs.plan.atoms, step=0, spread=None)
        self._journal.append(PAUSED, step=0, state=None, sizes=self._files.sizes(), why="start", picks=[start])

    def _go_on(self, pause: Mapping[str, Any]) -> None:
        """Go on from a pause: with dynamics, or first with the labels that members are made from."""
        where = {key: pause[key] for key in ("step", "state", "sizes")}
        if pause["why"] == "start" and self._inputs.model is None:
            plan, settings = self._inputs.plan, self._settings
            structures = first_structures(
                plan.atoms,
                self._reference,
                plan.conditions,
                count=settings.first,
                displacement_A=settings.displacement_A,
                seed=settings.seed,
            )
            picks = [pick(one, step=0, spread=None) for one in structures]
            self._journal.append(PAUSED, **where, why="first", picks=picks)
        else:
            self._journal.append(RUNNING if pause["why"] in ("start", "first") else RESUMED, **where)

    # ---- labels ----------------------------------------------------------------------------------------------------

    def _label(self, entry: Mapping[str, Any]) -> None:
        """Compute a label; a failure is an event too."""
        assert self._journal.pause is not None
        try:
            label = self._reference.label(structure_of(entry))
        except EvaluationError as error:
            self._journal.append(FAILED, hash=entry["hash"], cause=str(error))
            self._run.log(f"no label at step {entry['step']:,}: {error}")
            if self._journal.pause["why"] == "start" and not self._journal.pending(self._settings.label_retries):
                raise InputError(
                    "label-failed", f"the label calculator cannot evaluate the start: {error}; check its settings"
                ) from error
            return
        self._journal.append(LABELLED, hash=entry["hash"], **label)
        self._run.log(f"label {len(self._journal.labels)}, of step {entry['step']:,}")

    def _labelled_frames(self) -> dict[str, Frame]:
        """Return all labels as frames, by their hashes, in the order in which they were made."""
        picked = self._journal.picked()
        return {
            key: frame(f"label {key[:8]}", structure_of(picked[key]), label)
            for key, label in self._journal.labels.items()
        }

    # ---- training --------------------------------------------------------------------------------------------------

    def _train(self) -> None:
        """Train all members on all labels, and measure what that bought."""
        journal, round_number = self._journal, len(self._journal.trained) + 1
        frames = self._labelled_frames()
        if len(frames) < _LEAST_LABELS:
            raise EvaluationError(
                "labels-failed",
                f"{len(frames)} of the first structures could be labelled, and no members can be made of so few; the "
                "journal has the causes",
            )
        everything = [*self._inputs.frames, *frames.values()]
        before = self._current()
        names = [f"round-{round_number}-member-{k}.pt" for k in range(self._inputs.members)]
        self._run.log(f"training {round_number}: {len(everything)} frames")
        self._train_members(names, everything, before)
        after = load_model([self._files.file(name) for name in names])
        fresh = [frames[key] for key in journal.fresh]
        first = watched(self._inputs.frames or list(frames.values())[: self._first_labels()])
        errors = [] if before is None else force_errors(before, fresh)
        journal.append(
            TRAINED,
            files=names,
            weights=weights_sha256(after),
            frames=len(everything),
            labels=len(frames),
            picks=journal.fresh,
            errors_before=errors,
            errors_after=force_errors(after, fresh),
            rmse_before=None if before is None else force_rmse(before, fresh),
            rmse_after=force_rmse(after, fresh),
            first_before=None if before is None else force_rmse(before, first),
            first_after=force_rmse(after, first),
        )
        self._publish()

    def _train_members(self, names: list[str], frames: list[Frame], before: Model | None) -> None:
        recipe = self._inputs.recipe
        for number, name in enumerate(names):
            target = self._files.file(name)
            if target.exists():  # whole, from before the run was cut short
                continue
            model = None if before is None else before.members[number].config
            config = recipe.config(number, len(self._journal.trained), model)
            with progress_bar(f"train member {number}", total=config.training.steps, show=self._progress) as advance:
                train_member(
                    config,
                    recipe.settings[number],
                    frames,
                    None if before is None else network_of(before, number),
                    target,
                    self._files.file(f"training-member-{number}.pt"),
                    whole_steps=self._run.whole_steps,
                    on_step=_each(advance),
                )

    def _first_labels(self) -> int:
        """Count the labels of the first training."""
        trained = self._journal.trained
        return trained[0]["labels"] if trained else len(self._journal.labels)

    def _current(self) -> Model | None:
        """Open the members as they are now."""
        if not self._journal.trained:
            return self._inputs.model
        names = self._journal.trained[-1]["files"]
        return load_model([self._files.file(name) for name in names])

    def _publish(self) -> None:
        """Make the directory the folder of the newest committee, with the labels beside it; remove older members."""
        trained = self._journal.trained
        if not trained:
            return
        write_committee_file(self._files.file("committee.json").parent, trained[-1]["files"])
        picked = self._journal.picked()
        labelled = [(structure_of(picked[key]), label) for key, label in self._journal.labels.items()]
        write_frames(self._files.file(LABELS), labelled_structures(labelled))
        for old in trained[:-1]:
            for name in old["files"]:
                self._files.file(name).unlink(missing_ok=True)

    # ---- dynamics --------------------------------------------------------------------------------------------------

    def _explore(self) -> Ended | None:
        model = self._current()
        assert model is not None
        factor = self._factor if self._journal.trained else 1.0  # members that are calibrated apply it themselves
        exploration = Exploration(
            self._inputs.plan.atoms,
            model,
            factor,
            self._settings,
            self._inputs.plan.conditions,
            self._journal,
            self._files,
        )
        self._run.log(f"dynamics from step {exploration.step:,}")
        with progress_bar(self._run.recipe, total=self._settings.steps, show=self._progress) as advance:
            advance(exploration.step)
            ended = exploration.run(lambda steps, spread: advance(steps, f"±{spread:.3f} eV/Å"))
        self._final = exploration.atoms
        return ended


def _each(advance: Advance) -> Callable[[int], None]:
    """Advance a bar by one at each step."""

    def on_step(step: int) -> None:
        advance(1)

    return on_step
