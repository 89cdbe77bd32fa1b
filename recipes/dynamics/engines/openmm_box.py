"""A structure in OpenMM's form (cell, positions, topology), and the structure that a state of OpenMM shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms, units
from ase.cell import Cell
from numpy.typing import NDArray

from dp_sim.errors import import_optional
from dp_sim.recipes.dynamics.engines.cell_modes import upright
from dp_sim.units import ANGSTROM_IN_NM

if TYPE_CHECKING:
    import openmm
    import openmm.app

#: ASE's unit of velocity (Angstrom sqrt(eV/amu)) in nm/ps.
VELOCITY_IN_NM_PER_PS = ANGSTROM_IN_NM * 1000.0 * units.fs


class Box:
    """The cell in the form that OpenMM demands: a along x, b in the xy plane, all three reduced.

    Attributes
    ----------
    vectors_nm
        (3, 3), rows a, b, c (nm): another basis of the same lattice, turned.
    rotation
        (3, 3): positions @ rotation are the positions in OpenMM's axes.
    basis
        (3, 3) integers: basis @ cell @ rotation are the vectors.
    """

    def __init__(self, atoms: Atoms) -> None:
        # (-a, -b, -c) span the same lattice: that makes a left-handed cell right-handed, so that c_z > 0.
        sign = 1 if atoms.cell.handedness > 0 else -1
        lower, self.rotation = lower_triangular(sign * atoms.cell.array)
        vectors, basis = reduced(lower)
        self.vectors_nm = vectors * ANGSTROM_IN_NM
        self.basis: NDArray[np.int_] = sign * basis


class View:
    """States of an OpenMM Context as structures: in the orientation and with the lattice vectors of the first one.

    Parameters
    ----------
    start
        The structure that was put into the Context.
    box
        Its cell in OpenMM's form; None: not periodic.
    changes_shape
        Whether the cell may change its shape. It is shown upright then (`cell_modes.upright`).
    """

    def __init__(self, start: Atoms, box: Box | None, *, changes_shape: bool) -> None:
        self._start = start
        self._box = box
        self._changes_shape = changes_shape

    def lattice(self, state: Any, basis: NDArray[np.int_] | None = None) -> NDArray[np.float64]:
        """Give the lattice vectors of the structure (3, 3), Angstrom, in OpenMM's axes.

        Parameters
        ----------
        state
            An OpenMM State.
        basis
            (3, 3) integers: basis @ lattice are the vectors of its box; None: as at the start.
        """
        assert self._box is not None
        vectors = state.getPeriodicBoxVectors(asNumpy=True)._value / ANGSTROM_IN_NM
        return np.linalg.inv(self._box.basis if basis is None else basis).round() @ np.asarray(vectors)

    def rotation(self, lattice: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the rotation (3, 3) from OpenMM's axes to those of the structure: positions @ rotation."""
        assert self._box is not None
        return upright(lattice, self._start.cell.array) if self._changes_shape else self._box.rotation.T

    def structure(self, state: Any, basis: NDArray[np.int_] | None = None) -> Atoms:
        """Return the structure of a State with positions and velocities; without constraints, which would move it."""
        positions = state.getPositions(asNumpy=True)._value / ANGSTROM_IN_NM
        velocities = state.getVelocities(asNumpy=True)._value / VELOCITY_IN_NM_PER_PS
        atoms = self._start.copy()
        atoms.set_constraint()
        if self._box is not None:
            lattice = self.lattice(state, basis)
            turn = self.rotation(lattice)
            positions, velocities = positions @ turn, velocities @ turn
            if self._changes_shape:
                atoms.set_cell(lattice @ turn)
            else:  # to the digit the cell that was given, but for its size
                stretch = (np.linalg.det(lattice) / np.linalg.det(self._start.cell.array)) ** (1 / 3)
                atoms.set_cell(self._start.cell.array * stretch)
        atoms.set_positions(positions)
        atoms.set_velocities(velocities)
        return atoms


def lower_triangular(cell: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn a right-handed cell: a along x, b in the xy plane.

    Returns
    -------
    vectors
        (3, 3) lower triangular, with a positive diagonal.
    rotation
        (3, 3): cell @ rotation are the vectors.
    """
    lower, turn = Cell(cell).standard_form()
    return lower.array.copy(), turn.T


def reduced(lower: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """Choose the basis of a lattice that OpenMM demands: b_x within a_x / 2, c_x and c_y within a_x / 2 and b_y / 2.

    Parameters
    ----------
    lower
        (3, 3) lower triangular.

    Returns
    -------
    vectors
        (3, 3), basis @ lower.
    basis
        (3, 3) integers.
    """
    rows = np.hstack([lower, np.eye(3)])  # beside the vectors, what they are made of
    a, b, c = rows
    c -= b * round(c[1] / b[1])
    c -= a * round(c[0] / a[0])
    b -= a * round(b[0] / a[0])
    # OpenMM compares without a tolerance: rounding must not leave |b_x| just above a_x / 2.
    b[0] = np.clip(b[0], -0.5 * a[0], 0.5 * a[0])
    c[:2] = np.clip(c[:2], [-0.5 * a[0], -0.5 * b[1]], [0.5 * a[0], 0.5 * b[1]])
    return rows[:, :3], rows[:, 3:].round().astype(int)


def topology_of(atoms: Atoms) -> openmm.app.Topology:
    """Return one chain of one residue, each atom with its element, and the box where the structure is periodic."""
    app = import_optional("openmm.app", extra="openmm", purpose="engine='openmm'")
    topology = app.Topology()
    residue = topology.addResidue("SYS", topology.addChain())
    for number, symbol in zip(atoms.numbers, atoms.symbols, strict=True):
        topology.addAtom(symbol, app.Element.getByAtomicNumber(int(number)), residue)
    if atoms.pbc.all():
        topology.setPeriodicBoxVectors(Box(atoms).vectors_nm)
    return topology


def vectors_and_positions_nm(atoms: Atoms) -> tuple[NDArray[np.float64] | None, NDArray[np.float64]]:
    """Return box vectors (3, 3) (None: not periodic) and positions (N, 3) as OpenMM wants them, both in nm."""
    if not atoms.pbc.all():
        return None, atoms.positions * ANGSTROM_IN_NM
    box = Box(atoms)
    return box.vectors_nm, atoms.positions @ box.rotation * ANGSTROM_IN_NM
