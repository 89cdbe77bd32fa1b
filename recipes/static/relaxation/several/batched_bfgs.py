"""BFGS for many structures at once: the steps of `ase.optimize.BFGS`, with their Hessians diagonalised together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: First guess of the curvature, eV/Angstrom^2, and the longest step, Angstrom: ASE's.
ALPHA = 70.0
LONGEST_STEP_A = 0.2
#: A place this near to the last one says nothing of the curvature.
_SAME_A = 1e-7


@dataclass
class Curvature:
    """What BFGS knows of one structure.

    Attributes
    ----------
    hessian
        (n, n) eV/Angstrom^2; None before the first step.
    place, gradient
        (n,) of the last step.
    """

    hessian: Array | None = None
    place: Array = field(default_factory=lambda: np.zeros(0))
    gradient: Array = field(default_factory=lambda: np.zeros(0))

    def update(self, place: Array, gradient: Array) -> Array:
        """Take in a place and its gradient (n,), and return the Hessian (n, n).

        J. Nocedal and S. J. Wright, Numerical Optimization (2006), eq. 6.19.
        """
        if self.hessian is None:
            self.hessian = np.eye(len(place)) * ALPHA
        else:
            step, change = place - self.place, gradient - self.gradient
            if np.abs(step).max() >= _SAME_A:
                along = self.hessian @ step
                self.hessian += np.outer(change, change) / (step @ change) - np.outer(along, along) / (step @ along)
        self.place, self.gradient = place, gradient
        return self.hessian


def bfgs_steps(curvatures: Sequence[Curvature], places: Sequence[Array], forces: Sequence[Array]) -> list[Array]:
    """Compute the next step of each structure.

    Parameters
    ----------
    curvatures
        What is known of each; updated.
    places
        (N, 3) coordinates of each, Angstrom.
    forces
        (N, 3) of each, eV/Angstrom.

    Returns
    -------
    list of numpy.ndarray
        (N, 3) steps.
    """
    steps: list[Array] = [np.zeros(0)] * len(places)
    sizes: dict[int, list[int]] = {}
    for number, place in enumerate(places):
        sizes.setdefault(place.size, []).append(number)
    for members in sizes.values():
        hessians = np.stack([curvatures[i].update(places[i].ravel(), -forces[i].ravel()) for i in members])
        values, vectors = np.linalg.eigh(hessians)
        along = np.einsum("sij,si->sj", vectors, np.stack([forces[i].ravel() for i in members]))
        # Downhill along a negative curvature too.
        for i, step in zip(members, np.einsum("sij,sj->si", vectors, along / np.abs(values)), strict=True):
            step = step.reshape(-1, 3)
            longest = np.linalg.norm(step, axis=1).max()
            steps[i] = step * min(1.0, LONGEST_STEP_A / longest) if longest else step
    return steps
