"""The steps that lead from one event of the journal to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dp_sim.config.training import TrainConfig
from dp_sim.datasets.frames import Frame
from dp_sim.errors import InputError
from dp_sim.model.committee.folder import write_committee_file
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import load_model
from dp_sim.recipes.inputs.failed_evaluations import EvaluationError
from dp_sim.recipes.learning.exploring.along import Along
from dp_sim.recipes.learning.exploring.dynamics import Dynamics
from dp_sim.recipes.learning.exploring.limits import Ended
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
from dp_sim.recipes.learning.labelling.guard import force_bound, refusal
from dp_sim.recipes.learning.labelling.labels import frame, labelled_structures, pick, structure_of
from dp_sim.recipes.learning.labelling.reference import Reference
from dp_sim.recipes.learning.members.recalibration import LEAST, error_ratios, factor_of, share_within
from dp_sim.recipes.learning.members.retraining import (
    force_errors,
    force_rmse,
    network_of,
    train_member,
    watched,
    weights_sha256,
)
from dp_sim.recipes.learning.members.side_by_side import SideBySide
from dp_sim.recipes.learning.result import LearnResult, result_of
from dp_sim.recipes.learning.settings import LearnSettings
from dp_sim.recipes.learning.workplace import LABELS, Workplace
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import Advance, progress_bar

FINAL = "final.extxyz"
#: Fewer labels make no first members.
_LEAST_LABELS = 2
#: More of the old weights than this in the running mean, and a retraining is wasted in part.
_OLD_SHARE = 0.1


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
    side_by_side
        What trains several members at a time.
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
        side_by_side: SideBySide,
        spare: Path,
        *,
        progress: bool,
    ) -> None:
        self._inputs, self._settings, self._run, self._reference = inputs, settings, run, reference
        self._side_by_side = side_by_side
        self._files, self._progress = Workplace(run, spare), progress
        self._journal = Journal(self._files.file(JOURNAL))
        self._max_force_eV_A = force_bound(settings.max_force_eV_A, inputs.frames)

    def run(self) -> LearnResult:
        """Go from event to event until dynamics has ended."""
        self._begin()
        ended = None
        while ended is None:
            ended = self._next()
        self._run.log(ended.words)
        if refused := [self._journal.failures[key][-1]["cause"] for key in sorted(self._journal.refused)]:
            self._run.note(f"{len(refused)} labels were left out of the data: {refused[0]}")
        write_frames(self._files.file(FINAL), self._final)
        return result_of(
            self._journal, self._files.looks(), self._settings, self._inputs, ended, self._current(), self._final
        )

    def _begin(self) -> None:
        own = self._inputs.own
        begun = {
            "data": self._inputs.data_sha256,
            "training": list(self._inputs.recipe.settings),
            "along_settings": None if own is None else own.as_used(),
        }
        if self._journal.begun is None:
            self._files.begin(dynamics=self._inputs.own is None)
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
        if self._inputs.own is None:
            run.note(
                "no averages are taken of this run: its members changed on the way; nvt with this committee gives them"
            )
        what = (
            "the raw spread of the members"
            if self._inputs.factor == 1.0
            else (f"{self._inputs.factor:.3g} times the spread of the members, as they were calibrated")
        )
        run.note(f"the uncertainty is {what}, until {LEAST} labels have shown how large their errors are")
        run.note(f"labels with a force above {self._max_force_eV_A:.4g} eV/Å are left out of the data")
        average, steps = self._inputs.recipe.settings[0]["training"].get("average", 0.0), self._settings.train_steps
        if (kept := average**steps) > _OLD_SHARE:
            run.note(
                f"after the {steps} steps of a retraining, {100 * kept:.0f} % of the running mean of the weights "
                f"(training.average {average:g}) are those from before it: the new labels count for little; raise "
                "train_steps"
            )
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
            self._label(pending)
        elif any(one["hash"] in journal.fresh for one in journal.pause["picks"]) and journal.pause["why"] != "start":
            self._train()
        else:
            self._go_on(journal.pause)
        return None

    def _start(self) -> None:
        """Have the start labelled: it shows that the label calculator knows the structure, before all else."""
        starts = [pick(one, step=0, spread=None) for one in self._inputs.starts]
        self._journal.append(PAUSED, step=0, state=None, sizes=self._files.sizes(), why="start", picks=starts)

    def _go_on(self, pause: Mapping[str, Any]) -> None:
        """Go on from a pause: with dynamics, or first with the labels that members are made from."""
        refused = any(one["hash"] in self._journal.refused for one in pause["picks"])
        # From where a label was refused the run goes back, to look for earlier structures to label.
        source = self._journal.position if refused and self._journal.position is not None else pause
        where = {key: source[key] for key in ("step", "state", "sizes")}
        if pause["why"] == "start" and self._inputs.model is None:
            starts, settings = self._inputs.starts, self._settings
            structures = [
                first_structures(
                    start,
                    self._reference,
                    self._inputs.conditions,
                    count=settings.first // len(starts),
                    displacement_A=settings.displacement_A,
                    seed=settings.seed,
                )
                for start in starts
            ]
            picks = [pick(one, step=0, spread=None) for several in structures for one in several]
            self._journal.append(PAUSED, **where, why="first", picks=picks)
        else:
            self._journal.append(RUNNING if pause["why"] in ("start", "first") else RESUMED, **where)

    # ---- labels ----------------------------------------------------------------------------------------------------

    def _label(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Compute labels; one that fails, or that may not enter the data, is an event too."""
        for number, label in self._reference.labels([structure_of(entry) for entry in entries]):
            entry = entries[number]
            if isinstance(label, EvaluationError):
                self._no_label(entry, f"the label calculator cannot evaluate it: {label}", refused=False)
            elif words := refusal(label, self._max_force_eV_A):
                self._no_label(entry, words, refused=True)
            else:
                self._journal.append(LABELLED, hash=entry["hash"], **label)
                self._run.log(f"label {len(self._journal.labels)}, of step {entry['step']:,}")

    def _no_label(self, entry: Mapping[str, Any], cause: str, *, refused: bool) -> None:
        pause = self._journal.pause
        self._journal.append(FAILED, hash=entry["hash"], cause=cause, refused=refused)
        self._run.log(f"no label at step {entry['step']:,}: {cause}")
        if pause is not None and pause["why"] == "start" and not self._journal.pending(self._settings.label_retries):
            advice = "relax it first, or raise max_force" if refused else "check the calculator's settings"
            raise InputError("label-failed", f"the start: {cause}; {advice}")

    def _labelled_frames(self) -> dict[str, Frame]:
        """Return all labels as frames, by their hashes, in the order in which they were picked."""
        labels = self._journal.labels
        return {
            key: frame(f"label {key[:8]}", structure_of(entry), labels[key])
            for key, entry in self._journal.picked().items()
            if key in labels
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
        newest = [key for key in frames if key in journal.fresh]
        fresh = [frames[key] for key in newest]
        first = watched(self._inputs.frames or list(frames.values())[: self._first_labels()])
        errors = [] if before is None else force_errors(before, fresh)
        ratios = [] if before is None else error_ratios(before, fresh)
        all_ratios = [*(one for event in journal.trained for one in event["ratios"]), *ratios]
        journal.append(
            TRAINED,
            files=names,
            weights=weights_sha256(after),
            frames=len(everything),
            labels=len(frames),
            picks=newest,
            errors_before=errors,
            errors_after=force_errors(after, fresh),
            rmse_before=None if before is None else force_rmse(before, fresh),
            rmse_after=force_rmse(after, fresh),
            first_before=None if before is None else force_rmse(before, first),
            first_after=force_rmse(after, first),
            ratios=ratios,
            within=share_within(ratios, self._factor),
            factor=factor_of(all_ratios, self._inputs.members, self._inputs.factor),
        )
        self._publish()

    @property
    def _factor(self) -> float:
        """What a spread of the members is worth now."""
        trained = self._journal.trained
        return float(trained[-1]["factor"]) if trained else self._inputs.factor

    def _train_members(self, names: list[str], frames: list[Frame], before: Model | None) -> None:
        """Train those that are not whole yet from before the run was cut short: side by side, or one after another."""
        left = {number: self._files.file(name) for number, name in enumerate(names)}
        left = {number: target for number, target in left.items() if not target.exists()}
        configs = {number: self._config(number, before) for number in left}
        shown = self._progress
        if min(self._side_by_side.at_once, len(left)) > 1:
            tasks = [
                {
                    "config": configs[number].model_dump(mode="json"),
                    "own": self._inputs.recipe.settings[number],
                    "frames": frames,
                    "start": None if before is None else before.files[number],
                    "target": target,
                    "checkpoint": self._checkpoint(number),
                }
                for number, target in left.items()
            ]
            with progress_bar("train members", total=len(left), show=shown) as advance:
                self._side_by_side.train(tasks, advance)
            return
        for number, target in left.items():
            with progress_bar(f"train member {number}", total=configs[number].training.steps, show=shown) as advance:
                train_member(
                    configs[number],
                    self._inputs.recipe.settings[number],
                    frames,
                    None if before is None else network_of(before, number),
                    target,
                    self._checkpoint(number),
                    whole_steps=self._run.whole_steps,
                    on_step=_each(advance),
                )

    def _config(self, number: int, before: Model | None) -> TrainConfig:
        model = None if before is None else before.members[number].config
        return self._inputs.recipe.config(number, len(self._journal.trained), model)

    def _checkpoint(self, number: int) -> Path:
        return self._files.file(f"training-member-{number}.pt")

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
        labels = self._journal.labels
        picked = [(key, entry) for key, entry in self._journal.picked().items() if key in labels]
        labelled = [(structure_of(entry), labels[key]) for key, entry in picked]
        write_frames(self._files.file(LABELS), labelled_structures(labelled))
        for old in trained[:-1]:
            for name in old["files"]:
                self._files.file(name).unlink(missing_ok=True)

    # ---- dynamics --------------------------------------------------------------------------------------------------

    def _explore(self) -> Ended | None:
        """Use the members up to the next pause, or to the end."""
        model = self._current()
        assert model is not None
        exploring = self._exploring(model)
        self._run.log(f"{self._settings.along} from step {exploring.step:,}")
        with progress_bar(self._run.recipe, total=self._settings.steps, show=self._progress) as advance:
            if self._inputs.own is None:
                advance(exploring.step)
            ended = exploring.run(lambda steps, spread: advance(steps, f"±{spread:.3f} eV/Å"))
        self._final = exploring.atoms
        return ended

    def _exploring(self, model: Model) -> Dynamics | Along:
        inputs, of_the_run = self._inputs, (self._settings, self._journal, self._files)
        if inputs.own is None:
            return Dynamics(inputs.starts[0], model, self._factor, inputs.conditions, *of_the_run)
        name = self._settings.along
        folder = None if self._run.directory is None else self._run.part(name)
        return Along(name, inputs.own, inputs.starts, model, self._factor, *of_the_run, folder)


def _each(advance: Advance) -> Callable[[int], None]:
    """Advance a bar by one at each step."""

    def on_step(step: int) -> None:
        advance(1)

    return on_step
