"""One frame in the axes of programs that keep lengths and angles of a cell: a along x, b in the xy plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.geometry import cell_to_cellpar
from ase.io import iread
from numpy.typing import NDArray

from dp_sim.recipes.dynamics.molecules import find_molecules, made_whole
from dp_sim.recipes.results.trajectory import check_same_atoms


@dataclass(frozen=True)
class TurnedFrame:
    """A frame, turned.

    Attributes
    ----------
    atoms
        As it stands in the extended XYZ file.
    positions_A
        (N, 3), Angstrom.
    velocities
        (N, 3) in ASE's unit; None where the frame has none.
    lengths_A, angles_deg
        (3,) of the cell; None of a structure that is not periodic along all three axes.
    """

    atoms: Atoms
    positions_A: NDArray[np.float64]
    velocities: NDArray[np.float64] | None
    lengths_A: NDArray[np.float64] | None
    angles_deg: NDArray[np.float64] | None


def turned_frames(file: Path) -> Iterator[TurnedFrame]:
    """Read the frames of an extended XYZ file one after the other, molecules whole.

    Molecules are those of the first frame.

    Raises
    ------
    InputError
        A frame of other atoms than the first.
    """
    first: Atoms | None = None
    tree: list[tuple[int, int]] = []
    for number, atoms in enumerate(iread(file, index=":", format="extxyz")):
        atoms.set_constraint()
        if first is None:
            first = atoms
            tree = find_molecules(atoms)[0] if atoms.pbc.all() else []
        check_same_atoms(atoms, first, f"frame {number} of {file}")
        if tree:
            atoms.positions = made_whole(atoms.positions, tree, atoms.cell.array)
        yield turned(atoms)


def turned(atoms: Atoms) -> TurnedFrame:
    """Turn a structure; where it is not periodic along all three axes it stays as it is."""
    velocities = atoms.get_velocities() if atoms.has("momenta") else None
    if not atoms.pbc.all():
        return TurnedFrame(atoms, atoms.positions, velocities, None, None)
    # (-a, -b, -c) span the same lattice: a left-handed cell becomes right-handed, which lengths and angles mean.
    cell = atoms.cell if atoms.cell.handedness > 0 else type(atoms.cell)(-atoms.cell.array)
    _, turn = cell.standard_form()
    parameters = cell_to_cellpar(cell.array)
    return TurnedFrame(
        atoms,
        atoms.positions @ turn.T,
        None if velocities is None else velocities @ turn.T,
        parameters[:3],
        parameters[3:],
    )
