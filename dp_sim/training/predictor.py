"""Prediction in training: energies, forces and virial of prepared frames, computed from features, with their labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dp_sim.datasets.frames import Frame
from dp_sim.model.potential import DeepPotential
from dp_sim.neighbors.pairs import StructurePairs
from dp_sim.training.features.features import FeatureBatch, PreparedFrame, TrainingFeatures
from dp_sim.training.loss import Labels, Prediction


class PreparedFrames:
    """Frames with pairs and labels; features are cached up to a limit of memory, and computed again beyond it.

    Parameters
    ----------
    frames, pairs
        The frames and their pairs, in the same order.
    cache_bytes
        The limit.
    """

    def __init__(self, frames: Sequence[Frame], pairs: Sequence[StructurePairs], cache_bytes: float) -> None:
        self.frames, self.pairs = list(frames), list(pairs)
        self._cache: dict[int, PreparedFrame] = {}
        self._left = cache_bytes

    def features(self, index: int, make: Callable[[StructurePairs], PreparedFrame]) -> PreparedFrame:
        """Return the features of a frame from the cache, or compute them.

        Parameters
        ----------
        index
            Of the frame.
        make
            Computes features from pairs.
        """
        if index in self._cache:
            return self._cache[index]
        features = make(self.pairs[index])
        if features.nbytes() <= self._left:
            self._left -= features.nbytes()
            self._cache[index] = features
        return features


class Predictor:
    """Predictions and labels of a batch, less the energy bias, on the device and in the precision of training.

    Parameters
    ----------
    features
        The descriptor, split into geometry and weights (dp_sim.training.features.features).
    bias
        (T,) eV, energy of an atom of each species, on the CPU.
    device, dtype
        Where and in which precision the model is trained.
    """

    def __init__(self, features: TrainingFeatures, bias: Tensor, device: torch.device, dtype: torch.dtype) -> None:
        self._features, self._bias, self._device, self._dtype = features, bias, device, dtype

    def __call__(
        self, data: PreparedFrames, indices: Sequence[int], model: DeepPotential, *, training: bool
    ) -> tuple[Prediction, Labels]:
        """Predict frames.

        Parameters
        ----------
        data
            The frames.
        indices
            Which of them.
        model
            The model.
        training
            Keep the graph of the forces, so that their errors can be differentiated by the weights.

        Returns
        -------
        Prediction
        Labels
        """
        batch = self._features.join([data.features(i, self._features.prepare) for i in indices])
        labels = Labels(*(t.to(self._device) for t in self._labels([data.frames[i] for i in indices], batch.species)))
        return self._predict(model, batch, labels, training), labels

    def _predict(self, model: DeepPotential, batch: FeatureBatch, labels: Labels, training: bool) -> Prediction:
        """Compute energies less the bias (S,), forces (N, 3), and the virial (S, 3, 3) if any frame has that label."""
        n_systems = len(labels.sizes)
        features = batch.features()
        descriptors = self._features.descriptors(model.descriptor, features, batch.species)
        atomic = model.fitting(descriptors, batch.species)
        (gradient,) = torch.autograd.grad(atomic.sum(), [features], create_graph=training)
        system = torch.repeat_interleave(torch.arange(n_systems, device=self._device), labels.sizes.to(torch.int64))
        energy = torch.zeros(n_systems, dtype=self._dtype, device=self._device).index_add(0, system, atomic)
        pair_gradients = batch.pair_gradients(gradient)
        has_virial = bool(labels.has_virial.any())
        virial = batch.virial(pair_gradients, system, n_systems) if has_virial else None
        return Prediction(energy, batch.forces(pair_gradients), virial)

    def _labels(self, frames: Sequence[Frame], species: Tensor) -> Labels:
        sizes = [len(f.numbers) for f in frames]
        bias = self._bias[species.cpu()]
        offsets = np.cumsum([0, *sizes])
        energy = [
            0.0 if f.energy is None else f.energy - float(bias[a:b].sum())
            for f, a, b in zip(frames, offsets[:-1], offsets[1:], strict=True)
        ]
        forces = np.concatenate([np.zeros((len(f.numbers), 3)) if f.forces is None else f.forces for f in frames])
        virial = np.stack([np.zeros((3, 3)) if f.virial is None else f.virial for f in frames])
        has_forces = np.repeat([float(f.forces is not None) for f in frames], sizes)

        def tensor(values: Any) -> Tensor:
            return torch.as_tensor(np.asarray(values, dtype=np.float64)).to(self._dtype)

        return Labels(
            tensor(energy),
            tensor(forces),
            tensor(virial),
            tensor([f.energy is not None for f in frames]),
            tensor(has_forces),
            tensor([f.virial is not None for f in frames]),
            tensor(sizes),
            tensor([f.weights.energy for f in frames]),
            tensor(np.concatenate([np.broadcast_to(f.weights.forces, len(f.numbers)) for f in frames])),
            tensor([f.weights.virial for f in frames]),
        )
