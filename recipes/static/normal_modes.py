"""Normal modes of a Hessian, with the rigid motions taken out.

E. B. Wilson, J. C. Decius and P. C. Cross, Molecular Vibrations (1955), ch. 2; the projection as in W. H. Miller,
N. C. Handy and J. E. Adams, J. Chem. Phys. 72, 99 (1980), eq. 2.10, without the reaction path.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: A motion within this of zero (cm^-1) costs nothing, so far as one can tell: the noise of forces, the force that an
#: optimisation leaves, a free rotor. Every recipe counts as imaginary what is farther below zero than this, and takes
#: out as rigid what is nearer.
ZERO_CM1 = 10.0
#: hbar sqrt(1 eV/Angstrom^2/amu) in eV.
_QUANTUM_EV: float = units._hbar * units.m / np.sqrt(units._e * units._amu)


class NormalModes(NamedTuple):
    """M modes of n atoms, in the order of rising frequency.

    Attributes
    ----------
    frequencies_cm1
        (M,) an imaginary one as a negative number.
    displacements
        (M, n, 3) Cartesian, of length 1.
    reduced_masses_amu
        (M,) of these displacements.
    rigid_frequencies_cm1
        (K,) of the rigid motions that were taken out; zero at an exact stationary point.
    """

    frequencies_cm1: Array
    displacements: Array
    reduced_masses_amu: Array
    rigid_frequencies_cm1: Array

    @property
    def n_imaginary(self) -> int:
        """How many frequencies are imaginary: below zero by more than `ZERO_CM1`."""
        return int((self.frequencies_cm1 < -ZERO_CM1).sum())

    @property
    def zero_point_energy_eV(self) -> float:
        """Half a quantum for each real mode; imaginary modes have none."""
        return zero_point_energy_eV(self.frequencies_cm1)


def normal_modes(hessian: Array, masses: Array, rigid: Array) -> NormalModes:
    """Diagonalise the mass-weighted Hessian in the complement of the rigid motions.

    Parameters
    ----------
    hessian
        (3n, 3n) eV/Angstrom^2.
    masses
        (n,) amu.
    rigid
        (3n, K) orthonormal columns in mass-weighted coordinates sqrt(m) r, from `find_rigid_motions`.
    """
    root = np.repeat(np.sqrt(masses), 3)
    dynamical = hessian / np.outer(root, root)
    # Full QR of the rigid columns: the columns after the first K span everything else.
    inner = np.linalg.qr(rigid, mode="complete")[0][:, rigid.shape[1] :]
    values, vectors = np.linalg.eigh(inner.T @ dynamical @ inner)
    rigid_values = np.linalg.eigvalsh(rigid.T @ dynamical @ rigid)
    cartesian = (inner @ vectors).T / root
    squared = (cartesian**2).sum(axis=1)
    return NormalModes(
        frequencies_cm1=wavenumbers(values),
        displacements=(cartesian / np.sqrt(squared)[:, None]).reshape(len(values), len(masses), 3),
        reduced_masses_amu=1 / squared,
        rigid_frequencies_cm1=wavenumbers(rigid_values),
    )


def zero_point_energy_eV(frequencies_cm1: Array) -> float:
    """Sum half a quantum of each real frequency."""
    return float(frequencies_cm1[frequencies_cm1 > 0].sum() * units.invcm / 2)


def wavenumbers(eigenvalues: NDArray[np.floating]) -> Array:
    """Convert eigenvalues in eV/Angstrom^2/amu to cm^-1; negative for an imaginary frequency."""
    energies: Array = np.sign(eigenvalues) * np.sqrt(np.abs(eigenvalues)) * (_QUANTUM_EV / units.invcm)
    return energies


def force_constants(frequencies_cm1: Array, reduced_masses_amu: Array) -> Array:
    """Compute the second derivative of the energy along each Cartesian displacement of length 1.

    Parameters
    ----------
    frequencies_cm1, reduced_masses_amu
        (M,) of the modes.

    Returns
    -------
    (M,) array
        k = mu omega^2, eV/Angstrom^2; negative along an imaginary mode. 1 mdyn/Angstrom is 6.2415 eV/Angstrom^2.
    """
    roots = frequencies_cm1 * units.invcm / _QUANTUM_EV
    return np.asarray(reduced_masses_amu * np.sign(roots) * roots**2)
