"""Structures of one path stand in one cell."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from dp_sim.errors import InputError

#: Components of cell vectors that differ by less are the same, Angstrom.
SAME_CELL_A = 1e-6


def check_same_cell(first: Atoms, second: Atoms, names: tuple[str, str], need: str) -> None:
    """Refuse two structures with other periodicity, or other cell vectors along periodic axes.

    Parameters
    ----------
    first, second
        The structures.
    names
        What messages call them.
    need
        What needs one cell, as a clause.

    Raises
    ------
    InputError
        `ends-differ`.
    """
    if (first.pbc != second.pbc).any():
        raise InputError(
            "ends-differ",
            f"{names[0]} is periodic along {first.pbc} and {names[1]} along {second.pbc}; make them the same",
        )
    for axis in np.flatnonzero(second.pbc):
        if not np.allclose(first.cell[axis], second.cell[axis], atol=SAME_CELL_A):
            raise InputError(
                "ends-differ",
                f"cell vector {axis} is {first.cell[axis]} in {names[0]} and {second.cell[axis]} in {names[1]}; {need}",
            )
