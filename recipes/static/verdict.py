"""What a stationary point is: a minimum, a transition state, or a saddle point of higher order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dp_sim.recipes.static.normal_modes import ZERO_CM1

NOT_RELAXED = "not relaxed"
MINIMUM = "minimum"
TRANSITION_STATE = "transition state"


def imaginary(frequencies_cm1: NDArray[np.float64]) -> NDArray[np.float64]:
    """Select the imaginary frequencies: those below zero by more than `ZERO_CM1`."""
    return frequencies_cm1[frequencies_cm1 < -ZERO_CM1]


def stationary_point(frequencies_cm1: NDArray[np.float64], *, relaxed: bool) -> str:
    """Name what the frequencies (M,), imaginary ones negative, tell of a structure.

    Without a relaxed structure they tell nothing: a slope has curvatures of either sign.
    """
    order = len(imaginary(frequencies_cm1))
    if not relaxed:
        return NOT_RELAXED
    if order > 1:
        return f"saddle point of order {order}"
    return TRANSITION_STATE if order else MINIMUM


def stationary_point_words(frequencies_cm1: NDArray[np.float64], *, relaxed: bool) -> str:
    """Name it and give the reason, as a phrase for a page."""
    name = stationary_point(frequencies_cm1, relaxed=relaxed)
    below = ", ".join(f"{value:.0f}" for value in imaginary(frequencies_cm1)[:6])
    if name == NOT_RELAXED:
        return name
    if not below:
        return f"{name}: no imaginary frequency"
    ways = "one way" if name == TRANSITION_STATE else f"{len(imaginary(frequencies_cm1))} ways"
    return f"{name}: downhill {ways}, at {below} cm^-1 (negative: imaginary)"
