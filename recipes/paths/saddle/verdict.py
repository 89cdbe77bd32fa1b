"""First-order saddle points by their normal modes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dp_sim.recipes.static.normal_modes import ZERO_CM1


def saddle_verdict(frequencies_cm1: NDArray[np.float64]) -> str:
    """Tell whether normal modes are those of a first-order saddle point.

    Parameters
    ----------
    frequencies_cm1
        (M,) ascending, imaginary ones negative.

    Returns
    -------
    str
        Empty for a first-order saddle point, else what the structure is instead, as a sentence.
    """
    imaginary = int((frequencies_cm1 < -ZERO_CM1).sum())
    lowest = ", ".join(f"{value:.1f}" for value in frequencies_cm1[:3])
    if imaginary == 1:
        return ""
    if imaginary == 0:
        shown = f" (lowest: {lowest} cm^-1)" if lowest else ""
        return f"it has no imaginary frequency{shown}: it is a minimum, not a saddle point"
    return (
        f"it has {imaginary} imaginary frequencies (lowest: {lowest} cm^-1, negative for imaginary): it is a saddle "
        "point of higher order"
    )
