"""The ways in which a cell may change, as strains; and the cell held upright while its shape changes.

A change of the cell is a symmetric velocity gradient v: dh/dt = h v, with the lattice vectors in the rows of h. It is a
sum of modes, orthonormal in the sense trace(A B):

    isotropic     I / sqrt(3)                                1 degree of freedom of the cell
    membrane      (I - n n) / sqrt(2), n n, n along c         2
    anisotropic   e e for the directions e of a, b, c         3
    flexible      all symmetric matrices                      6
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.recipes.dynamics.engines.protocol import UnstableError

#: Cosine of an angle between lattice vectors up to which it counts as right: that of 0.06 degrees.
ORTHOGONAL = 1e-3
#: A cell whose height over one of its faces has shrunk to this share of that at the start has lost its shape.
LEAST_HEIGHT = 0.5


def cell_modes(cell: NDArray[np.float64], cell_change: str) -> NDArray[np.float64]:
    """Give the modes of a change of the cell, (k, 3, 3).

    Parameters
    ----------
    cell
        (3, 3) lattice vectors in rows.
    cell_change
        One of `ensembles.CELL_CHANGES`.

    Raises
    ------
    InputError
        A shape that this change would not keep: "anisotropic" needs right angles, "membrane" c upright on a and b.
    """
    if cell_change == "isotropic":
        return np.eye(3)[None] / np.sqrt(3)
    if cell_change == "flexible":
        return _symmetric_matrices()
    directions = cell / np.linalg.norm(cell, axis=1, keepdims=True)
    cosines = np.abs(directions @ directions.T - np.eye(3))
    normal = np.cross(directions[0], directions[1])
    normal /= np.linalg.norm(normal)
    if cell_change == "membrane":
        if cosines[2].max() > ORTHOGONAL:
            raise _not_orthogonal(cell, cell_change, "c at right angles to a and b")
        across = np.outer(normal, normal)
        return np.array([(np.eye(3) - across) / np.sqrt(2), across])
    if cosines.max() > ORTHOGONAL:
        raise _not_orthogonal(cell, cell_change, "right angles between a, b and c")
    axes = np.array([directions[0], np.cross(normal, directions[0]), normal])
    return np.einsum("ki,kj->kij", axes, axes)


def _not_orthogonal(cell: NDArray[np.float64], cell_change: str, needed: str) -> InputError:
    a, b, c = cell
    pairs = ((b, c), (a, c), (a, b))
    angles = [np.degrees(np.arccos(u @ v / (np.linalg.norm(u) * np.linalg.norm(v)))) for u, v in pairs]
    return InputError(
        "cell-not-orthogonal",
        f"cell_change='{cell_change}' needs {needed}, got alpha, beta, gamma = "
        f"{', '.join(f'{angle:.2f}' for angle in angles)} degrees; take an orthogonal cell of the same crystal, or "
        "cell_change='flexible'",
    )


def _symmetric_matrices() -> NDArray[np.float64]:
    modes = np.zeros((6, 3, 3))
    for number, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        modes[number, i, j] = modes[number, j, i] = 1.0 if i == j else np.sqrt(0.5)
    return modes


def projected(tensor: NDArray[np.float64], modes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of a tensor (3, 3) that the modes span."""
    return np.einsum("k,kij->ij", np.einsum("kij,ij->k", modes, tensor), modes)


def upright(cell: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the rotation (3, 3) that turns a cell back: then a is along that of the start, b in its plane of a and b.

    A symmetric v turns nothing at any instant, but strains one after the other leave a small rotation, which would add
    up over a long run. Positions, momenta, cell and pressure tensor are shown in the turned axes.
    """
    return _axes(cell).T @ _axes(start)


def _axes(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal rows: along a, then in the plane of a and b, then normal to it."""
    first = cell[0] / np.linalg.norm(cell[0])
    third = np.cross(cell[0], cell[1])
    third /= np.linalg.norm(third)
    return np.array([first, np.cross(third, first), third])


def check_heights(cell: NDArray[np.float64], start: NDArray[np.float64]) -> None:
    """Stop where a cell has become flat: a fluid has nothing that holds its shape.

    Raises
    ------
    UnstableError
        `cell-flat`.
    """
    now, before = _heights(cell), _heights(start)
    if (now < LEAST_HEIGHT * before).any():
        axis = int(np.argmin(now / before))
        raise UnstableError(
            "cell-flat",
            f"the cell's height along {'abc'[axis]} went from {before[axis]:.2f} to {now[axis]:.2f} Angstrom; "
            "a fluid does not hold a shape: take cell_change='isotropic' for it",
        )


def _heights(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances (3,) between opposite faces of a cell, Angstrom: along a over the face of b and c, and so on."""
    return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0))
