"""What a relaxation moves, and how far it is from rest: forces on the atoms, and the stress that the cell may relax."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.recipes.inputs.forces import largest_force
from dp_sim.recipes.static.relaxation.cell_filter import StrainFilter
from dp_sim.recipes.static.relaxation.strain import StrainSpace

Array = NDArray[np.float64]


class Left(NamedTuple):
    """What is left of forces and stress.

    Attributes
    ----------
    fmax_eV_A
        Largest force on an atom, the constraints taken into account.
    stress_GPa
        Largest component of the stress, with the pressure added, that the cell could still give in to; None where the
        cell is kept.
    """

    fmax_eV_A: float
    stress_GPa: float | None

    def within(self, bounds: Left) -> bool:
        """Tell whether forces and stress are below the bounds."""
        return self.fmax_eV_A < bounds.fmax_eV_A and (
            self.stress_GPa is None or bounds.stress_GPa is None or self.stress_GPa < bounds.stress_GPa
        )

    @property
    def finite(self) -> bool:
        """Tell whether these are numbers."""
        return bool(np.isfinite(self.fmax_eV_A) and np.isfinite(self.stress_GPa or 0.0))

    def __str__(self) -> str:
        """Return both with their units, as a phrase."""
        stress = "" if self.stress_GPa is None else f" and the stress {self.stress_GPa:.3g} GPa"
        return f"{self.fmax_eV_A:.4g} eV/Angstrom{stress}"


class Moving:
    """A structure that is relaxed, alone or with its cell.

    Parameters
    ----------
    atoms
        The structure, with its calculator.
    space
        The strains that its cell may take; None: the cell is kept.
    pressure_GPa
        On the cell.

    Attributes
    ----------
    target
        What an optimiser of ASE moves: the structure, or a filter around it.
    """

    def __init__(self, atoms: Atoms, space: StrainSpace | None = None, pressure_GPa: float = 0.0) -> None:
        self.atoms = atoms
        self.cell = None if space is None else StrainFilter(atoms, space, pressure_GPa)
        self.target: Any = atoms if self.cell is None else self.cell
        self.first_volume_A3 = 0.0 if self.cell is None else atoms.get_volume()

    def left(self) -> Left:
        """Compute what is left of forces and stress."""
        stress = None if self.cell is None else float(np.abs(self.cell.stress_left_GPa()).max())
        return Left(largest_force(self.atoms), stress)

    def objective_eV(self) -> float:
        """Compute what is minimised: the energy, with p V and what constraints add to it."""
        # Forces are the derivative of the free energy, where a calculator tells it from the energy (smearing).
        return float(self.target.get_potential_energy(force_consistent=self._force_consistent()))

    def _force_consistent(self) -> bool:
        return "free_energy" in getattr(self.atoms.calc, "implemented_properties", ())

    def volume_ratio(self) -> float:
        """Compute the volume as a share of that at the start; 1 where the cell is kept."""
        return 1.0 if self.cell is None else float(self.atoms.get_volume() / self.first_volume_A3)
