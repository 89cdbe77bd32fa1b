"""Is this a first-order saddle point? Hessian, normal modes without the rigid ones, and how many are imaginary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.constraints import FixAtoms

from dp_sim.errors import InputError

#: An imaginary frequency below this (cm^-1) is numerical noise or a free rotor, not a direction of reaction.
IMAGINARY_CM1 = 10.0
#: Displacement for central differences of the forces, Angstrom, where the calculator has no exact Hessian.
DISPLACEMENT_A = 5e-3
#: sqrt(eV/Angstrom^2/amu) as a wavenumber, cm^-1.
_TO_CM1 = units._hbar * units.m / np.sqrt(units._e * units._amu) / units.invcm
#: Curvature given to motions that must not happen (rigid ones, fixed atoms), eV/Angstrom^2/amu: that of a soft mode.
_STIFF = 0.1


@dataclass(frozen=True)
class Curvature:
    """The harmonic surroundings of a stationary point.

    frequencies_cm1   (M,) ascending, imaginary ones negative; without the rigid motions and fixed atoms
    modes             (M, N, 3) Cartesian displacements, each of unit length
    reduced_mass      of the lowest mode, amu: how far it is in amu^1/2 Angstrom, squared, for one Angstrom
    stiffened         (3N, 3N) Hessian, eV/Angstrom^2, with the rigid motions and fixed atoms made stiff, so that its
                      negative eigenvalues are those of `frequencies_cm1`
    """

    frequencies_cm1: np.ndarray
    modes: np.ndarray
    reduced_mass: float
    stiffened: np.ndarray

    @property
    def n_imaginary(self) -> int:
        """How many frequencies are imaginary by more than `IMAGINARY_CM1`; one at a saddle point."""
        return int((self.frequencies_cm1 < -IMAGINARY_CM1).sum())

    def verdict(self) -> str:
        """Empty for a first-order saddle point, else what the structure is instead, as a sentence."""
        lowest = self.frequencies_cm1[:3].round(1).tolist()
        if self.n_imaginary == 1:
            return ""
        if self.n_imaginary == 0:
            return f"it has no imaginary frequency (lowest: {lowest} cm^-1): it is a minimum, not a saddle point"
        return (
            f"it has {self.n_imaginary} imaginary frequencies (lowest: {lowest} cm^-1, negative meaning imaginary): "
            "it is a saddle point of higher order; displace it along the second mode and search again"
        )


def check_constraints(atoms: Atoms) -> None:
    """Refuse constraints other than `FixAtoms`: the normal modes under them are not known here."""
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            raise InputError(f"the constraint {type(constraint).__name__} is not supported here; use FixAtoms or none")


def curvature(atoms: Atoms) -> Curvature:
    """Normal modes of `atoms`, whose calculator is asked for an exact Hessian, or else for 6N forces."""
    root_mass = np.repeat(np.sqrt(atoms.get_masses()), 3)
    hessian = cartesian_hessian(atoms)
    weighted = hessian / np.outer(root_mass, root_mass)
    forbidden = _forbidden_motions(atoms, root_mass)
    allowed = np.eye(len(root_mass)) - forbidden @ forbidden.T
    # The forbidden motions are moved above all others, so that the first eigenvectors are the modes.
    top = 10 * np.abs(weighted).sum()
    eigenvalues, vectors = np.linalg.eigh(allowed @ weighted @ allowed + top * forbidden @ forbidden.T)
    kept = len(root_mass) - forbidden.shape[1]
    eigenvalues, displacements = eigenvalues[:kept], (vectors / root_mass[:, None])[:, :kept]
    stiffened = allowed @ weighted @ allowed + _STIFF * forbidden @ forbidden.T
    return Curvature(
        frequencies_cm1=np.sign(eigenvalues) * np.sqrt(np.abs(eigenvalues)) * _TO_CM1,
        modes=(displacements / np.linalg.norm(displacements, axis=0)).T.reshape(kept, len(atoms), 3),
        reduced_mass=float(1 / np.sum(displacements[:, 0] ** 2)),
        stiffened=stiffened * np.outer(root_mass, root_mass),
    )


def cartesian_hessian(atoms: Atoms) -> np.ndarray:
    """Second derivatives of the energy, (3N, 3N) eV/Angstrom^2: exact where the calculator has `get_hessian`."""
    if hasattr(atoms.calc, "get_hessian"):
        hessian = np.asarray(atoms.calc.get_hessian(atoms), dtype=float).reshape(3 * len(atoms), 3 * len(atoms))
        return (hessian + hessian.T) / 2
    moved = atoms.copy()
    moved.set_constraint()
    moved.calc = atoms.calc
    hessian = np.empty((3 * len(atoms), 3 * len(atoms)))
    for row in range(3 * len(atoms)):
        forces = []
        for sign in (1, -1):
            positions = atoms.positions.copy()
            positions.flat[row] += sign * DISPLACEMENT_A
            moved.positions = positions
            forces.append(moved.get_forces().ravel())
        hessian[row] = (forces[1] - forces[0]) / (2 * DISPLACEMENT_A)
    return (hessian + hessian.T) / 2


def _forbidden_motions(atoms: Atoms, root_mass: np.ndarray) -> np.ndarray:
    """Orthonormal mass-weighted vectors (3N, K): fixed atoms, or else translations and (not periodic) rotations."""
    fixed = [c.index for c in atoms.constraints if isinstance(c, FixAtoms)]
    if fixed:
        indices = np.unique(np.concatenate(fixed))
        return np.eye(3 * len(atoms))[:, (3 * indices[:, None] + np.arange(3)).ravel()]
    motions = [np.tile(axis, len(atoms)) for axis in np.eye(3)]
    if not atoms.pbc.any():
        arms = atoms.positions - atoms.get_center_of_mass()
        motions += [np.cross(axis, arms).ravel() for axis in np.eye(3)]
    vectors, lengths, _ = np.linalg.svd((np.array(motions) * root_mass).T, full_matrices=False)
    return vectors[:, lengths > 1e-4 * lengths[0]]  # a linear molecule has two rotations only
