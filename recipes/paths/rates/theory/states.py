"""Reactants, transition state and products: their modes, free energies, symmetries, and other isotopes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from dp_sim.recipes.inputs.forces import mobile_atoms
from dp_sim.recipes.inputs.isotopes import with_isotopes
from dp_sim.recipes.static.normal_modes import normal_modes
from dp_sim.recipes.static.rigid_motions import whole_positions
from dp_sim.recipes.static.symmetry import Symmetry, molecular_symmetry
from dp_sim.recipes.static.verdict import MINIMUM, TRANSITION_STATE
from dp_sim.recipes.static.vib_result import VibResult

Array = NDArray[np.float64]
#: Point groups without a reflection, an inversion or an improper rotation: such molecules have a mirror image.
CHIRAL = re.compile(r"C\d+|D\d+|[TOI]")
#: How far the atom that moves most goes along the imaginary mode, Angstrom: beyond what counts as symmetric.
AWAY_A = 0.4


@dataclass(frozen=True)
class State:
    """One structure, or several that are apart: reactants, transition state or products.

    Attributes
    ----------
    parts
        Normal modes of each structure.
    """

    parts: tuple[VibResult, ...]

    @property
    def energy_eV(self) -> float:
        """Potential energy."""
        return sum(part.energy_eV for part in self.parts)

    @property
    def ground_eV(self) -> float:
        """Potential and zero-point energy."""
        return self.energy_eV + sum(part.zero_point_energy_eV for part in self.parts)

    @property
    def is_gas(self) -> bool:
        """Whether every part moves and turns freely."""
        return all(part.is_free_molecule for part in self.parts)

    @property
    def is_minimum(self) -> bool:
        """Whether every part is relaxed and a minimum."""
        return all(part.verdict == MINIMUM for part in self.parts)

    @property
    def is_saddle(self) -> bool:
        """Whether it is one relaxed structure with one imaginary mode."""
        return len(self.parts) == 1 and self.parts[0].verdict == TRANSITION_STATE

    @property
    def imaginary_cm1(self) -> float:
        """The lowest frequency of a transition state, negative where it is imaginary."""
        return float(self.parts[0].frequencies_cm1[0])

    @property
    def symmetry_number(self) -> int:
        """Product of the symmetry numbers of the parts."""
        return int(np.prod([part.symmetry.number for part in self.parts]))

    @property
    def mirror_images(self) -> int:
        """Product over the parts of 2 for one with a mirror image of its own, else 1."""
        return int(np.prod([2 if CHIRAL.fullmatch(part.symmetry.point_group) else 1 for part in self.parts]))

    @property
    def groups(self) -> str:
        """The point groups of the parts."""
        return " + ".join(part.symmetry.point_group for part in self.parts)

    @property
    def on_its_path(self) -> Symmetry:
        """Symmetry of a transition state that has gone a little along its imaginary mode."""
        part = self.parts[0]
        moved = part.atoms.copy()
        moved.positions = whole_positions(part.atoms)
        moved.pbc = False
        moved.positions += AWAY_A * part.modes[0] / np.linalg.norm(part.modes[0], axis=1).max()
        return molecular_symmetry(moved)

    def gibbs_eV(self, temperatures_K: Array, pressure_bar: float, method: str) -> Array:
        """Compute the free energy (T,) with symmetry numbers left out: the path degeneracy holds them.

        Raises
        ------
        InputError
            A part is not stationary, or a saddle point of higher order.
        """
        total = np.zeros(len(temperatures_K))
        for part in self.parts:
            table = replace(part, members=None).thermochemistry(
                temperatures_K.tolist(), pressure_bar, method=method, symmetry_number=1
            )
            total += table.gibbs_energy_eV
        return total

    def real_frequencies_cm1(self) -> Array:
        """Frequencies of all parts without the imaginary one."""
        return np.concatenate([part.frequencies_cm1[part.n_imaginary :] for part in self.parts])

    def with_isotopes(self, isotopes: Sequence[str]) -> State:
        """Give the atoms other masses; the second derivatives stay, the modes are computed anew.

        Indices count through the parts, one after the other.
        """
        joint = Atoms()
        for part in self.parts:
            joint += Atoms(numbers=part.atoms.numbers, positions=part.atoms.positions)
        joint.set_masses(np.concatenate([part.atoms.get_masses() for part in self.parts]))
        masses = with_isotopes(joint, isotopes).get_masses()
        ends = np.cumsum([len(part.atoms) for part in self.parts])[:-1]
        pairs = zip(self.parts, np.split(masses, ends), strict=True)
        return State(tuple(with_masses(part, one) for part, one in pairs))


def with_masses(vib: VibResult, masses_amu: Array) -> VibResult:
    """Compute the modes of a structure with other masses from the Hessian that is known.

    The displacements that cost nothing are the same for all masses; only their weights change.
    """
    mobile = mobile_atoms(vib.atoms, but_symmetry=True)
    old, new = vib.atoms.get_masses()[mobile], masses_amu[mobile]
    scale = np.repeat(np.sqrt(new / old), 3)[:, None]
    columns = np.linalg.qr(vib.rigid.columns * scale)[0]
    modes = normal_modes(vib.hessian, new, columns)
    displacements = np.zeros((len(modes.frequencies_cm1), len(vib.atoms), 3))
    displacements[:, mobile] = modes.displacements
    weighed = vib.atoms.copy()
    weighed.set_masses(masses_amu)
    return replace(
        vib,
        atoms=weighed,
        frequencies_cm1=modes.frequencies_cm1,
        modes=displacements,
        reduced_masses_amu=modes.reduced_masses_amu,
        n_imaginary=modes.n_imaginary,
        zero_point_energy_eV=modes.zero_point_energy_eV,
        rigid_frequencies_cm1=modes.rigid_frequencies_cm1,
        rigid=vib.rigid._replace(columns=columns),
        intensities_km_mol=None,
        members=None,
    )


def vineyard_prefactor_per_s(start: State, saddle: State) -> float | None:
    """Compute the ratio of the frequencies at the minimum to the real ones at the saddle point, 1/s.

    G. H. Vineyard, J. Phys. Chem. Solids 3, 121 (1957), eq. 14. None where the saddle point does not have one real mode
    less than the minimum: then rotations or translations have gone, too.
    """
    low, high = start.real_frequencies_cm1(), saddle.real_frequencies_cm1()
    if len(low) != len(high) + 1 or (low <= 0).any() or (high <= 0).any():
        return None
    hertz = np.log(100 * units._c)
    return float(np.exp(np.log(low).sum() - np.log(high).sum() + hertz))
