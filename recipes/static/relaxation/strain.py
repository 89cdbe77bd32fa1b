"""The strains that a cell may take: which components, with the shape or the volume kept, along periodic axes only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.errors import InputError

Array = NDArray[np.float64]

#: Components of a strain, in Voigt order -> their place in the matrix.
COMPONENTS: dict[str, tuple[int, int]] = {
    "xx": (0, 0), "yy": (1, 1), "zz": (2, 2), "yz": (1, 2), "xz": (0, 2), "xy": (0, 1)
}  # fmt: skip
#: Cosine between a periodic vector and a Cartesian axis below which they are at right angles.
_RIGHT_ANGLE = 1e-6


@dataclass(frozen=True)
class StrainSpace:
    """The strains that a cell may take, as a subspace of the symmetric matrices.

    Attributes
    ----------
    components
        Names of the components that may change.
    basis
        (D, 3, 3) orthonormal symmetric matrices (Frobenius product), whose combinations are the strains.
    """

    components: tuple[str, ...]
    basis: Array

    def project(self, matrix: Array) -> Array:
        """Project a matrix (3, 3) onto the strains."""
        along = np.tensordot(self.basis, matrix, axes=2)
        projected: Array = np.tensordot(along, self.basis, axes=1)
        return projected


def strain_space(
    atoms: Atoms, components: Sequence[str] = (), *, keep_shape: bool = False, keep_volume: bool = False
) -> StrainSpace:
    """Find the strains that the cell of a structure may take.

    Parameters
    ----------
    atoms
        The structure. Components with a direction that is not periodic are left out.
    components
        Names of the components that may change; empty: all.
    keep_shape
        The lengths that may change keep their ratio, and the angles.
    keep_volume
        The volume, or the area of a slab, stays.

    Raises
    ------
    InputError
        `cell-not-free`: nothing of the cell may change. `cell-orientation`: periodic axes that do not span axes or
        planes of the coordinates. `periodicity-unsupported`: no periodic axis, or a cell without volume.
        `component-not-periodic`: a component that was asked for along a direction that is not periodic.
    """
    periodic = _periodic_directions(atoms)
    free = [name for name, place in COMPONENTS.items() if periodic[list(place)].all()]
    for name in components:
        if name not in free:
            raise InputError(
                "component-not-periodic",
                f"cell_mask names {name}, and the structure is not periodic along it (pbc={atoms.pbc.tolist()}); "
                f"its cell may change in {', '.join(free)}",
            )
    names = tuple(name for name in free if not components or name in components)
    basis = _shape_kept(names) if keep_shape else [_unit(name) for name in names]
    if keep_volume:
        basis = _traceless(basis)
    if not basis:
        kept = " and ".join(word for word, on in (("shape", keep_shape), ("volume", keep_volume)) if on)
        raise InputError(
            "cell-not-free",
            f"nothing of the cell may change: {', '.join(names)} with the {kept} kept; free more, or leave out cell",
        )
    return StrainSpace(names, np.array(basis))


def _periodic_directions(atoms: Atoms) -> NDArray[np.bool_]:
    """Tell for x, y and z whether the structure is periodic along it."""
    if not atoms.pbc.any() or atoms.cell.rank < 3:
        raise InputError(
            "periodicity-unsupported",
            f"the cell can be relaxed where the structure is periodic and all three vectors of the cell are set, got "
            f"pbc={atoms.pbc.tolist()} and cell={np.round(atoms.cell.array, 3).tolist()}; for a slab or a wire set the "
            "other vectors as large as the vacuum",
        )
    if atoms.pbc.all():
        return np.ones(3, dtype=bool)
    vectors = atoms.cell.array[atoms.pbc]
    along = np.abs(vectors / np.linalg.norm(vectors, axis=1)[:, None]) > _RIGHT_ANGLE
    directions: NDArray[np.bool_] = along.any(axis=0)
    if directions.sum() != len(vectors):
        raise InputError(
            "cell-orientation",
            f"the {len(vectors)} periodic vectors of the cell, {np.round(vectors, 3).tolist()}, must span "
            f"{'an axis' if len(vectors) == 1 else 'a plane'} of the coordinates for the cell to be relaxed; turn the "
            "structure first (ase: atoms.rotate(..., rotate_cell=True))",
        )
    return directions


def _unit(name: str) -> Array:
    row, column = COMPONENTS[name]
    matrix = np.zeros((3, 3))
    matrix[row, column] = matrix[column, row] = 1.0
    return matrix / np.linalg.norm(matrix)


def _shape_kept(names: Sequence[str]) -> list[Array]:
    lengths = [_unit(name) for name in names if name in ("xx", "yy", "zz")]
    return [np.sum(lengths, axis=0) / np.sqrt(len(lengths))] if lengths else []


def _traceless(basis: list[Array]) -> list[Array]:
    """Take out of a space the change of volume: det exp(U) = exp(tr U), so strains U without trace keep it."""
    traces = np.array([np.trace(matrix) for matrix in basis])
    if not traces.any():
        return basis
    # The combinations of the basis at right angles to its traces: the other right singular vectors.
    others = np.linalg.svd(traces[None, :])[2][1:]
    return list(np.tensordot(others, np.array(basis), axes=1))
