"""Strained copies of a crystal with relaxed inner coordinates, and their stresses and energies."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.optimize import BFGS
from numpy.typing import NDArray

from dp_sim.errors import InputError

#: Steps of a relaxation of inner coordinates before it gives up.
MOST_STEPS = 300


def strained_copy(atoms: Atoms, strain: NDArray[np.float64], calculator: Any, fmax: float) -> Atoms:
    """Strain a crystal, x -> x (1 + strain), and relax its atoms in the strained cell.

    Parameters
    ----------
    atoms
        The unstrained crystal.
    strain
        (3, 3), symmetric.
    calculator
        An ASE calculator.
    fmax
        Largest force to be left, eV/Angstrom.

    Raises
    ------
    InputError
        `relaxation-failed`.
    """
    moved = atoms.copy()
    moved.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    moved.calc = calculator
    converged = BFGS(moved, logfile=None).run(fmax=fmax, steps=MOST_STEPS)
    if not converged:
        left = float(np.linalg.norm(moved.get_forces(), axis=1).max())
        raise InputError(
            "relaxation-failed",
            f"the atoms of the crystal strained by {np.abs(strain).max():.3g} do not relax: {left:.3g} eV/Angstrom are "
            f"left after {MOST_STEPS} steps, asked were {fmax:.3g}; take a smaller strain, or a larger inner_fmax",
        )
    return moved
