"""A crystal of springs between nearest neighbours, whose phonons are known in closed form."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from ase.units import _amu, _e


class SpringCrystal(Calculator):
    """E = sum over pairs nearer than `reach` of stiffness/2 (r - rest)^2, with forces and stress."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, stiffness: float, rest: float, reach: float):
        super().__init__()
        self.stiffness, self.rest, self.reach = stiffness, rest, reach

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        i, r, vector = neighbor_list("idD", atoms, self.reach)
        tension = self.stiffness * (r - self.rest)
        pull = (tension / r)[:, None] * vector
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, pull)
        # Every pair stands in the list twice.
        virial = np.einsum("pa,pb->ab", vector, pull) / 2 / atoms.get_volume()
        self.results = {
            "energy": float((self.stiffness / 4 * (r - self.rest) ** 2).sum()),
            "forces": forces,
            "stress": virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        }


def fcc_frequencies_THz(stiffness: float, mass: float, lattice_constant: float, wave_vector: np.ndarray) -> np.ndarray:
    """Solve the dynamical matrix D(q) = k/m sum_R (1 - cos q.R) n n^T over the 12 neighbours of an fcc lattice.

    N. W. Ashcroft and N. D. Mermin, Solid State Physics (1976), eqs. 22.57 to 22.59; q Cartesian, 1/Angstrom.
    """
    half = lattice_constant / 2
    neighbours = [
        np.roll([0.0, s * half, t * half], shift) for shift in range(3) for s in (1, -1) for t in (1, -1)
    ]  # fmt: skip
    matrix = sum(
        (1 - np.cos(wave_vector @ R)) * np.outer(R, R) / (R @ R) for R in neighbours
    ) * stiffness / mass  # fmt: skip
    # eV/Angstrom^2/amu -> rad^2/s^2, by SI constants alone.
    return np.sqrt(np.abs(np.linalg.eigvalsh(matrix)) * _e * 1e20 / _amu) / (2 * np.pi) / 1e12
