"""The training loop: steps, learning curve and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import torch

from dp_sim.errors import TrainingError
from dp_sim.training.checkpoint import load_checkpoint, save_checkpoint
from dp_sim.training.loss import roots
from dp_sim.training.trainer import Trainer


class CurvePoint(NamedTuple):
    """One line of the learning curve: RMSE of the training batches since the last line, and of held-out frames."""

    step: int
    learning_rate: float | None  # None where the optimiser has none
    train_energy: float | None  # eV/atom
    train_forces: float | None  # eV/Angstrom
    train_virial: float | None  # eV/atom
    valid_energy: float | None
    valid_forces: float | None
    valid_virial: float | None
    seconds: float


def fit(
    trainer: Trainer,
    *,
    checkpoint: Path | None = None,
    on_step: Callable[[int], None] = lambda step: None,
    on_point: Callable[[list[CurvePoint]], None] = lambda curve: None,
    whole_steps: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[CurvePoint]:
    """Train to the last step; continue from `checkpoint` if it exists.

    An interrupted run (KeyboardInterrupt) leaves a checkpoint of the last complete step.

    Parameters
    ----------
    trainer
        The state of the run.
    checkpoint
        File of the checkpoint; None writes none.
    on_step
        Called with the number of each step.
    on_point
        Called with the learning curve whenever it has a new point.
    whole_steps
        Context that delays interrupts until a step is complete.

    Returns
    -------
    list of CurvePoint
        The learning curve, from the first step of the run.

    Raises
    ------
    TrainingError
        Training diverged.
    InputError
        The checkpoint is of another run.
    """
    settings = trainer.config.training
    progress = _Progress(trainer, checkpoint)
    try:
        while trainer.step_number < settings.steps:
            with whole_steps():
                point = progress.step()
            on_step(trainer.step_number)
            if point is not None:
                on_point(progress.curve)
            if trainer.step_number % settings.save_every == 0 or trainer.step_number == settings.steps:
                progress.save()
    except KeyboardInterrupt:
        progress.save()
        raise
    return progress.curve


class _Progress:
    """The learning curve of a run and the errors since its last point, saved in checkpoints with the trainer."""

    def __init__(self, trainer: Trainer, checkpoint: Path | None) -> None:
        self.trainer, self.checkpoint = trainer, checkpoint
        self.curve: list[CurvePoint] = []
        self.sums, self.before = torch.zeros(2, 3, dtype=torch.float64), 0.0
        if checkpoint is not None and checkpoint.exists():
            state = load_checkpoint(checkpoint)
            trainer.restore(state, str(checkpoint))
            self.curve = [CurvePoint(*line) for line in state["curve"]]
            self.sums, self.before = state["sums"], state["seconds"]
        self.start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Duration of the run, earlier parts included."""
        return self.before + time.monotonic() - self.start

    def step(self) -> CurvePoint | None:
        """Make one step of the trainer; return the new point of the learning curve if one is due."""
        try:
            self.sums += self.trainer.step()
        except torch.linalg.LinAlgError:  # rlekf: errors have outgrown the precision, or are NaN
            raise self._diverged() from None
        number, settings = self.trainer.step_number, self.trainer.config.training
        if number % settings.report_every and number != settings.steps:
            return None
        self._check_finite()
        valid = roots(self.trainer.validation_sums())
        rate = self.trainer.learning_rate(number)
        self.curve.append(CurvePoint(number, rate, *roots(self.sums), *valid, self.seconds))
        self.sums = torch.zeros(2, 3, dtype=torch.float64)
        return self.curve[-1]

    def _check_finite(self) -> None:
        numbers = [self.sums, *self.trainer.model.parameters()]
        if not all(bool(torch.isfinite(n).all()) for n in numbers):
            raise self._diverged()

    def _diverged(self) -> TrainingError:
        trainer = self.trainer
        return TrainingError(
            "training-diverged",
            f"training diverged before step {trainer.step_number}; {trainer.optimizer.remedy} and start again (the "
            f"last good checkpoint is kept)",
        )

    def save(self) -> None:
        """Write the checkpoint, unless there is no file for it."""
        if self.checkpoint is None:
            return
        self._check_finite()  # the last good checkpoint is worth more than one of NaN
        own = {"curve": [list(point) for point in self.curve], "sums": self.sums}
        save_checkpoint(self.checkpoint, {**self.trainer.state(), **own, "seconds": self.seconds})
