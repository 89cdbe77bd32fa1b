"""What a run on the fly has learnt: its labels, what each training bought, and whether anything was forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.errors import InputError
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import load_model
from dp_sim.recipes.learning.exploring.limits import Ended
from dp_sim.recipes.learning.inputs import Inputs
from dp_sim.recipes.learning.journal import PAUSED, TRAINED, Journal
from dp_sim.recipes.learning.settings import LearnSettings
from dp_sim.recipes.learning.workplace import LABELS, TRAJECTORY
from dp_sim.recipes.results.figures import COLOURS, new_figure, new_panels, new_series, set_legend
from dp_sim.recipes.results.page.scene import movie_of_series
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import QuantityTable
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.trajectory import ExtxyzFrames

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORCE = "eV/Angstrom"


class Pick(NamedTuple):
    """A structure that was to be labelled."""

    step: int  # of dynamics; of a search the number of the evaluation
    spread: float | None  # largest uncertainty of the force on an atom, eV/Angstrom; None where there were no members
    error: float | None  # largest true error of the force on an atom then, eV/Angstrom; None without a label
    error_after: float | None  # and after the training on it
    cause: str  # why there is no label; else empty


class Training(NamedTuple):
    """A training of all members, and force errors (RMSE, eV/Angstrom) before and after it."""

    step: int  # of dynamics; of a search the round
    labels: int  # all there were
    new_before: float | None  # on the labels that it was made for
    new_after: float | None
    first_before: float | None  # on the first data
    first_after: float | None
    within: float | None  # share of the errors on the new labels within the uncertainty told; 0.68 if it was true
    factor: float  # what a spread is worth after it, by the errors at the latest labels


@dataclass(frozen=True, kw_only=True)
class LearnResult(Result):
    """A run on the fly. It has no averages: the members changed on the way.

    Attributes
    ----------
    atoms
        The last structure of dynamics, with momenta; what a search has led to (of neb the highest image).
    model
        The committee at the end.
    picks
        Every structure that was to be labelled on the way.
    trainings
        Every training.
    looks
        (L, 4) step, time (ps), temperature (K) and largest uncertainty (eV/Angstrom) along dynamics; of a search number
        of the evaluation, round, largest force and largest uncertainty (eV/Angstrom).
    along
        What was run with the committee.
    threshold, upper
        Limits of the uncertainty, eV/Angstrom.
    label_count, failed_labels
        Number of labels, of those first ones too that members were made of, and of failed attempts.
    ended
        How the run came to its end.
    first_data
        What the first data are, on which forgetting is watched.
    """

    recipe: ClassVar[str] = "learn"
    title: ClassVar[str] = "Learning on the fly"

    atoms: Atoms
    model: Model
    picks: tuple[Pick, ...]
    trainings: tuple[Training, ...]
    looks: NDArray[np.float64]
    threshold: float
    upper: float
    label_count: int
    failed_labels: int
    ended: str
    first_data: str
    along: str = "dynamics"

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        above = int((self.looks[:, 3] > self.threshold).sum())
        last = [one.step for one in self.picks]
        return {
            "labels": Quantity(self.label_count),
            "failed_labels": Quantity(self.failed_labels),
            "trainings": Quantity(len(self.trainings)),
            **self._length(),
            "last_labelled_step": Quantity(
                last[-1] if last else None, cause="" if last else "nothing had to be labelled"
            ),
            "threshold": Quantity(self.threshold, FORCE),
            "upper_limit": Quantity(self.upper, FORCE),
            "looks": Quantity(len(self.looks)),
            "looks_above_threshold": Quantity(above),
            "members": Quantity(len(self.model.members)),
            **self._training_columns(),
        }

    def _length(self) -> dict[str, Quantity | Estimate]:
        number, place = int(self.looks[-1, 0]), float(self.looks[-1, 1])
        if self.along == "dynamics":
            return {"steps": Quantity(number), "time": Quantity(place, "ps")}
        return {"evaluations": Quantity(number + 1), "rounds": Quantity(int(place))}

    def _training_columns(self) -> dict[str, Quantity | Estimate]:
        columns = {name: [getattr(one, name) for one in self.trainings] for name in Training._fields}
        return {
            f"training_{name}": Quantity(values, FORCE if "_" in name else "")
            for name, values in columns.items()
            if self.trainings
        }

    @override
    def tables(self) -> dict[str, QuantityTable]:
        if not self.trainings:
            return {}
        caption = (
            "What each training bought: RMSE of force components on the new labels before and after it, and on the "
            f"first data ({self.first_data}), where a rise would be forgetting. Within: share of the errors on the "
            "new labels, before they were trained on, within the uncertainty told (0.68 if it is true). Factor: "
            "uncertainty over spread from then on."
        )
        columns = {
            "training_step": ("step", 0),
            "training_labels": ("labels", 0),
            "training_new_before": ("new, before", 4),
            "training_new_after": ("new, after", 4),
            "training_first_before": ("first, before", 4),
            "training_first_after": ("first, after", 4),
            "training_within": ("within", 2),
            "training_factor": ("factor", 2),
        }
        return {"trainings": QuantityTable(caption, columns, numbered="training")}

    @property
    @override
    def outcome(self) -> str:
        return self.ended

    @override
    def headline(self) -> tuple[str, ...]:
        return ("labels", "trainings", "last_labelled_step" if self.along == "dynamics" else "rounds")

    @property
    @override
    def basis(self) -> str:
        place = self.looks[-1, 1]
        length = f"{place:.4g} ps" if self.along == "dynamics" else f"{place:.0f} rounds of {self.along}"
        return f"{len(self.atoms)} atoms, {len(self.model.members)} members, {length}"

    @property
    def trajectory(self) -> ExtxyzFrames:
        """The frames of dynamics as a list of ase.Atoms, each read from the file when it is asked for.

        Raises
        ------
        InputError
            The run wrote no files, or was along a search, which has no trajectory.
        """
        if self.directory is None or self.along != "dynamics":
            raise InputError(
                "trajectory-missing",
                "this run kept no trajectory: it wrote no files, or was along a search (labels.extxyz has what was "
                "labelled there); run dynamics with out=DIR",
            )
        return ExtxyzFrames(self.directory / TRAJECTORY)

    @override
    def animation(self) -> dict[str, Any] | None:
        labels = None if self.directory is None else self.directory / LABELS
        frames = ExtxyzFrames(labels) if labels is not None and labels.is_file() else []
        return movie_of_series(frames, self.atoms, "label", "labelled structures")

    @override
    def captions(self) -> dict[str, str]:
        return {
            "uncertainty_along_the_run": "Largest uncertainty of the force on an atom, and the structures labelled.",
            "uncertainty_and_error": "What the members expected, their error, and their error after the training.",
            "trainings": "Errors before and after each training; a rise on the first data would be forgetting.",
        }

    @override
    def figures(self) -> dict[str, Figure]:
        figures = {"uncertainty_along_the_run": self._course()}
        if any(one.error is not None for one in self.picks):
            figures["uncertainty_and_error"] = self._honesty()
        if self.trainings:
            figures["trainings"] = self._progress()
        return figures

    def _course(self) -> Figure:
        dynamics = self.along == "dynamics"
        figure, axes = new_series("time (ps)" if dynamics else "evaluation", "force uncertainty (eV/Å)")
        axes.plot(self.looks[:, 1 if dynamics else 0], self.looks[:, 3], color=COLOURS[0], lw=0.8)
        axes.axhline(self.threshold, color=COLOURS[1], lw=1, label="threshold")
        per_step = self.looks[-1, 1] / max(self.looks[-1, 0], 1) if dynamics else 1.0
        labelled = np.array([(one.step * per_step, one.spread or 0.0) for one in self.picks]).reshape(-1, 2)
        axes.plot(*labelled.T, "o", color=COLOURS[1], ms=4, label="labelled")
        set_legend(axes)
        return figure

    def _honesty(self) -> Figure:
        known = [one for one in self.picks if one.error is not None and one.spread is not None]
        figure, (course, plane) = new_panels(
            [("label", "largest on an atom (eV/Å)"), ("uncertainty (eV/Å)", "true error (eV/Å)")]
        )
        numbers = range(1, len(known) + 1)
        for name, field, colour in (
            ("uncertainty", "spread", 0),
            ("true error", "error", 1),
            ("after", "error_after", 2),
        ):
            values = [getattr(one, field) for one in known]
            course.semilogy(numbers, values, "o-", ms=3, lw=0.8, color=COLOURS[colour], label=name)
        course.axhline(self.threshold, color="black", lw=0.8, ls="--", label="threshold")
        set_legend(course)
        points = np.array([(one.spread, one.error) for one in known], dtype=float)
        plane.plot(*points.T, "o", ms=4, color=COLOURS[0])
        plane.plot([0, points.max()], [0, points.max()], color="black", lw=0.8, ls="--")
        return figure

    def _progress(self) -> Figure:
        figure, axes = new_figure("labels", "RMSE of force components (eV/Å)")
        labels = [one.labels for one in self.trainings]
        for name, field, colour in (
            ("new labels, before", "new_before", 1),
            ("new labels, after", "new_after", 0),
            ("first data, after", "first_after", 2),
        ):
            values = [getattr(one, field) for one in self.trainings]
            axes.plot(
                labels, [np.nan if v is None else v for v in values], "o-", ms=3, color=COLOURS[colour], label=name
            )
        axes.set_yscale("log")
        set_legend(axes)
        return figure

    @classmethod
    @override
    def read_from_directory(cls) -> Mapping[str, Callable[[Path], Any]]:
        return {"model": _committee_of}


def _committee_of(directory: Path) -> Model:
    """Open the committee of a run; one that had to learn nothing has the members that it was given."""
    if (directory / "committee.json").is_file():
        return load_model(directory)
    import yaml  # noqa: PLC0415 - only here

    settings = yaml.safe_load((directory / "config.yaml").read_text(encoding="utf-8"))
    return load_model(settings["model"][0] if len(settings["model"]) == 1 else settings["model"])


def result_of(
    journal: Journal,
    looks: NDArray[np.float64],
    settings: LearnSettings,
    inputs: Inputs,
    ended: Ended,
    model: Model | None,
    atoms: Atoms,
) -> LearnResult:
    """Collect the result from the journal."""
    assert model is not None
    return LearnResult(
        converged=ended.converged,
        cause="" if ended.converged else ended.words,
        atoms=atoms,
        model=model,
        picks=_picks(journal),
        trainings=_trainings(journal),
        looks=looks,
        threshold=settings.threshold,
        upper=settings.upper_limit,
        label_count=len(journal.labels),
        failed_labels=sum(map(len, journal.failures.values())),
        ended=ended.words,
        first_data="the data given" if inputs.frames else "the labels of the first training",
        along=settings.along,
    )


def _picks(journal: Journal) -> tuple[Pick, ...]:
    """Join the structures picked in dynamics with their errors, or the cause why there are none."""
    before, after = dict[str, float](), dict[str, float]()
    for event in journal.trained:
        before |= zip(event["picks"], event["errors_before"], strict=False)  # none for the first members
        after |= zip(event["picks"], event["errors_after"], strict=True)
    picked = [one for event in journal.events if event["event"] == PAUSED for one in event["picks"]]
    return tuple(
        Pick(
            one["step"],
            one["spread"],
            before.get(one["hash"]),
            after.get(one["hash"]),
            journal.failures[one["hash"]][-1]["cause"] if one["hash"] not in journal.labels else "",
        )
        for one in picked
        if one["spread"] is not None
    )


def _trainings(journal: Journal) -> tuple[Training, ...]:
    trainings, step = [], 0
    for event in journal.events:
        if event["event"] == PAUSED:
            step = event["step"]
        if event["event"] == TRAINED:
            errors = ("rmse_before", "rmse_after", "first_before", "first_after", "within", "factor")
            trainings.append(Training(step, event["labels"], *(event[name] for name in errors)))
    return tuple(trainings)
