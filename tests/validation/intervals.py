"""Coverage: a 95 % interval must hold the truth in 95 of 100 independent repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.stats import binom
from synthetic_series import autoregressive, coverage, vibrating_energy

from dp_sim.recipes import estimators
from dp_sim.recipes.results import Estimate
from dp_sim.units import EV_PER_A3_IN_GPA, KB_EV_PER_K
from validation.check import Check

TEMPERATURE_K = 300.0
KT = KB_EV_PER_K * TEMPERATURE_K
VOLUME_A3, SPREAD_A3 = 1000.0, 60.0

Make = Callable[[np.random.Generator], Estimate]


def mean(size: int, tau: float) -> tuple[Make, float]:
    return lambda rng: estimators.mean(
        3.0 + autoregressive(rng, size, tau), unit="", what="it", steps_per_sample=1
    ), 3.0


def _heat_capacity(energy_eV: np.ndarray, degrees_of_freedom: int) -> Estimate:
    return estimators.heat_capacity(
        energy_eV, TEMPERATURE_K, degrees_of_freedom=degrees_of_freedom, what="the energy", steps_per_sample=1
    )


def heat_capacity(size: int, tau: float) -> tuple[Make, float]:
    """Variance 4 (k_B T)^2 and 6 momenta: C = 4 + 3."""
    return lambda rng: _heat_capacity(2.0 * KT * autoregressive(rng, size, tau), 6), 7.0


def heat_capacity_of_vibrations(size: int) -> tuple[Make, float]:
    """Three oscillators of one frequency: C = 3."""
    return lambda rng: _heat_capacity(KT * vibrating_energy(rng, size), 3), 3.0


def compressibility(size: int, tau: float) -> tuple[Make, float]:
    """kappa = Var(V) / (k_B T <V>)."""
    return lambda rng: estimators.compressibility(
        VOLUME_A3 + SPREAD_A3 * autoregressive(rng, size, tau), TEMPERATURE_K, steps_per_sample=1
    ), SPREAD_A3**2 / (KT * VOLUME_A3) / EV_PER_A3_IN_GPA


def checks(scale: float) -> Iterator[Check]:
    repeats = max(20, round(500 * scale))
    cases = {
        "mean, 400 samples, tau 5": mean(400, 5.0),
        "mean, 4000 samples, tau 20": mean(4000, 20.0),
        "C_V, 900 samples, tau 5": heat_capacity(900, 5.0),
        "C_V, 8000 samples, tau 20": heat_capacity(8000, 20.0),
        "C_V of vibrations, 8000 samples": heat_capacity_of_vibrations(8000),
        "compressibility, 2000 samples, tau 5": compressibility(2000, 5.0),
        "compressibility, 8000 samples, tau 20": compressibility(8000, 20.0),
    }
    for name, (make, truth) in cases.items():
        tried = max(20, repeats // 4) if "vibrations" in name else repeats  # a series of these takes long to make
        found = coverage(make, truth, tried)
        yield Check(name, f"{tried} series that gave an estimate", "%", 100 * found.given / tried, 100.0, 95.0, 100.0)
        if not found.given:
            continue
        low, high = (100 * float(binom.ppf(p, found.given, 0.95)) / found.given for p in (1e-3, 1 - 1e-3))
        yield Check(
            name, f"{found.given} intervals of 95 %", "%", 100 * found.hold / found.given, 95.0, low, max(high, 99.0)
        )
        off = 0.1 + 3 / np.sqrt(2 * found.given)  # the scatter has an error of its own
        yield Check(name, "claimed error / scatter", "", found.claimed_over_scatter, 1.0, 1 - off, 1 + off)
