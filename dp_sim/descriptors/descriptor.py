"""What a descriptor is: one interface for models that run, and one for models that are trained.

A model runs `Descriptor.forward`. Training could do the same and differentiate twice through the geometry; instead a
descriptor splits itself into features A, fixed by the geometry, and what the weights make of them:

    D = D(A; weights),     dE/dr_ij = (dA/dr_ij)^T dE/dA

dA/dr_ij does not depend on the weights, so it is computed once a frame and kept, sparse; a step of training
differentiates the networks alone. A descriptor without weights of its own offers D itself as A.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from dp_sim.batch import AtomicBatch, NeighborList
from dp_sim.config import TrainingConfig
from dp_sim.frame_pairs import FramePairs


class PreparedFrame(Protocol):
    """A of one frame with its Jacobian, in any form; kept between steps as long as memory lasts."""

    def nbytes(self) -> int: ...


class FeatureBatch(ABC):
    """Features of one frame, or of several one after another, and the linear map from their gradient to forces."""

    def __init__(self, species: Tensor, center: Tensor, neighbor: Tensor, vectors: Tensor) -> None:
        self.species, self.center, self.neighbor, self.vectors = species, center, neighbor, vectors

    @abstractmethod
    def features(self) -> Tensor:
        """A, a leaf that records gradients; the first axis is the atom."""

    @abstractmethod
    def pair_gradients(self, gradient: Tensor) -> Tensor:
        """dE/dA -> dE/dr_ij (P, 3), eV/Angstrom; linear, differentiable in its argument."""

    def forces(self, pair_gradients: Tensor) -> Tensor:
        """F_i = sum_j dE/dr_ij - dE/dr_ji, (N, 3): r_ij = r_j - r_i pulls at both its ends."""
        zero = torch.zeros(len(self.species), 3, dtype=pair_gradients.dtype, device=pair_gradients.device)
        return zero.index_add(0, self.center, pair_gradients).index_add(0, self.neighbor, pair_gradients, alpha=-1)

    def virial(self, pair_gradients: Tensor, system: Tensor, n_systems: int) -> Tensor:
        """W = -sum of r_ij (x) dE/dr_ij over the pairs of each system, (S, 3, 3), eV; system (N,) of each atom."""
        products = self.vectors[:, :, None] * pair_gradients[:, None, :]
        zero = torch.zeros(n_systems, 9, dtype=products.dtype, device=products.device)
        return -zero.index_add(0, system[self.center], products.flatten(1)).view(n_systems, 3, 3)


class TrainingFeatures(ABC):
    """Makes features from geometry, and descriptors from features."""

    @abstractmethod
    def prepare(self, pairs: FramePairs) -> Any:
        """One frame -> PreparedFrame, on the CPU: all that does not depend on the weights."""

    @abstractmethod
    def join(self, frames: Sequence[Any]) -> FeatureBatch:
        """Frames that `prepare` made, one after another, on the device of training."""

    @abstractmethod
    def descriptors(self, descriptor: Any, features: Tensor, species: Tensor) -> Tensor:
        """A and species (N,) -> D (N, n_features), with the weights that `descriptor` has now."""


class Descriptor(torch.nn.Module):
    """The neighbourhood of every atom as n_features numbers that turns and swaps of like atoms leave alone.

    `forward` is scripted into the model file; the other methods run in Python, for training. The geometry comes in the
    precision of the positions and is cast to that of the weights as pair vectors.
    """

    n_features: int

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        """-> D (N, n_features) in the precision of the weights, differentiable in positions and cell."""
        raise NotImplementedError

    def hand(self) -> Tensor | None:
        """What a mirror does to D: signs (n_features,), or None where mirrors leave it alone, as they should."""
        return None

    def set_statistics(self, frames: Sequence[FramePairs]) -> None:
        """Write means and deviations over the training frames into the buffers."""
        raise NotImplementedError

    def training_features(self, frames: Sequence[FramePairs], settings: TrainingConfig) -> TrainingFeatures:
        """The split above, with the statistics as they are now; `frames` are all that training will see."""
        raise NotImplementedError
