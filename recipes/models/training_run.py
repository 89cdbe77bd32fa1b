"""The training of one model in a run directory: the model, its learning curve and a report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from dp_sim.config.training import TrainConfig
from dp_sim.datasets.radial_distribution import radial_distribution
from dp_sim.files import write_text
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import load_model, save_model
from dp_sim.recipes.models.accuracy import ACCURACY_CAPTIONS, UNITS, accuracy_figures, error_quantities, error_words
from dp_sim.recipes.models.data_remarks import report_remarks
from dp_sim.recipes.models.learning_curve import curve_csv, learning_curve_figure
from dp_sim.recipes.models.live_page import LivePage
from dp_sim.recipes.models.training_data import prepare
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import Bar
from dp_sim.training.accuracy import Parity, SystemErrors, compare, pool, system_errors
from dp_sim.training.loop import CurvePoint, fit
from dp_sim.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODEL, CHECKPOINT, CURVE = "model.pt", "checkpoint.pt", "learning_curve.csv"
#: Advice where a run is resumed with another number of steps.
OTHER_STEPS = (
    "the learning rate falls over all the steps of a run, so one of another length differs from its first step on: "
    "train it in another directory (-o), or start over with --overwrite"
)


@dataclass(frozen=True, kw_only=True)
class TrainResult(Result):
    """A trained model.

    Attributes
    ----------
    model
        The opened model file.
    model_path
        Where it is.
    curve
        The learning curve (`dp_sim.training.loop.CurvePoint`: eV/atom, eV/Angstrom, seconds).
    frames
        Number of frames that the model was fitted to.
    held_out
        Errors on all held-out frames, evaluated with the model file; None without such frames.
    parities
        Their labels and predictions, for each composition.
    remarks
        What was decided while the data were read, and what is odd in them.
    """

    recipe: ClassVar[str] = "train"
    title: ClassVar[str] = "Training of a Deep Potential"

    model: Model
    model_path: Path
    curve: tuple[CurvePoint, ...]
    frames: int
    held_out: SystemErrors | None
    parities: tuple[Parity, ...]
    remarks: tuple[str, ...] = ()

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        last = self.curve[-1]
        quantities: dict[str, Quantity | Estimate] = {
            "species": Quantity(" ".join(self.model.metadata.species)),
            "training_frames": Quantity(self.frames),
            "steps": Quantity(last.step),
            "training_time": Quantity(last.seconds, "s"),
        }
        for label, unit in UNITS.items():
            value = getattr(last, f"train_{label}")
            if value is not None:
                quantities[f"training_{label}_rmse"] = Quantity(value, unit)
        if self.held_out is not None:
            quantities["held_out_frames"] = Quantity(self.held_out.frames)
            quantities.update(error_quantities(self.held_out, "held_out_"))
        return quantities

    @property
    @override
    def outcome(self) -> str:
        if self.held_out is None:
            return "trained; no held-out frames tell how well"
        return error_words(self.held_out, self.parities, "held-out frames")

    @property
    @override
    def basis(self) -> str:
        return f"fitted to {self.frames} frames in {self.curve[-1].step} steps"

    @override
    def headline(self) -> tuple[str, ...]:
        of = "training" if self.held_out is None else "held_out"
        return (f"{of}_forces_rmse", f"{of}_energy_rmse", f"{of}_virial_rmse")

    @override
    def captions(self) -> dict[str, str]:
        words = "Errors while it was trained; held-out frames that stay behind the training batches mean overfitting."
        return {"learning_curve": words, **ACCURACY_CAPTIONS}

    @override
    def figures(self) -> dict[str, Figure]:
        figures = {"learning_curve": learning_curve_figure(self.curve)}
        if self.parities:
            figures |= accuracy_figures(self.parities)
        return figures

    @classmethod
    @override
    def read_from_directory(cls) -> Mapping[str, Callable[[Path], Any]]:
        return {
            "model": lambda directory: load_model(directory / MODEL),
            "model_path": lambda directory: directory / MODEL,
        }

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_text(path(CURVE), curve_csv(self.curve))


def run_training(
    config: TrainConfig, out: Path, *, overwrite: bool, resume: bool, strict: bool, bar: Bar
) -> TrainResult:
    """Train one model.

    Parameters
    ----------
    config
        Settings, complete.
    out
        Directory of the run.
    overwrite, resume
        Whether an earlier run there may be replaced, or continued.
    strict
        Refuse data in which anything odd is found.
    bar
        Shows how far it is.

    Raises
    ------
    InputError
        As `train`.
    """
    trainer, data = prepare(config, strict=strict, bar=bar)
    with run_directory(config, out, overwrite=overwrite, resume=resume) as run:
        remarks = report_remarks(data.remarks, run)
        run.log(
            f"{len(data.train)} frames to train on, {len(data.valid)} held out, species {trainer.config.model.species}"
        )
        curve = _fit(trainer, run, bar)
        model_path = _save(trainer, run, curve)
        model = load_model(model_path)
        parities = tuple(compare(model, data.valid))
        return run.finish(
            TrainResult(
                converged=True,
                model=model,
                model_path=model_path,
                curve=tuple(curve),
                frames=len(data.train),
                held_out=system_errors(pool(parities)) if parities else None,
                parities=parities,
                remarks=remarks,
            )
        )


def run_directory(config: TrainConfig, out: Path, *, overwrite: bool, resume: bool) -> RunDirectory:
    """Make the directory of a training, which another number of steps does not continue."""
    start = () if config.start_from is None else (config.start_from,)
    sources = (*config.data.train, *config.data.valid, *start)
    return RunDirectory(
        "train",
        out,
        settings=config.model_dump(mode="json"),
        structures=[],
        calculator=None,
        seed=config.training.seed,
        overwrite=overwrite,
        resume=resume,
        advice={"training.steps": OTHER_STEPS},
        data=sources,
        repeated_by="dp-sim train config.yaml -o ANOTHER" if all(map(os.path.isabs, sources)) else "",
    )


def _save(trainer: Trainer, run: RunDirectory, curve: list[CurvePoint]) -> Path:
    """Write the trained model into the directory of the run; return its path."""
    path = run.path(MODEL)
    assert path is not None
    save_model(path, trainer.result, trainer.config.model, summary(trainer, curve))
    return path


def _fit(trainer: Trainer, run: RunDirectory, bar: Bar) -> list[CurvePoint]:
    """Run the loop with a progress bar, a line in the log for each point of the curve, and a checkpoint on Ctrl-C."""
    total = trainer.config.training.steps
    done, text = 0, ""
    live = LivePage(run, total)
    with bar("train", total) as advance:

        def on_step(step: int) -> None:
            nonlocal done
            advance(step - done, text)
            done = step

        def on_point(curve: Sequence[CurvePoint]) -> None:
            nonlocal text
            text = _errors_text(curve[-1])
            target = run.path(CURVE)
            assert target is not None
            write_text(target, curve_csv(curve))
            run.log(f"step {curve[-1].step}: {text}")
            live.show(curve)

        return fit(
            trainer, checkpoint=run.path(CHECKPOINT), on_step=on_step, on_point=on_point, whole_steps=run.whole_steps
        )


def _errors_text(point: CurvePoint) -> str:
    """Write the errors that have labels: `force RMSE 83, held out 91 meV/Å, energy RMSE 1.2 meV/atom, lr 1.0e-03`."""
    parts = []
    for label, name, unit in (("forces", "force", "meV/Å"), ("energy", "energy", "meV/atom")):
        values = [("", getattr(point, f"train_{label}")), (", held out", getattr(point, f"valid_{label}"))]
        shown = [f"{prefix} {1000 * value:.3g}" for prefix, value in values if value is not None]
        if shown:
            parts.append(f"{name} RMSE{''.join(shown)} {unit}")
    if point.learning_rate is not None:
        parts.append(f"lr {point.learning_rate:.1e}")
    return ", ".join(parts)


def summary(trainer: Trainer, curve: Sequence[CurvePoint]) -> dict[str, Any]:
    """Collect what the model file keeps of its training: settings, sizes, last errors, g(r) for `info --plot`."""
    return {
        "settings": trainer.config.model_dump(mode="json", exclude={"data", "model", "start_from"}),
        "training_frames": len(trainer.train.frames),
        "trained_species": trainer.trained_species,
        "lonely_species": trainer.lonely_species,
        "last": curve[-1]._asdict(),
        "radial_distribution": radial_distribution(trainer.train.pairs, trainer.config.model),
    }
