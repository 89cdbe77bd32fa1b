"""`Trainer`: the state of a training run, one optimiser step at a time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dp_sim.config.training import TrainConfig
from dp_sim.datasets.frames import Frame
from dp_sim.errors import InputError
from dp_sim.model.potential import DTYPES, DeepPotential
from dp_sim.neighbors.pairs import StructurePairs, find_pairs
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.species import find_species, species_index
from dp_sim.training.data import Datasets
from dp_sim.training.features import training_features
from dp_sim.training.initialisation import initialise
from dp_sim.training.loss import square_sums
from dp_sim.training.optimizers import make_optimizer
from dp_sim.training.predictor import Predictor, PreparedFrames


class Trainer:
    """The state of a run: model, optimiser and data. `step` makes one step; `state` and `restore` serve checkpoints.

    Parameters
    ----------
    config
        Settings of the run; without species, those of the training data are taken.
    data
        Training and held-out frames.
    start
        Network to begin with, of the same settings: weights, statistics and energy bias. None: random weights.

    Attributes
    ----------
    trained_species
        Species in the training data.
    lonely_species
        Species that the training data have only as isolated atoms.

    Raises
    ------
    InputError
        Data that the settings cannot be trained on.
    """

    def __init__(self, config: TrainConfig, data: Datasets, start: DeepPotential | None = None) -> None:
        if not config.model.species:
            found = data.species or find_species(data.train)
            config = config.model_copy(update={"model": config.model.model_copy(update={"species": found})})
        self.config = config
        self.trained_species = find_species(data.train)
        bound = find_species([frame for frame in data.train if not frame.isolated])
        self.lonely_species = tuple(s for s in self.trained_species if s not in bound)
        self._check_held_out(data)
        device = torch.device(config.training.device)
        search = NeighborSearch(config.model.cutoff)
        pairs = {name: self._pairs(getattr(data, name), search) for name in ("train", "valid")}
        torch.manual_seed(config.training.seed)
        self.model = DeepPotential(config.model)
        if start is None:
            initialise(self.model, data.train, pairs["train"], config)
        else:
            self.model.load_state_dict(start.state_dict())
        features = training_features(self.model.descriptor, [*pairs["train"], *pairs["valid"]], config.training)
        self.predictor = Predictor(features, self.model.fitting.bias.clone(), device, DTYPES[config.model.precision])
        cache = config.training.cache_gb * 1e9
        self.train = PreparedFrames(data.train, pairs["train"], cache)
        self.valid = PreparedFrames(data.valid[: config.training.valid_frames], pairs["valid"], cache)
        self.model.to(device)
        self.average = copy.deepcopy(self.model) if config.training.average > 0 else None
        self.optimizer = make_optimizer(self.model, config)
        self.step_number = 0

    def _check_held_out(self, data: Datasets) -> None:
        """Refuse held-out frames with elements that the model is not trained on, or on isolated atoms of them only."""
        bound = tuple(s for s in self.trained_species if s not in self.lonely_species)
        for frame in data.valid:
            species_index(frame.numbers, self.trained_species if frame.isolated else bound, f"{frame.name} (held out)")

    def _pairs(self, frames: Sequence[Frame], search: NeighborSearch) -> list[StructurePairs]:
        known = self.config.model.species
        return [find_pairs(f, species_index(f.numbers, known, f.name), search, f.name) for f in frames]

    # ---- one step -------------------------------------------------------------------------------------------------

    def learning_rate(self, step: int) -> float | None:
        """Return the learning rate at a step, or None for an optimiser without one."""
        return self.optimizer.learning_rate(step / self.config.training.steps)

    def frames_of_step(self, step: int) -> list[int]:
        """Choose the frames of a step.

        The seed fixes the order of each pass over the data, so a resumed run repeats it.
        """
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
        """Make one optimiser step; return the sums of squared errors (dp_sim.training.loss.square_sums)."""
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
        # smaller decay in the first steps, so that the initial weights are forgotten as fast as later ones
        decay = min(self.config.training.average, self.step_number / (self.step_number + 10))
        own: list[Tensor] = list(self.average.parameters())
        new: list[Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(own, new, 1.0 - decay)

    @property
    def result(self) -> DeepPotential:
        """The model to keep: the running mean of the weights, if one is taken."""
        return self.average if self.average is not None else self.model

    def validation_sums(self) -> Tensor:
        """Sum squared errors over the held-out frames of the learning curve (dp_sim.training.loss.square_sums)."""
        total = torch.zeros(2, 3, dtype=torch.float64)
        for i in range(len(self.valid.frames)):
            total += square_sums(*self.predictor(self.valid, [i], self.result, training=False))
        return total

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint: settings, step, weights and optimiser."""
        return {
            "config": self.config.model_dump(mode="json"),
            "step": self.step_number,
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any], origin: str) -> None:
        """Continue from a checkpoint of the same configuration.

        Parameters
        ----------
        state
            As `state` returned it.
        origin
            Name of the checkpoint, for errors.

        Raises
        ------
        InputError
            The settings differ.
        """
        if state["config"] != self.config.model_dump(mode="json"):
            raise InputError(
                "run-differs",
                f"{origin} was made with other settings; give the same input, or start again with --overwrite",
            )
        self.step_number = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
