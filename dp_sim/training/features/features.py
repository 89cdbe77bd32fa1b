"""Interface of training features: a descriptor split into what the geometry fixes and what depends on weights.

A model runs `Descriptor.forward`. In training that would mean differentiating twice through the geometry. Instead a
descriptor is split into features A, fixed by the geometry, and a function of them that holds the weights:

    D = D(A; weights),     dE/dr_ij = (dA/dr_ij)^T dE/dA

dA/dr_ij does not depend on the weights. It is computed once per frame and kept as a sparse matrix, so a training step
differentiates only the networks. For a descriptor without weights, A is D itself.
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
    """Features A of one frame with their Jacobian, in any form; kept between steps while memory allows."""

    def nbytes(self) -> int:
        """Return the memory that the frame takes, bytes."""
        ...


class FeatureBatch(ABC):
    """Features of one or more frames, joined, and the linear map from their gradient to forces.

    Parameters
    ----------
    species
        (N,) of all atoms.
    center, neighbor
        (P,) atoms of each pair.
    vectors
        (P, 3) r_ij, Angstrom.
    """

    def __init__(self, species: Tensor, center: Tensor, neighbor: Tensor, vectors: Tensor) -> None:
        self.species, self.center, self.neighbor, self.vectors = species, center, neighbor, vectors

    @abstractmethod
    def features(self) -> Tensor:
        """Return A as a leaf that records gradients; its first axis is the atom."""

    @abstractmethod
    def pair_gradients(self, gradient: Tensor) -> Tensor:
        """Compute dE/dr_ij (P, 3), eV/Angstrom, from dE/dA; linear in dE/dA, and differentiable."""

    def forces(self, pair_gradients: Tensor) -> Tensor:
        """Compute F_i = sum_j dE/dr_ij - dE/dr_ji, (N, 3), eV/Angstrom; r_ij = r_j - r_i depends on both its atoms."""
        zero = torch.zeros(len(self.species), 3, dtype=pair_gradients.dtype, device=pair_gradients.device)
        return zero.index_add(0, self.center, pair_gradients).index_add(0, self.neighbor, pair_gradients, alpha=-1)

    def virial(self, pair_gradients: Tensor, system: Tensor, n_systems: int) -> Tensor:
        """Compute W = -sum of r_ij (x) dE/dr_ij over the pairs of each system, (S, 3, 3), eV.

        Parameters
        ----------
        pair_gradients
            (P, 3) dE/dr_ij, eV/Angstrom.
        system
            (N,) system of each atom.
        n_systems
            S.
        """
        products = self.vectors[:, :, None] * pair_gradients[:, None, :]
        zero = torch.zeros(n_systems, 9, dtype=products.dtype, device=products.device)
        return -zero.index_add(0, system[self.center], products.flatten(1)).view(n_systems, 3, 3)


class TrainingFeatures(ABC):
    """Makes features from the geometry, and descriptors from features."""

    @abstractmethod
    def prepare(self, pairs: StructurePairs) -> Any:
        """Compute, on the CPU, the features of one frame with their Jacobian: a `PreparedFrame`."""

    @abstractmethod
    def join(self, frames: Sequence[Any]) -> FeatureBatch:
        """Join frames from `prepare`, and move them to the device of training."""

    @abstractmethod
    def descriptors(self, descriptor: Any, features: Tensor, species: Tensor) -> Tensor:
        """Compute D (N, n_features) from A and species (N,), with the present weights of `descriptor`."""


@singledispatch
def training_features(
    descriptor: Descriptor, frames: Sequence[StructurePairs], settings: TrainingConfig
) -> TrainingFeatures:
    """Split a descriptor for training, with its present statistics.

    Each kind of descriptor that can be trained registers its own features.

    Parameters
    ----------
    descriptor
        The descriptor.
    frames
        All frames of the training, held-out ones included.
    settings
        Settings of the training.

    Raises
    ------
    InputError
        The descriptor cannot be trained: it is of a compressed or an imported model.
    """
    raise InputError(
        "model-not-trainable",
        f"a model with the descriptor {type(descriptor).__name__} cannot be trained: compressed and imported models "
        "only run; train the model that it was made from",
    )
