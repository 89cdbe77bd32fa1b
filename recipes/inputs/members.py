"""The members of a committee behind a calculator: what each makes of structures, and what their spread is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.recipes.inputs.calculators import member_calculators, only_model
from dp_sim.recipes.inputs.forces import energies_and_forces
from dp_sim.uncertainty.derived import SpreadWorth


def spread_worth(calculator: Any) -> SpreadWorth | None:
    """Say what the spread of a committee is worth for numbers derived from it; None for anything else."""
    model = only_model(calculator)
    if model is None or len(model.members) < 2:
        return None
    return SpreadWorth.of(len(model.members), model.calibration)


def member_energies(structures: Sequence[Atoms], calculator: Any) -> NDArray[np.float64] | None:
    """Compute the energies (K, S), eV, that K members give to structures; None without a committee."""
    calculators = member_calculators(calculator)
    if not calculators:
        return None
    return np.array([[energy for energy, _ in energies_and_forces(structures, one)] for one in calculators])
