"""What training needs of a descriptor: its split into what the geometry fixes and what the weights make of it.

A model runs `Descriptor.forward`. Training could do the same and differentiate twice through the geometry; instead a
descriptor is split into features A, fixed by the geometry, and a function of them that holds the weights:

    D = D(A; weights),     dE/dr_ij = (dA/dr_ij)^T dE/dA

dA/dr_ij does not depend on the weights, so it is computed once a frame and kept, sparse; a step of training
differentiates the networks alone. A descriptor without weights of its own offers D itself as A.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import singledispatch
from typing import Any, Protocol

import torch
from torch import Tensor

from dp_sim.config.training import TrainingConfig
from dp_sim.descriptors.descriptor import Descriptor
from dp_sim.errors import InputError
from dp_sim.neighbors.pairs import StructurePairs


class PreparedFrame(Protocol):
    """A of one frame with its Jacobian, in any form; kept between steps as long as memory lasts."""

    def nbytes(self) -> int:
        """Return the memory that it takes, bytes."""
        ...


class FeatureBatch(ABC):
    """Features of one frame, or of several one after another, and the linear map from their gradient to forces."""

    def __init__(self, species: Tensor, center: Tensor, neighbor: Tensor, vectors: Tensor) -> None:
        self.species, self.center, self.neighbor, self.vectors = species, center, neighbor, vectors

    @abstractmethod
    def features(self) -> Tensor:
        """Return A, a leaf that records gradients; its first axis is the atom."""

    @abstractmethod
    def pair_gradients(self, gradient: Tensor) -> Tensor:
        """Convert dE/dA to dE/dr_ij (P, 3), eV/Angstrom; linear and differentiable in its argument."""

    def forces(self, pair_gradients: Tensor) -> Tensor:
        """Compute F_i = sum_j dE/dr_ij - dE/dr_ji, (N, 3) eV/Angstrom: r_ij = r_j - r_i acts on both its ends."""
        zero = torch.zeros(len(self.species), 3, dtype=pair_gradients.dtype, device=pair_gradients.device)
        return zero.index_add(0, self.center, pair_gradients).index_add(0, self.neighbor, pair_gradients, alpha=-1)

    def virial(self, pair_gradients: Tensor, system: Tensor, n_systems: int) -> Tensor:
        """Compute W = -sum of r_ij (x) dE/dr_ij over the pairs of each system, (S, 3, 3) eV; system (N,)."""
        products = self.vectors[:, :, None] * pair_gradients[:, None, :]
        zero = torch.zeros(n_systems, 9, dtype=products.dtype, device=products.device)
        return -zero.index_add(0, system[self.center], products.flatten(1)).view(n_systems, 3, 3)


class TrainingFeatures(ABC):
    """Makes features from geometry, and descriptors from features."""

    @abstractmethod
    def prepare(self, pairs: StructurePairs) -> Any:
        """Compute all of a frame that does not depend on the weights, a PreparedFrame on the CPU."""

    @abstractmethod
    def join(self, frames: Sequence[Any]) -> FeatureBatch:
        """Concatenate frames that `prepare` made, on the device of training."""

    @abstractmethod
    def descriptors(self, descriptor: Any, features: Tensor, species: Tensor) -> Tensor:
        """Compute D (N, n_features) from A and species (N,), with the present weights of `descriptor`."""


@singledispatch
def training_features(
    descriptor: Descriptor, frames: Sequence[StructurePairs], settings: TrainingConfig
) -> TrainingFeatures:
    """Split a descriptor for training, with its statistics as they are now; `frames` are all that training will see.

    Each kind of descriptor that can be trained registers its own features.

    Raises
    ------
    InputError
        A descriptor of another kind: of a compressed or an imported model.
    """
    raise InputError(
        "model-not-trainable",
        f"a model with the descriptor {type(descriptor).__name__} cannot be trained: compressed and imported models "
        "only run; train the model that it was made from",
    )
