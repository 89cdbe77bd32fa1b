"""Positions and cell as one set of coordinates, for the optimisers of ASE."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import UnitCellFilter
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from dp_sim.recipes.static.relaxation.strain import StrainSpace
from dp_sim.units import EV_PER_A3_IN_GPA

Array = NDArray[np.float64]


class StrainFilter(UnitCellFilter):
    """Atoms in the undeformed cell, and the logarithm U of the deformation, restricted to a space of strains.

    cell = cell0 exp(U), r = r0 exp(U), as in `ase.filters.FrechetCellFilter` (E. B. Tadmor, G. S. Smith, N. Bernstein
    and E. Kaxiras, Phys. Rev. B 59, 235 (1999)), with two differences. U stays in the space, so that its gradient is
    that of the energy over what may change. And its coordinates are sqrt(N) U instead of N U: their curvature,
    V B / N for a bulk modulus B, is then the same for large cells and small ones.

    Parameters
    ----------
    atoms
        The structure, with a calculator that has a stress.
    space
        The strains that it may take.
    pressure_GPa
        On the cell.
    """

    def __init__(self, atoms: Atoms, space: StrainSpace, pressure_GPa: float = 0.0) -> None:
        super().__init__(atoms, scalar_pressure=pressure_GPa / EV_PER_A3_IN_GPA)
        self.space = space
        self.factor = np.sqrt(len(atoms))

    def strain(self) -> Array:
        """Compute U (3, 3), the logarithm of the deformation since the start."""
        deformation = np.linalg.solve(self.orig_cell, self.atoms.cell.array)
        squares, axes = np.linalg.eigh(deformation @ deformation.T)
        logarithm: Array = (axes * np.log(squares) / 2) @ axes.T
        return logarithm

    def get_positions(self) -> Array:
        """Return positions in the undeformed cell and sqrt(N) U, (N + 3, 3)."""
        strain = self.strain()
        return np.vstack([self.atoms.positions @ _exponential(-strain), self.factor * strain])

    def set_positions(self, new: Array, **options: Any) -> None:
        """Set what `get_positions` returns; constraints act on the cell and on the positions."""
        deformation = _exponential(self.space.project(new[-3:] / self.factor))
        # The atoms go with the cell first, so that those that a constraint fixes keep their fractional coordinates.
        self.atoms.set_cell(self.orig_cell @ deformation, scale_atoms=True)
        self.atoms.set_positions(new[:-3] @ deformation, **options)

    def get_forces(self, **options: Any) -> Array:
        """Compute minus the derivative of E + p V by these coordinates, (N + 3, 3) eV/Angstrom.

        With E(exp(U)) and G = dE/d(exp(U)) the derivative by U is Q [(Q^T G Q) * D] Q^T, where Q diagonalises U to u
        and D_ij = (exp(u_i) - exp(u_j)) / (u_i - u_j) (Yu. L. Daleckii and S. G. Krein, 1965).
        """
        values, axes = np.linalg.eigh(self.strain())
        stress = voigt_6_to_full_3x3_stress(self.atoms.get_stress(**options)) + self.scalar_pressure * np.eye(3)
        virial = -self.atoms.get_volume() * axes.T @ stress @ axes
        by_deformation = virial / np.exp(values)
        gap = values[:, None] - values[None, :]
        # sinh(g/2)/(g/2) exp(mean): the divided difference, without cancellation for equal values.
        divided = np.exp((values[:, None] + values[None, :]) / 2) * np.sinc(0.5j * gap / np.pi).real
        by_strain = self.space.project(axes @ (by_deformation * divided) @ axes.T)
        forces = self.atoms.get_forces(**options) @ _exponential(axes @ np.diag(values) @ axes.T)
        return np.vstack([forces, by_strain / self.factor])

    def stress_left_GPa(self) -> Array:
        """Compute what of the stress the cell could still give in to, (3, 3) GPa: with the pressure added, zero."""
        stress = voigt_6_to_full_3x3_stress(self.atoms.get_stress()) + self.scalar_pressure * np.eye(3)
        return self.space.project(stress) * EV_PER_A3_IN_GPA


def _exponential(strain: Array) -> Array:
    values, axes = np.linalg.eigh(strain)
    exponential: Array = (axes * np.exp(values)) @ axes.T
    return exponential
