"""What may not enter the data: labels whose forces belong to no matter that is looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dp_sim.datasets.frames import Frame

#: The bound where none is given: so many times the largest force in the data given, and this at least. A bond stretched
#: or pressed by 0.4 Angstrom pulls with about 20 eV/Angstrom.
TIMES_DATA, LEAST_EV_A = 2.0, 30.0


def force_bound(given_eV_A: float | None, frames: Sequence[Frame]) -> float:
    """Return the largest force on an atom (eV/Angstrom) that a label may have.

    Parameters
    ----------
    given_eV_A
        What the settings say.
    frames
        The data given.
    """
    if given_eV_A is not None:
        return given_eV_A
    lengths = [np.linalg.norm(frame.forces, axis=1).max() for frame in frames if frame.forces is not None]
    return max(LEAST_EV_A, TIMES_DATA * float(max(lengths, default=0.0)))


def refusal(label: Mapping[str, Any], bound_eV_A: float) -> str:
    """Say why a label may not enter the data; empty where it may."""
    lengths = np.linalg.norm(np.array(label["forces"]), axis=1)
    atom = int(np.argmax(lengths))
    if lengths[atom] <= bound_eV_A:
        return ""
    return f"the label's force on atom {atom} is {lengths[atom]:.4g} eV/Å, above max_force ({bound_eV_A:.4g} eV/Å)"
