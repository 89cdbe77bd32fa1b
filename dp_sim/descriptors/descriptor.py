"""The interface of descriptors: `forward` for models that run, and the statistics that training sets."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dp_sim.compiled.embedding_layout import class_name
from dp_sim.compiled.part_layout import PartLayout
from dp_sim.neighbors.pairs import StructurePairs
from dp_sim.structures.batch import AtomicBatch, NeighborList

#: Every class of descriptor by its name: a scripted module keeps its name, but not its Python methods.
_CLASSES: dict[str, type["Descriptor"]] = {}


class Descriptor(torch.nn.Module):
    """The neighbourhood of every atom as n_features numbers, invariant to rotation and permutation of like atoms.

    `forward` is scripted into the model file; the other methods run in Python, for training (dp_sim.training.features).
    The geometry comes in the precision of the positions and is cast to that of the weights as pair vectors.
    """

    n_features: int

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _CLASSES[cls.__name__] = cls

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        """Compute D (N, n_features) in the precision of the weights, differentiable in positions and cell."""
        raise NotImplementedError

    def mirror_signs(self) -> Tensor | None:
        """Return the signs (n_features,) that a reflection gives to D; None where D is invariant, as it should be."""
        return None

    def set_statistics(self, frames: Sequence[StructurePairs]) -> None:
        """Write means and deviations over the training frames into the buffers."""
        raise NotImplementedError

    def compiled_layout(self) -> tuple[PartLayout, ...] | None:
        """Lay the descriptor out for the compiled path; `compiled_layout(descriptor)` calls this.

        `self` may be a scripted module, which has attributes and scripted methods only.

        Returns
        -------
        tuple of PartLayout or None
            Its parts, in the order of their features; None where it has no compiled form.
        """
        return None


def compiled_layout(descriptor: Any) -> tuple[PartLayout, ...] | None:
    """Lay a descriptor, scripted or not, out for the compiled path: see `Descriptor.compiled_layout`."""
    return _CLASSES.get(class_name(descriptor), Descriptor).compiled_layout(descriptor)
