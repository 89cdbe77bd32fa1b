"""Series whose averages, variances and correlation times are known exactly, and how often intervals hold the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import expm
from scipy.signal import lfilter

from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import EV_PER_A3_IN_GPA, KB_EV_PER_K


def autoregressive(rng: np.random.Generator, size: int, tau: float) -> np.ndarray:
    """A stationary Gaussian series of mean 0, variance 1, autocorrelation exp(-t/tau)."""
    phi = np.exp(-1 / tau)
    noise = rng.standard_normal(size) * np.sqrt(1 - phi**2)
    noise[0] = rng.standard_normal()
    return lfilter([1.0], [1.0, -phi], noise)


def liquid_energy(rng: np.random.Generator, size: int) -> np.ndarray:
    """Mean 0, variance 1, autocorrelation exp(-t/25) / 2: half of the variance is noise from sample to sample and hides
    the slow mode, as vibrations do in a liquid's energy. g = 25 of the values, 7 of their squared deviations."""
    return np.sqrt(0.5) * (rng.standard_normal(size) + autoregressive(rng, size, 25.0))


def vibrating_energy(rng: np.random.Generator, size: int, modes: int = 3) -> np.ndarray:
    """Potential energy (k_B T) of oscillators of one frequency, 1 rad and 0.02 of friction a sample, exactly.

    Its autocorrelation exp(-gamma t) cos^2(omega t) touches zero after 1.6 samples and has not decayed after 100.
    Variance: modes / 2.
    """
    drift = np.array([[0.0, 1.0], [-1.0, -0.02]])
    step = expm(drift)
    scatter = np.linalg.cholesky(np.eye(2) - step @ step.T)
    state = rng.standard_normal((modes, 2))
    kicks = rng.standard_normal((size, modes, 2)) @ scatter.T
    energy = np.empty(size)
    for index in range(size):
        state = state @ step.T + kicks[index]
        energy[index] = 0.5 * (state[:, 0] ** 2).sum()
    return energy


class Coverage(NamedTuple):
    """Of many independent repeats of an estimate: how many were given, how many intervals hold the truth, and the mean
    of the errors claimed over the scatter of the values."""

    given: int
    hold: int
    claimed_over_scatter: float


def coverage(make: Callable[[np.random.Generator], Estimate], truth: float, repeats: int) -> Coverage:
    """What `make` gives in `repeats` tries, each with random numbers of its own."""
    made = [make(np.random.default_rng([7, repeat])) for repeat in range(repeats)]
    given = [estimate for estimate in made if estimate.value is not None]
    hold = sum(estimate.ci95[0] < truth < estimate.ci95[1] for estimate in given)
    if not given:
        return Coverage(0, 0, np.nan)
    scatter = np.std([estimate.value for estimate in given])
    return Coverage(len(given), hold, float(np.mean([estimate.error for estimate in given]) / scatter))


#: Elastic constants of a cubic crystal (GPa), Voigt's form: nearly those of copper.
CUBIC_GPA = np.diag([50.0, 50.0, 50.0, 75.0, 75.0, 75.0]) + 120.0 * np.pad(np.ones((3, 3)), (0, 3))
#: Edge (Angstrom) of the mean cell of `strained_cells`.
EDGE_A = 14.5


def strained_cells(rng: np.random.Generator, size: int, taus: Sequence[float], temperature_K: float = 300.0):
    """Upright cells (size, 3, 3) whose Lagrangian strains are Gaussian with Cov = (k_B T / V) C^-1, C = `CUBIC_GPA`.

    `taus` are the correlation times of the six principal strains, from the stiffest to the softest.
    """
    root = np.sqrt([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])  # Mandel's form
    values, vectors = np.linalg.eigh(CUBIC_GPA * np.outer(root, root))
    kT_GPa = KB_EV_PER_K * temperature_K * EV_PER_A3_IN_GPA / EDGE_A**3
    principal = np.stack([autoregressive(rng, size, tau) for tau in taus], axis=1) * np.sqrt(kT_GPa / values[::-1])
    mandel = principal @ vectors[:, ::-1].T / root
    strains = np.zeros((size, 3, 3))
    for number, (a, b) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        strains[:, a, b] = strains[:, b, a] = mandel[:, number]
    return EDGE_A * np.linalg.cholesky(np.eye(3) + 2 * strains)
