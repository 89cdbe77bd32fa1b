"""A structure as LAMMPS holds it: lattice vectors in LAMMPS's orientation, a data file, boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.data import atomic_masses, atomic_numbers
from ase.geometry import complete_cell
from numpy.typing import NDArray

#: Room beside the atoms along an open axis (Angstrom), where LAMMPS wants a box all the same.
MARGIN_A = 10.0
#: ASE's unit of velocity (Angstrom sqrt(eV/amu)) in Angstrom/ps.
ASE_VELOCITY_IN_A_PER_PS = 1000.0 * units.fs


class LammpsBox:
    """The box of a structure: a along x, b in the plane of x and y, as LAMMPS wants it.

    Parameters
    ----------
    atoms
        The structure, periodic along any axes.

    Attributes
    ----------
    cell
        (3, 3) lattice vectors in LAMMPS's orientation, in rows (Angstrom).
    boundary
        "p" or "f" of each axis.
    """

    def __init__(self, atoms: Atoms) -> None:
        vectors = _complete(atoms)
        turned, lower = np.linalg.qr(vectors.T)  # vectors = lower.T @ turned.T
        signs = np.where(np.diag(lower) < 0.0, -1.0, 1.0)
        self.cell: NDArray[np.float64] = (lower * signs[:, None]).T
        self.cell[np.triu_indices(3, 1)] = 0.0
        # orthogonal; it mirrors where the lattice vectors are left-handed, which the energy does not notice
        self._turn = (turned * signs).T
        self.boundary = " ".join("p" if periodic else "f" for periodic in atoms.pbc)
        fractional = atoms.positions @ np.linalg.inv(vectors)
        low = np.where(atoms.pbc, 0.0, fractional.min(axis=0) - MARGIN_A / np.linalg.norm(vectors, axis=1))
        self._origin = low @ vectors

    def to_lammps(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn vectors (N, 3) into LAMMPS's orientation."""
        return np.asarray(vectors @ self._turn.T)

    def from_lammps(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn vectors (N, 3) back."""
        return np.asarray(vectors @ self._turn)

    def tensor_from_lammps(self, tensor: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn a tensor (3, 3) back."""
        return np.asarray(self._turn.T @ tensor @ self._turn)

    def positions_to_lammps(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Place positions (N, 3) in LAMMPS's box, whose corner is at zero."""
        return self.to_lammps(positions - self._origin)

    def positions_from_lammps(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Place positions (N, 3) of LAMMPS where the structure had them."""
        return np.asarray(self.from_lammps(positions) + self._origin)

    def write(
        self,
        path: Path,
        atoms: Atoms,
        species: Sequence[str],
        *,
        types: Sequence[int] | None = None,
        masses: Sequence[float] | None = None,
        velocities: bool = False,
    ) -> None:
        """Write a data file for `read_data`, atom_style atomic, units metal.

        Parameters
        ----------
        path
            The file.
        atoms
            The structure.
        species
            Element of each LAMMPS type.
        types, masses
            (N,) type of each atom, from 1 on, and mass of each type (amu), where an element has several; by default
            one type an element, with its mass in the structure.
        velocities
            Write them too (Angstrom/ps).
        """
        h = self.cell
        lines = ["written by dp-sim", f"{len(atoms)} atoms", f"{len(species)} atom types"]
        lines += [f"0 {h[k, k]:.17g} {axis}lo {axis}hi" for k, axis in enumerate("xyz")]
        if h[1, 0] or h[2, 0] or h[2, 1]:
            lines += [f"{h[1, 0]:.17g} {h[2, 0]:.17g} {h[2, 1]:.17g} xy xz yz"]
        lines += ["", "Masses", ""]
        of_types = [_mass(atoms, symbol) for symbol in species] if masses is None else masses
        lines += [f"{k + 1} {mass:.17g}" for k, mass in enumerate(of_types)]
        if types is None:
            types = [species.index(symbol) + 1 for symbol in atoms.get_chemical_symbols()]
        lines += ["", "Atoms # atomic", ""]
        lines += _rows(self.positions_to_lammps(atoms.positions), types)
        if velocities:
            lines += ["", "Velocities", ""]
            lines += _rows(self.to_lammps(atoms.get_velocities()) * ASE_VELOCITY_IN_A_PER_PS)
        path.write_text("\n".join(lines) + "\n")


def _rows(values: NDArray[np.float64], types: Sequence[int] | None = None) -> list[str]:
    middle = [""] * len(values) if types is None else [f" {kind}" for kind in types]
    return [f"{i + 1}{middle[i]} {x:.17g} {y:.17g} {z:.17g}" for i, (x, y, z) in enumerate(values)]


def _complete(atoms: Atoms) -> NDArray[np.float64]:
    """Return three lattice vectors (3, 3): along open axes, ones at right angles that hold all atoms."""
    cell = complete_cell(np.where(atoms.pbc[:, None], atoms.cell.array, 0.0))
    lengths = np.linalg.norm(cell, axis=1)
    spread = np.ptp(atoms.positions @ np.linalg.inv(cell), axis=0) * lengths + 2.0 * MARGIN_A
    scale = np.where(atoms.pbc, 1.0, spread / lengths)
    return np.asarray(cell * scale[:, None])


def _mass(atoms: Atoms, symbol: str) -> float:
    """Return the mass of an element in a structure (amu)."""
    of_symbol = atoms.get_masses()[atoms.numbers == atomic_numbers[symbol]]
    return float(of_symbol[0]) if len(of_symbol) else float(atomic_masses[atomic_numbers[symbol]])
