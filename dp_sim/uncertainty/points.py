"""Errors and spreads of one kind, point by point: an energy, a force component, the force on an atom."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: Spreads below this share of the median are zero by symmetry: there the spread is rounding, and so is its ratio.
ZERO_SPREAD = 1e-4


@dataclass(frozen=True)
class Points:
    """Errors of held-out frames with the spread that the model had there.

    Attributes
    ----------
    error, spread
        (n,) length of the error in D components, and of the spread (both not negative).
    frame, block
        (n,) int, which frame a point is of, and which block of frames: a trajectory, or a part of one.
    components
        D: 1 for energies and components of forces, 3 for the forces of atoms.
    element
        (n,) atomic numbers; zeros where a point is of no single atom.
    without_spread
        Points left out, whose spread is zero by symmetry.
    """

    error: Array
    spread: Array
    frame: NDArray[np.int64]
    block: NDArray[np.int64]
    components: int
    element: NDArray[np.int64]
    without_spread: int = 0

    @property
    def frames(self) -> int:
        """How many frames the points are of."""
        return len(np.unique(self.frame))

    def chosen(self, mask: NDArray[np.bool_]) -> Points:
        """Return some of the points."""
        arrays = {name: getattr(self, name)[mask] for name in ("error", "spread", "frame", "block", "element")}
        return replace(self, **arrays)

    def with_spread(self) -> Points:
        """Leave out and count the points whose spread is zero by symmetry."""
        positive = self.spread[self.spread > 0]
        mask = self.spread > (ZERO_SPREAD * np.median(positive) if len(positive) else 0.0)
        return replace(self.chosen(mask), without_spread=int(np.count_nonzero(~mask)))
