"""One structure laid on another: by rotation and translation, or through the nearest periodic images."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from numpy.typing import NDArray

Array = NDArray[np.float64]


def rotation_onto(target: Array, moving: Array) -> Array:
    """Find the proper rotation (3, 3) that lays centred positions (N, 3) on others: `moving @ rotation`.

    W. Kabsch, Acta Crystallogr. A 34, 827 (1978): of least root-mean-square displacement, without mirror images.
    """
    left, _, right = np.linalg.svd(moving.T @ target)
    left[:, -1] *= np.sign(np.linalg.det(left @ right))
    return np.asarray(left @ right)


class Frame:
    """What may be done to lay one structure on another, without a change of its energy.

    Isolated molecules turn and move. Periodic structures move as a whole, each atom to its nearest image. Where
    constraints hold atoms in place, nothing moves.
    """

    def __init__(self, atoms: Atoms) -> None:
        self.turns = not atoms.pbc.any() and not atoms.constraints
        self.moves = not atoms.constraints
        self._cell, self._pbc = atoms.cell.copy(), atoms.pbc.copy()

    def laid(self, target: Array, moving: Array) -> Array:
        """Lay `moving` (N, 3) on `target` (N, 3), Angstrom, atom k on atom k."""
        if self.turns:
            centre = target.mean(axis=0)
            shifted = moving - moving.mean(axis=0)
            return np.asarray(shifted @ rotation_onto(target - centre, shifted) + centre)
        moves = self.displacements(target, moving)
        if self.moves:
            moves = self.displacements(np.zeros_like(moves), moves - moves.mean(axis=0))
        return target + moves

    def displacements(self, target: Array, moving: Array) -> Array:
        """Compute the vectors (N, 3) from `target` to `moving`, the shortest way through periodic boundaries."""
        if not self._pbc.any():
            return moving - target
        vectors, _ = find_mic(moving - target, self._cell, self._pbc)
        return np.asarray(vectors)

    def squared_distances(self, target: Array, moving: Array) -> Array:
        """Compute the squares (n, m) of the distances between all of `target` (n, 3) and of `moving` (m, 3)."""
        vectors = moving[None] - target[:, None]
        if self._pbc.any():
            flat, _ = find_mic(vectors.reshape(-1, 3), self._cell, self._pbc)
            vectors = flat.reshape(vectors.shape)
        return np.asarray((vectors**2).sum(axis=-1))
