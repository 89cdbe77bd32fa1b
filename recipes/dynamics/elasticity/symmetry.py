"""The symmetry of the crystal that a run of dynamics started from, in the axes of its mean cell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.linalg import polar

from dp_sim.errors import DPSimError
from dp_sim.recipes.crystals.crystal import PointGroup, find_point_group
from dp_sim.recipes.crystals.elastic_tensor import invariant_tensors

#: Tolerance of spglib (Angstrom), that of `dp-sim elastic`.
SYMPREC_A = 0.01
#: Strain by which the mean cell may depart from the symmetry of the start.
BROKEN = 0.01


class RunSymmetry(NamedTuple):
    """What symmetry leaves of the elastic constants.

    Attributes
    ----------
    basis
        (K, 6, 6) tensors that it allows, in Voigt's form and the axes of the mean cell; None: no symmetry is used.
    words
        Which it is, or why none is used.
    """

    basis: NDArray[np.float64] | None
    words: str


def symmetry_of_run(start: Atoms, mean_cell_A: NDArray[np.float64]) -> RunSymmetry:
    """Find the symmetry that elastic constants of the run have.

    Parameters
    ----------
    start
        The structure that the run was given; its lattice vectors are those of the run.
    mean_cell_A
        (3, 3) lattice vectors in rows, Angstrom.
    """
    try:
        group = find_point_group(start, SYMPREC_A)
    except DPSimError as error:
        return RunSymmetry(None, f"none is used: {error}")
    change = np.linalg.solve(start.cell.array, mean_cell_A)
    # The same fractions of the run's cell, whose vectors are a little longer.
    turns = _turns(group, group.lattice @ change)
    departure = float(np.abs(turns.transpose(0, 2, 1) @ turns - np.eye(3)).max()) / 2
    if departure > BROKEN:
        return RunSymmetry(
            None,
            f"none is used: the mean cell departs by {100 * departure:.1f} % from the start's {group.symbol}; the "
            "crystal has changed its phase, or the run its choice of lattice vectors",
        )
    # In the axes of the start: a small turn against it is noise of the mean cell.
    axes = polar(change)[0].T
    axes = axes if np.abs(axes - np.eye(3)).max() > BROKEN else np.eye(3)
    basis = invariant_tensors(axes @ _rotations(_turns(group, group.lattice)) @ axes.T)
    if len(basis) == 21:
        return RunSymmetry(
            None,
            f"none to use: the start is {group.symbol} within {SYMPREC_A:g} A; start from the crystal at rest to have "
            "its symmetry used",
        )
    return RunSymmetry(basis, f"{group.symbol} of the start: {len(basis)} independent constants")


def _turns(group: PointGroup, lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the operations (R, 3, 3) of a group in the axes of a lattice: x -> L^T W L^-T x."""
    return np.asarray(np.linalg.solve(lattice, group.operations.transpose(0, 2, 1) @ lattice).transpose(0, 2, 1))


def _rotations(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make rotations of operations that a lattice keeps nearly.

    With the metric M that all of them keep, M^(1/2) R M^(-1/2) are rotations, and a group as these are.
    """
    values, vectors = np.linalg.eigh((turns.transpose(0, 2, 1) @ turns).mean(axis=0))
    root, inverse = (vectors * values**power @ vectors.T for power in (0.5, -0.5))
    return np.asarray(root @ turns @ inverse)
