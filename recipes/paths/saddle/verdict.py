"""First-order saddle points: their normal modes, and their Hessian for the way downhill."""

from __future__ import annotations

import numpy as np
from ase import units
from numpy.typing import NDArray

from dp_sim.recipes.static.normal_modes import ZERO_CM1
from dp_sim.recipes.static.vib import VibResult

#: Curvature given to motions that must not happen (rigid ones, fixed atoms), eV/Angstrom^2/amu: that of a soft mode.
STIFF = 0.1
#: hbar in ASE's units, eV Angstrom sqrt(amu/eV): a frequency is then the root of eV/Angstrom^2/amu.
_HBAR = units._hbar * units.J * units.s


def saddle_verdict(frequencies_cm1: NDArray[np.float64]) -> str:
    """Tell whether normal modes are those of a first-order saddle point.

    Parameters
    ----------
    frequencies_cm1
        (M,) ascending, imaginary ones negative.

    Returns
    -------
    str
        Empty for a first-order saddle point, else what the structure is instead, as a sentence.
    """
    imaginary = int((frequencies_cm1 < -ZERO_CM1).sum())
    lowest = ", ".join(f"{value:.1f}" for value in frequencies_cm1[:3])
    if imaginary == 1:
        return ""
    if imaginary == 0:
        return f"it has no imaginary frequency (lowest: {lowest} cm^-1): it is a minimum, not a saddle point"
    return (
        f"it has {imaginary} imaginary frequencies (lowest: {lowest} cm^-1, negative for imaginary): it is a saddle "
        "point of higher order"
    )


def stiffened_hessian(vib: VibResult) -> NDArray[np.float64]:
    """Rebuild the Hessian from the normal modes, with rigid motions and fixed atoms made stiff.

    In mass-weighted coordinates it is sum_k w_k^2 q_k q_k^T over the modes, plus `STIFF` times the projector on all
    else. Its one negative eigenvalue is that of the imaginary mode, whatever the rounding of the rigid motions.

    Returns
    -------
    (3N, 3N) array
        eV/Angstrom^2.
    """
    root_mass = np.repeat(np.sqrt(vib.atoms.get_masses()), 3)
    modes = vib.modes.reshape(len(vib.modes), -1) * root_mass
    modes /= np.linalg.norm(modes, axis=1)[:, None]
    angular = vib.frequencies_cm1 * units.invcm / _HBAR
    weighted = (modes.T * (np.sign(angular) * angular**2 - STIFF)) @ modes + STIFF * np.eye(len(root_mass))
    return np.asarray(weighted * np.outer(root_mass, root_mass))
