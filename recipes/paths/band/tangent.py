"""The direction of a path at one of its images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.recipes.paths.band.ends import displacement

#: Array of an image that holds it, which `refine_ts` follows.
TANGENT = "tangent"


def tangent_at(images: Sequence[Atoms], index: int) -> NDArray[np.float64]:
    """Compute the direction (N, 3), of length 1, from the image before to the one behind; at an end, to its neighbour.

    Periodic: each atom moves the shortest way.
    """
    first, last = max(index - 1, 0), min(index + 1, len(images) - 1)
    steps = [displacement(images[k], images[k + 1]) for k in range(first, last)]
    direction = np.sum(steps, axis=0)
    length = float(np.linalg.norm(direction))
    return np.asarray(direction / length if length > 0 else direction)
