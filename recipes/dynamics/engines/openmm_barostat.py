"""Where OpenMM's Monte Carlo barostat samples volumes without bias, and where it does not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Standard deviation of the volume over its mean up to which the barostat samples it without bias.
LARGEST_FLUCTUATION = 0.28


def biased_volumes(volume_A3: NDArray[np.float64]) -> str:
    """Say why the barostat gives volumes that are too small where they fluctuate this much; empty where it does not.

    It adapts its step, but to no more than 0.3 of the present volume. Where the volume fluctuates so much that it would
    take longer steps, they grow with the volume, and it lingers where it is small: an ideal gas of 2, 4, 8 molecules
    comes out 45, 19, 6 % too small, one of 10 or more (which fluctuates by 0.30) right.

    Parameters
    ----------
    volume_A3 : (S,) array
        Volume of each sample, Angstrom^3.
    """
    fluctuation = float(volume_A3.std() / volume_A3.mean())
    if fluctuation <= LARGEST_FLUCTUATION:
        return ""
    return (
        f"the volume fluctuates by {fluctuation:.2f} of its mean, and OpenMM's barostat samples volumes that are too "
        f"small above {LARGEST_FLUCTUATION}: use engine='ase', or more molecules"
    )
