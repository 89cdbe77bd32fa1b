"""Coverage: a 95 % interval must hold the truth in 95 of 100 independent repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.stats import binom
from synthetic_series import (
    CUBIC_GPA,
    autoregressive,
    coverage,
    liquid_energy,
    strained_cells,
    vibrating_energy,
)

from dp_sim.recipes.dynamics import estimators
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import EV_PER_A3_IN_BAR, EV_PER_A3_IN_GPA, KB_EV_PER_K
from validation.check import Check

TEMPERATURE_K = 300.0
KT = KB_EV_PER_K * TEMPERATURE_K
VOLUME_A3, SPREAD_A3 = 1000.0, 60.0

Make = Callable[[np.random.Generator], Estimate]
Series = Callable[[np.random.Generator], np.ndarray]


class Case(NamedTuple):
    """An estimate from a random series, and its true value.

    given   least share of the series that give it: lower where the samples are as few as the estimators take
    """

    make: Make
    truth: float
    given: float = 0.95


def correlated(size: int, tau: float) -> Series:
    """Make a series with one correlation time `tau`, in samples."""
    return lambda rng: autoregressive(rng, size, tau)


def liquid(size: int) -> Series:
    """Make a series like the energy of a liquid: fast noise beside a slow mode."""
    return lambda rng: liquid_energy(rng, size)


def mean(series: Series, **least: float) -> Case:
    """Make the case of an average; the truth is 3."""
    return Case(lambda rng: estimators.mean(3.0 + series(rng), unit="", what="it", steps_per_sample=1), 3.0, **least)


def _heat_capacity(energy_eV: np.ndarray, degrees_of_freedom: int) -> Estimate:
    return estimators.heat_capacity(
        energy_eV, TEMPERATURE_K, degrees_of_freedom=degrees_of_freedom, what="the energy", steps_per_sample=1
    )


def heat_capacity(series: Series, **least: float) -> Case:
    """Make the case of C = 4 + 3: variance 4 (k_B T)^2 and 6 momenta."""
    return Case(lambda rng: _heat_capacity(2.0 * KT * series(rng), 6), 7.0, **least)


def heat_capacity_of_vibrations(size: int) -> Case:
    """Make the case of three oscillators of one frequency: C = 3."""
    return Case(lambda rng: _heat_capacity(KT * vibrating_energy(rng, size), 3), 3.0)


def compressibility(series: Series, **least: float) -> Case:
    """Make the case of kappa = Var(V) / (k_B T <V>)."""
    return Case(
        lambda rng: estimators.compressibility(VOLUME_A3 + SPREAD_A3 * series(rng), TEMPERATURE_K, steps_per_sample=1),
        SPREAD_A3**2 / (KT * VOLUME_A3) / EV_PER_A3_IN_GPA,
        **least,
    )


class Bulk(NamedTuple):
    """Volumes of 1000 +- 60 A^3, and H = 2e-3 V + `rest`, of whose variance the volume explains 0.12^2 eV^2."""

    volume: Series
    rest: Series
    spread_eV: float

    def make(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Make both series."""
        volume = VOLUME_A3 + SPREAD_A3 * self.volume(rng)
        return volume, 2e-3 * volume + self.spread_eV * self.rest(rng)

    def modulus(self, **least: float) -> Case:
        """Make the case of K_T."""
        return Case(
            lambda rng: estimators.bulk_modulus(self.make(rng)[0], TEMPERATURE_K, steps_per_sample=1),
            KT * VOLUME_A3 / SPREAD_A3**2 * EV_PER_A3_IN_GPA,
            **least,
        )

    def heat_capacities(self, **least: float) -> tuple[Case, Case]:
        """Make the cases of C_p - C_V and of C_V, with 6 momenta."""

        def both(rng: np.random.Generator) -> tuple[Estimate, Estimate]:
            return estimators.heat_capacity_at_constant_volume(
                *self.make(rng), TEMPERATURE_K, degrees_of_freedom=6, steps_per_sample=1
            )

        return (
            Case(lambda rng: both(rng)[0], 0.12**2 / KT**2, **least),
            Case(lambda rng: both(rng)[1], self.spread_eV**2 / KT**2 + 3, **least),
        )

    def pressure_coefficient(self, **least: float) -> Case:
        """Make the case of alpha / kappa."""
        return Case(
            lambda rng: estimators.expansion_over_compressibility(*self.make(rng), TEMPERATURE_K, steps_per_sample=1),
            2e-3 / TEMPERATURE_K * EV_PER_A3_IN_BAR,
            **least,
        )


def of_bulk(name: str, bulk: Bulk, given: float) -> dict[str, Case]:
    """Make all cases of a run at constant pressure."""
    difference, constant_volume = bulk.heat_capacities(given=given)
    return {
        f"K_T, {name}": bulk.modulus(given=given),
        f"C_p - C_V, {name}": difference,
        f"C_V at constant pressure, {name}": constant_volume,
        f"alpha / kappa, {name}": bulk.pressure_coefficient(given=given),
    }


