"""How new a structure is to those that are labelled."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.model.evaluator import Model
from dp_sim.model.rebuilding import rebuilt_network


class Novelty:
    """Distances to labelled structures in the space of descriptors.

    Parameters
    ----------
    model
        The committee, whose first member's descriptor D (N, F) is used.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        network = rebuilt_network(model.modules[0], model.members[0])
        self._descriptor = network.descriptor.to(model.device)
        self._known: dict[int, list[NDArray[np.float64]]] = {}

    def know(self, structures: Iterable[Atoms]) -> None:
        """Add labelled structures."""
        for atoms in structures:
            features = self._features(atoms)
            for element in np.unique(atoms.numbers):
                self._known.setdefault(int(element), []).append(features[atoms.numbers == element])

    def distance(self, atoms: Atoms) -> float:
        """Return max_i min_j |D_i - D_j| / |D_j| over its atoms i and known atoms j of the same element."""
        features, farthest = self._features(atoms), 0.0
        for element in np.unique(atoms.numbers):
            if int(element) not in self._known:
                return float("inf")
            known = np.concatenate(self._known[int(element)])
            apart = np.linalg.norm(features[atoms.numbers == element][:, None] - known, axis=2)
            farthest = max(farthest, float((apart / np.linalg.norm(known, axis=1)).min(axis=1).max()))
        return farthest

    @torch.no_grad()
    def _features(self, atoms: Atoms) -> NDArray[np.float64]:
        batch, pairs = self._model.prepare(atoms)
        features: NDArray[np.float64] = self._descriptor(batch, pairs).double().cpu().numpy()
        return features
