"""Infrared intensities of normal modes from the derivatives of the dipole, in the double harmonic approximation.

A_k = N_A / (12 eps_0 c^2) |d mu / d Q_k|^2, with d mu / d Q_k the derivative along the mass-weighted mode:
E. B. Wilson, J. C. Decius and P. C. Cross, Molecular Vibrations (1955), ch. 7; 1 (D/Angstrom)^2/amu is 42.2561 km/mol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase import units
from numpy.typing import NDArray

from dp_sim.recipes.results.figures import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: 1 (D/Angstrom)^2/amu in km/mol.
KM_PER_MOL = 42.2561
#: Points of a drawn spectrum across the full width at half maximum of one line.
POINTS_PER_WIDTH = 8


def intensities_km_mol(dipole_derivatives: Array, displacements: Array, reduced_masses_amu: Array) -> Array:
    """Compute the integrated absorption of each mode.

    Parameters
    ----------
    dipole_derivatives
        (n, 3, 3) of the dipole's components (last axis) by each coordinate of n atoms, e (e Angstrom / Angstrom).
    displacements, reduced_masses_amu
        (M, n, 3) Cartesian, of length 1, and (M,): the step dr for a step dQ along the mass-weighted mode is the
        displacement over the root of the reduced mass.

    Returns
    -------
    (M,) array
        km/mol.
    """
    along = np.einsum("kia,iac->kc", displacements, dipole_derivatives) / units.Debye
    return np.asarray(KM_PER_MOL * (along**2).sum(axis=1) / reduced_masses_amu)


def spectrum(frequencies_cm1: Array, intensities: Array, width_cm1: float) -> tuple[Array, Array]:
    """Broaden lines by Lorentzians that keep their area.

    Parameters
    ----------
    frequencies_cm1, intensities
        (M,) lines and their areas, km/mol; lines below zero are imaginary and absorb nothing.
    width_cm1
        Full width at half maximum.

    Returns
    -------
    tuple
        Wavenumbers (G,), cm^-1, rising, and the absorption there, km/mol per cm^-1.
    """
    real = frequencies_cm1 > 0
    lines, areas = frequencies_cm1[real], intensities[real]
    end = (lines.max() if len(lines) else 0.0) + 20 * width_cm1
    grid = np.arange(0.0, end, width_cm1 / POINTS_PER_WIDTH)
    half = width_cm1 / 2
    height = np.zeros_like(grid)
    for line, area in zip(lines, areas, strict=True):
        height += area * half / np.pi / ((grid - line) ** 2 + half**2)
    return grid, height


def infrared_figure(frequencies_cm1: Array, intensities_km_mol: Array, width_cm1: float) -> Figure:
    """Draw the broadened spectrum, wavenumbers falling as spectroscopists have it."""
    figure, axes = new_figure("wavenumber (cm⁻¹)", "absorption (km/mol per cm⁻¹)")
    axes.plot(*spectrum(frequencies_cm1, intensities_km_mol, width_cm1), color=COLOURS[0])
    axes.invert_xaxis()
    return figure
