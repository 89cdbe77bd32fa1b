"""How new a structure is to those that are labelled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from dp_sim.model.evaluator import Model
from dp_sim.model.rebuilding import rebuilt_network

#: Structures that are compared in the space of descriptors, at most.
_COMPARED = 100


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
            for element, features in self._by_element(atoms).items():
                self._known.setdefault(element, []).append(features)

    def distance(self, atoms: Atoms) -> float:
        """Return max_i min_j |D_i - D_j| / |D_j| over its atoms i and known atoms j of the same element."""
        return max(float(one.max()) for one in self.nearest(atoms).values())

    def nearest(self, atoms: Atoms, other: Atoms | None = None) -> dict[int, NDArray[np.float64]]:
        """Return min_j |D_i - D_j| / |D_j| of the atoms i of each element; j: known atoms, or of another one."""
        found = {}
        others = {} if other is None else self._by_element(other)
        for element, features in self._by_element(atoms).items():
            known = self._known.get(element, []) if other is None else [others[element]]
            near = [(cdist(features, one) / np.linalg.norm(one, axis=1)).min(axis=1) for one in known]
            found[element] = np.min(near, axis=0) if near else np.full(len(features), np.inf)
        return found

    def _by_element(self, atoms: Atoms) -> dict[int, NDArray[np.float64]]:
        features = self._features(atoms)
        return {int(element): features[atoms.numbers == element] for element in np.unique(atoms.numbers)}

    @torch.no_grad()
    def _features(self, atoms: Atoms) -> NDArray[np.float64]:
        batch, pairs = self._model.prepare(atoms)
        features: NDArray[np.float64] = self._descriptor(batch, pairs).double().cpu().numpy()
        return features


class Unsure(Protocol):
    """A structure that the members are unsure of."""

    @property
    def step(self) -> int:
        """Where on the way it is."""

    @property
    def spread(self) -> float:
        """Its largest uncertainty, eV/Angstrom."""

    @property
    def atoms(self) -> Atoms:
        """The structure."""


AnyUnsure = TypeVar("AnyUnsure", bound=Unsure)


def least_alike(
    looks: Sequence[AnyUnsure], count: int, novelty: Novelty, *, apart: int, min_distance: float
) -> list[AnyUnsure]:
    """Choose the least certain, and then each time the one that is farthest from all labelled and chosen ones.

    Structures that follow each other are much alike: labelled one by one they teach little, whatever their uncertainty.

    Parameters
    ----------
    looks
        One or more.
    count
        How many to choose at most.
    novelty
        Knows the labelled ones.
    apart
        Steps between two of them, at least.
    min_distance
        One that is nearer than this to the others is not chosen.

    Returns
    -------
    list
        In the order of the way.
    """
    few = np.unique(np.linspace(0, len(looks) - 1, min(len(looks), _COMPARED)).round().astype(int))
    chosen = [max(looks, key=lambda one: one.spread)]
    left = [(looks[k], novelty.nearest(looks[k].atoms)) for k in few] if count > 1 else []
    while len(chosen) < count:
        last = chosen[-1]
        left = [(one, near) for one, near in left if abs(one.step - last.step) >= max(apart, 1)]
        for one, near in left:
            for element, values in novelty.nearest(one.atoms, last.atoms).items():
                np.minimum(near[element], values, out=near[element])
        distances = [max(float(values.max()) for values in near.values()) for _, near in left]
        if not distances or max(distances) <= min_distance:
            break
        chosen.append(left[int(np.argmax(distances))][0])
    return sorted(chosen, key=lambda one: one.step)
