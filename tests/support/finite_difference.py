"""Numerical derivatives, the oracle of every analytic one."""

from collections.abc import Callable

import numpy as np


def finite_difference_forces(energy: Callable[[np.ndarray], float], positions: np.ndarray, step: float) -> np.ndarray:
    """-dE/dx (N, 3) by central differences of `energy(positions)`."""
    forces = np.zeros_like(positions)
    for index in np.ndindex(positions.shape):
        values = []
        for sign in (1, -1):
            moved = positions.copy()
            moved[index] += sign * step
            values.append(energy(moved))
        forces[index] = -(values[0] - values[1]) / (2 * step)
    return forces
