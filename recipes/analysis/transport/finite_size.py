"""The finite-size correction of diffusion coefficients."""

from __future__ import annotations

import math

import numpy as np
from ase import Atoms

from dp_sim.recipes.analysis.transport.displacements import UNIT
from dp_sim.recipes.results.quantities import Estimate

#: xi of a cubic cell: I.-C. Yeh and G. Hummer, J. Phys. Chem. B 108, 15873 (2004), eq. 12.
XI_CUBIC = 2.837297
#: Boltzmann's constant, J/K.
KB_J_PER_K = 1.380648e-23


def edge_of_cube(cell: Atoms) -> float | None:
    """Return the edge of a cubic cell, Angstrom; None where it is not cubic to one part in a hundred."""
    lengths, angles = cell.cell.lengths(), cell.cell.angles()
    cubic = np.allclose(angles, 90, atol=0.5) and np.ptp(lengths) <= 0.01 * lengths.mean()
    return float(lengths.mean()) if cubic else None


def corrected(diffusion: Estimate, viscosity: Estimate, temperature_K: float | None, edge_A: float | None) -> Estimate:
    """Extrapolate a diffusion coefficient to an infinite cell.

        D(infinity) = D(L) + xi k_B T / (6 pi eta L)                 (Yeh and Hummer, eq. 12)

    A periodic cell slows the diffusion down through the flow between images. The errors of D and eta count as
    independent.

    Parameters
    ----------
    diffusion
        10^-9 m^2/s, of a cell without drift of its centre of mass.
    viscosity
        mPa s; with error 0 where it was given.
    temperature_K
        K; None where it is not known.
    edge_A
        Edge of the cubic cell, Angstrom; None where it is not cubic.
    """
    if diffusion.value is None or diffusion.error is None:
        return Estimate.withheld(UNIT, "there is no diffusion coefficient to correct")
    if edge_A is None:
        return Estimate.withheld(UNIT, "the finite-size correction is known for cubic cells, and this one is not cubic")
    if temperature_K is None:
        return Estimate.withheld(UNIT, "the finite-size correction needs the temperature; give temperature_K")
    if viscosity.value is None or viscosity.error is None:
        return Estimate.withheld(
            UNIT, "the finite-size correction needs the viscosity, which this run does not give; give viscosity_mPa_s"
        )
    # k_B T / (eta L): J / (Pa s m) = m^2/s, in 10^-9 m^2/s
    shift = XI_CUBIC * KB_J_PER_K * temperature_K / (6 * math.pi * viscosity.value * 1e-3 * edge_A * 1e-10) * 1e9
    error_of_shift = shift * viscosity.error / viscosity.value
    error = math.hypot(diffusion.error, error_of_shift)
    assert diffusion.ci95 is not None
    low, high = diffusion.ci95
    # The interval of D keeps its own quantile; that of the shift is wide by two errors.
    half = math.hypot((high - low) / 2, 2 * error_of_shift)
    value = diffusion.value + shift
    return Estimate(value, error, (value - half, value + half), diffusion.n_effective, UNIT)
