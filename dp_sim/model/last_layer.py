"""Features of a model's last hidden layer, of a structure and by the positions of its atoms, for their uncertainty."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dp_sim.model.potential import DeepPotential
from dp_sim.structures.batch import AtomicBatch, NeighborList

Array = NDArray[np.float64]


class LastLayerFeatures:
    """Features f (D,) of structures, in which their energy is linear (dp_sim.uncertainty.last_layer).

    Of each species the last hidden layer, summed over its atoms, and their number, which belongs to the bias. Layers
    run in the precision of the model, as for its energies; sums over atoms are float64.

    Parameters
    ----------
    network
        Of the model; a copy is taken.
    device
        Of torch.
    """

    def __init__(self, network: DeepPotential, device: torch.device) -> None:
        self.network = copy.deepcopy(network).to(device).eval().requires_grad_(False)

    @property
    def theta(self) -> Array:
        """(D,) weights of the last layer."""
        layers: Any = self.network.fitting.last
        each = [torch.cat([one.weight[0], one.bias]) for one in layers]
        return np.asarray(torch.cat(each).double().cpu().numpy())

    def of(self, batch: AtomicBatch, pairs: NeighborList) -> Array:
        """Compute f (S, D) of the systems of a batch."""
        with torch.no_grad():
            return np.asarray(self._features(batch, pairs).cpu().numpy())

    def of_hidden(self, hidden: Tensor, batch: AtomicBatch) -> Array:
        """Compute f (S, D) from the last hidden layer (N, H) of each atom, which the compiled path has."""
        atoms, count = hidden.shape[0], len(self.network.fitting.nets)
        both = torch.cat([hidden, torch.ones(atoms, 1, dtype=hidden.dtype)], dim=1)
        sums = torch.zeros(batch.cell.shape[0] * count, both.shape[1], dtype=both.dtype)
        sums.index_add_(0, batch.system * count + batch.species, both)
        return np.asarray(sums.reshape(batch.cell.shape[0], -1).numpy())

    def derivatives(self, batch: AtomicBatch, pairs: NeighborList) -> Array:
        """Compute phi = -df/dr (N, 3, D) of each atom's own system: one backward pass for each feature."""
        positions = batch.positions.detach().requires_grad_(True)
        total = self._features(batch._replace(positions=positions), pairs).sum(dim=0)
        columns = []
        for feature in total:
            slope = torch.autograd.grad(feature, positions, retain_graph=True, allow_unused=True)[0]
            columns.append(torch.zeros_like(positions) if slope is None else -slope)
        return np.asarray(torch.stack(columns, dim=-1).cpu().numpy())

    def _features(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        fitting, descriptors = self.network.fitting, self.network.descriptor(batch, pairs)
        parts = []
        for index, net in enumerate(fitting.nets):
            atoms = torch.nonzero(batch.species == index)[:, 0]
            hidden = net(descriptors[atoms])
            if hasattr(fitting, "mirror_signs"):
                hidden = (hidden + net(descriptors[atoms] * fitting.mirror_signs)) / 2
            both = torch.cat([hidden, torch.ones_like(hidden[:, :1])], dim=1).double()
            empty = torch.zeros(batch.cell.shape[0], both.shape[1], dtype=both.dtype, device=both.device)
            parts.append(empty.index_add(0, batch.system[atoms], both))
        return torch.cat(parts, dim=1)