def elastic(name: str, size: int, taus: tuple[float, ...], given: float) -> dict[str, Case]:
    """Make the cases of a cubic crystal's constants from strain fluctuations, without the help of its symmetry."""

    def constant(which: str) -> Make:
        return lambda rng: estimators.elastic_constants(
            strained_cells(rng, size, taus, TEMPERATURE_K), TEMPERATURE_K, steps_per_sample=1
        ).estimates[which]

    exact = {"C11": CUBIC_GPA[0, 0], "C12": CUBIC_GPA[0, 1], "C44": CUBIC_GPA[3, 3]}
    return {f"{which}, {name}": Case(constant(which), float(truth), given) for which, truth in exact.items()}


def heat_capacity_at_constant_energy(series: Series, **least: float) -> Case:
    """Make the case of 300 momenta and C = 240: Var(K) = 150 (k_B T)^2 (1 - 150 / 240)."""
    spread = KT * float(np.sqrt(150 * (1 - 150 / 240)))
    return Case(
        lambda rng: estimators.heat_capacity_at_constant_energy(
            150 * KT + spread * series(rng), degrees_of_freedom=300, steps_per_sample=1
        ),
        240.0,
        **least,
    )


def checks(scale: float) -> Iterator[Check]:
    """Check how often 95 % intervals hold the truth."""
    repeats = max(20, round(1000 * scale))
    cases = {
        "mean, 900 samples, tau 5": mean(correlated(900, 5.0)),
        "mean, 4000 samples, tau 20": mean(correlated(4000, 20.0)),
        "mean, 30 independent samples, tau 10": mean(correlated(600, 10.0), given=0.5),
        "mean, 30 independent samples, half tau 25": mean(liquid(750), given=0.5),
        "mean, 40 independent samples, half tau 25": mean(liquid(1000), given=0.8),
        "C_V, 900 samples, tau 5": heat_capacity(correlated(900, 5.0)),
        "C_V, 8000 samples, tau 20": heat_capacity(correlated(8000, 20.0)),
        "C_V, 30 independent samples, tau 10": heat_capacity(correlated(600, 10.0), given=0.4),
        "C_V, 30 independent samples, half tau 25": heat_capacity(liquid(750), given=0.5),
        "C_V, 60 independent samples, half tau 25": heat_capacity(liquid(1500), given=0.9),
        "compressibility, 30 independent samples, tau 10": compressibility(correlated(600, 10.0), given=0.4),
        "C_V of vibrations, 8000 samples": heat_capacity_of_vibrations(8000),
        "compressibility, 2000 samples, tau 5": compressibility(correlated(2000, 5.0)),
        "compressibility, 60 independent samples, tau 37": compressibility(correlated(4440, 37.0), given=0.9),
        "compressibility, 8000 samples, tau 20": compressibility(correlated(8000, 20.0)),
        **elastic("1500 samples, tau 3 to 8", 1500, (3, 8, 8, 5, 5, 5), 0.94),
        **elastic("4000 samples, tau 2 to 10", 4000, (2, 10, 10, 5, 5, 5), 0.95),
        "C_V at constant energy, 4000 samples, tau 5": heat_capacity_at_constant_energy(correlated(4000, 5.0)),
        **of_bulk("500 samples, tau 5 and 8", Bulk(correlated(500, 5.0), correlated(500, 8.0), 0.1), 0.6),
        **of_bulk("1200 samples, tau 8 and half 25", Bulk(correlated(1200, 8.0), liquid(1200), 0.1), 0.8),
        **of_bulk("8000 samples, tau 3 and 20", Bulk(correlated(8000, 3.0), correlated(8000, 20.0), 0.2), 0.95),
    }
    for name, case in cases.items():
        # A series of vibrations takes long to make.
        yield from covered(name, case, max(20, repeats // 4) if "vibrations" in name else repeats)


def covered(name: str, case: Case, tried: int) -> Iterator[Check]:
    """Check one case: how often it gives an estimate, how often its interval holds the truth, and its error's size."""
    found = coverage(case.make, case.truth, tried)
    given = 100 * found.given / tried
    yield Check(name, f"{tried} series that gave an estimate", "%", given, 100.0, 100 * case.given, 100.0)
    if not found.given:
        return
    low = 100 * float(binom.ppf(1e-3, found.given, 0.95)) / found.given
    high = max(100 * float(binom.ppf(1 - 1e-3, found.given, 0.95)) / found.given, 99.0)
    yield Check(name, f"{found.given} intervals of 95 %", "%", 100 * found.hold / found.given, 95.0, low, high)
    off = 0.1 + 3 / np.sqrt(2 * found.given)  # the scatter has an error of its own
    ratio = found.claimed_over_scatter
    # Of few samples the error is widened on purpose (estimators/intervals.py: `size_correction`).
    widened = 1.0 if case.given >= 0.95 else 1.15
    yield Check(name, "claimed error / scatter", "", ratio, 1.0, 1 - off, widened + off)
