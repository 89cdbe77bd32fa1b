"""Quantum correction of a classical heat capacity by the vibrational density of states."""

from __future__ import annotations

import numpy as np
from ase import units
from numpy.typing import NDArray
from scipy.stats import t as student_t

from dp_sim.recipes.analysis.transport.velocities import DensityOfStates
from dp_sim.recipes.results.quantities import Estimate

Array = NDArray[np.float64]

#: h c / k_B, cm K: a mode of 1/cm against a temperature.
CM_K = units._hplanck * units._c * 100 / units._k
#: Parts of the run whose densities of states are compared, at least.
FEWEST_PARTS = 4
#: What the correction takes for granted.
ASSUMED = (
    "every mode of the density of states as a harmonic oscillator (P. H. Berens et al., J. Chem. Phys. 79, 2375 "
    "(1983); the solid's part of two-phase thermodynamics): for solids and molecules; what diffuses lies at zero "
    "frequency and is classical, so that it changes nothing, but in a liquid the modes above it are no oscillators; "
    "C_p - C_V stays classical"
)


def oscillator(frequency_cm1: Array, temperature_K: float) -> Array:
    """Compute C of a harmonic oscillator, x^2 e^x / (e^x - 1)^2 with x = h nu / k_B T, in k_B; classical is 1."""
    half = CM_K * frequency_cm1 / (2 * temperature_K)
    x = np.clip(half, 1e-9, 300.0)
    return np.asarray((x / np.sinh(x)) ** 2)


def quantum_correction(states: DensityOfStates, temperature_K: float) -> Estimate:
    """Integrate g(nu) (C_quantum(nu) - 1), in k_B: what is added to the classical heat capacity.

    The error is that of the mean over parts of the run, each with a density of states of its own.

    Parameters
    ----------
    states
        Vibrational density of states.
    temperature_K
        Of the run.
    """
    n_parts = len(states.parts)
    if n_parts < FEWEST_PARTS:
        return Estimate.withheld(
            "k_B",
            f"the run is {n_parts} times as long as its density of states needs for {states.resolution_cm1:.3g} 1/cm, "
            f"and {FEWEST_PARTS} are needed: run longer, or take a coarser resolution",
        )
    width = float(states.frequency_cm1[1])
    weights = (oscillator(states.frequency_cm1, temperature_K) - 1) * width
    value = float(states.total @ weights)
    modes = states.parts.sum(axis=1) * width
    # Each part's share of a ratio: the kinetic energy that normalises the density fluctuates too.
    deviations = (states.parts @ weights) * (states.degrees_of_freedom / modes) - value
    error = float(np.sqrt((deviations**2).sum() / (n_parts - 1) / n_parts))
    wide = float(student_t.ppf(0.975, n_parts - 1)) * error
    return Estimate(value, error, (value - wide, value + wide), float(n_parts), "k_B")
