"""Training: read top to bottom. `Trainer` prepares the data and makes the steps; `fit` runs it to the end."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dp_sim.batch import species_index
from dp_sim.checkpoint import load_checkpoint, save_checkpoint
from dp_sim.config import ModelConfig, TrainConfig
from dp_sim.data import Frame, read_all, split
from dp_sim.errors import InputError, TrainingError
from dp_sim.frame_pairs import FramePairs, find_pairs
from dp_sim.loss import roots, square_sums
from dp_sim.model import DTYPES, DeepPotential
from dp_sim.neighbors import NeighborSearch
from dp_sim.optimizers import make_optimizer
from dp_sim.prediction import Predictor, PreparedFrames
from dp_sim.statistics import initialise


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


@dataclass(frozen=True)
class Datasets:
    """Frames for training and held out."""

    train: list[Frame]
    valid: list[Frame]


def read_datasets(config: TrainConfig) -> Datasets:
    """Read and split what `config.data` names."""
    frames = read_all(config.data.train)
    if config.data.valid:
        return Datasets(frames, read_all(config.data.valid))
    train, valid = split(frames, config.data.valid_fraction, config.training.seed)
    if not train:
        raise InputError(
            f"data.valid_fraction = {config.data.valid_fraction} leaves no frame of {len(frames)} to train on; lower it"
        )
    return Datasets(train, valid)


def find_species(frames: Sequence[Frame]) -> tuple[str, ...]:
    """All elements of the frames, by atomic number."""
    from ase.data import chemical_symbols

    numbers = sorted({int(n) for frame in frames for n in np.unique(frame.numbers)})
    return tuple(chemical_symbols[n] for n in numbers)


class Trainer:
    """The state of a run: model, optimiser, data. One `step` at a time; `state`/`restore` for checkpoints."""

    def __init__(self, config: TrainConfig, data: Datasets) -> None:
        if not config.model.species:
            found = find_species(data.train)
            config = config.model_copy(update={"model": config.model.model_copy(update={"species": found})})
        self.config = config
        device = torch.device(config.training.device)
        search = NeighborSearch(config.model.cutoff)
        pairs = {name: self._pairs(getattr(data, name), search) for name in ("train", "valid")}
        torch.manual_seed(config.training.seed)
        self.model = DeepPotential(config.model)
        initialise(self.model, data.train, pairs["train"])
        features = self.model.descriptor.training_features([*pairs["train"], *pairs["valid"]], config.training)
        self.predictor = Predictor(features, self.model.fitting.bias.clone(), device, DTYPES[config.model.precision])
        cache = config.training.cache_gb * 1e9
        self.train = PreparedFrames(data.train, pairs["train"], cache)
        self.valid = PreparedFrames(data.valid[: config.training.valid_frames], pairs["valid"], cache)
        self.model.to(device)
        self.average = copy.deepcopy(self.model) if config.training.average > 0 else None
        self.optimizer = make_optimizer(self.model, config)
        self.step_number = 0

    def _pairs(self, frames: Sequence[Frame], search: NeighborSearch) -> list[FramePairs]:
        return [find_pairs(f, species_index(f.numbers, self.config.model.species, f.name), search) for f in frames]

    # ---- one step -------------------------------------------------------------------------------------------------

    def learning_rate(self, step: int) -> float | None:
        """None for an optimiser that has none."""
        return self.optimizer.learning_rate(step / self.config.training.steps)

    def frames_of_step(self, step: int) -> list[int]:
        """Each pass over the data has its own order, fixed by the seed: a resumed run sees the same frames."""
        n, size = len(self.train.frames), self.config.training.batch_size
        chosen = []
        for position in range(step * size, (step + 1) * size):
            epoch, place = divmod(position, n)
            chosen.append(int(self._order(epoch)[place]))
        return chosen

    def _order(self, epoch: int) -> np.ndarray:
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._permutation = np.random.default_rng([self.config.training.seed, epoch]).permutation(
                len(self.train.frames)
            )
        return self._permutation

    def step(self) -> Tensor:
        """One optimiser step; the sums of squared errors of its batch (dp_sim.loss.square_sums)."""
        frames = self.frames_of_step(self.step_number)
        prediction, labels = self.predictor(self.train, frames, self.model, training=True)
        self.optimizer.step(prediction, labels, self.step_number / self.config.training.steps)
        self.step_number += 1
        if self.average is not None:
            self._update_average()
        return square_sums(prediction, labels)

    @torch.no_grad()
    def _update_average(self) -> None:
        assert self.average is not None
        # the first steps count fully, so that the start is forgotten at the same rate as anything else
        decay = min(self.config.training.average, self.step_number / (self.step_number + 10))
        own: list[Tensor] = list(self.average.parameters())
        new: list[Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(own, new, 1.0 - decay)

    @property
    def result(self) -> DeepPotential:
        """The model to keep: the running mean of the weights where one is taken."""
        return self.average if self.average is not None else self.model

    def validation_sums(self) -> Tensor:
        """Sums of squared errors over the held-out frames of the learning curve (dp_sim.loss.square_sums)."""
        total = torch.zeros(2, 3, dtype=torch.float64)
        for i in range(len(self.valid.frames)):
            total += square_sums(*self.predictor(self.valid, [i], self.result, training=False))
        return total

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return {
            "config": self.config.model_dump(mode="json"),
            "step": self.step_number,
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any], origin: str) -> None:
        """Go on from a checkpoint of the same configuration; InputError if the settings differ."""
        if state["config"] != self.config.model_dump(mode="json"):
            raise InputError(
                f"{origin} was made with other settings; give the same input, or start again with --overwrite"
            )
        self.step_number = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])


def fit(
    trainer: Trainer,
    *,
    checkpoint: Path | None = None,
    on_step: Callable[[int], None] = lambda step: None,
    on_point: Callable[[list[CurvePoint]], None] = lambda curve: None,
    whole_steps: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[CurvePoint]:
    """Train to the last step, going on from `checkpoint` where it exists. Returns the whole learning curve, which
    `on_point` is given too whenever it has grown.

    An interrupted run (KeyboardInterrupt) leaves a checkpoint of the last whole step; `whole_steps` is a context that
    holds interrupts back while a step is under way.

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
    """The learning curve of a run and the errors since its last point, kept in checkpoints with the trainer's state."""

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
        return self.before + time.monotonic() - self.start

    def step(self) -> CurvePoint | None:
        """One step of the trainer; the new point of the learning curve where one is due."""
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
            f"training diverged before step {trainer.step_number}; {trainer.optimizer.remedy} and start again (the "
            f"last good checkpoint is kept)"
        )

    def save(self) -> None:
        if self.checkpoint is None:
            return
        self._check_finite()  # the last good checkpoint is worth more than one of NaN
        own = {"curve": [list(point) for point in self.curve], "sums": self.sums}
        save_checkpoint(self.checkpoint, {**self.trainer.state(), **own, "seconds": self.seconds})


def radial_distribution(pairs: Sequence[FramePairs], config: ModelConfig, bins: int = 200) -> dict[str, list[float]]:
    """Density of neighbours (1/Angstrom^3) at distance r (Angstrom, bin centres) from an atom, per pair of species.

    It is g(r) times the mean density, which a molecule does not have.
    """
    edges = np.linspace(0.0, config.cutoff, bins + 1)
    centers = 0.5 * (edges[1:] + edges[:-1])
    shell = 4 * np.pi / 3 * np.diff(edges**3)
    distances = np.concatenate([torch.linalg.vector_norm(p.vectors, dim=1).numpy() for p in pairs])
    first = np.concatenate([p.species[p.center].numpy() for p in pairs])
    second = np.concatenate([p.species[p.neighbor].numpy() for p in pairs])
    atoms = np.bincount(np.concatenate([p.species.numpy() for p in pairs]), minlength=len(config.species))
    result = {"r": centers.tolist()}
    for i, a in enumerate(config.species):
        for j, b in enumerate(config.species[i:], start=i):
            counts = np.histogram(distances[(first == i) & (second == j)], edges)[0]
            result[f"{a}-{b}"] = (counts / (max(int(atoms[i]), 1) * shell)).round(6).tolist()
    return result
