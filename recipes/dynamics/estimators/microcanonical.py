"""Heat capacity from the fluctuations of the kinetic energy at constant energy."""

from __future__ import annotations

import numpy as np

from dp_sim.recipes.dynamics.estimators.correlation import Samples
from dp_sim.recipes.dynamics.estimators.fluctuations import needs_of
from dp_sim.recipes.dynamics.estimators.intervals import Bounds, Interval, Spread, variance_interval
from dp_sim.recipes.dynamics.estimators.statistic import Statistic, average, variance
from dp_sim.recipes.dynamics.estimators.verdict import estimate
from dp_sim.recipes.results.quantities import Estimate


def heat_capacity_at_constant_energy(
    kinetic_eV: Samples, *, degrees_of_freedom: int, divide_by: int = 1, steps_per_sample: int
) -> Estimate:
    """Estimate C_V, in k_B, of a run at constant energy.

    What the kinetic energy K gains the potential energy loses, so that K fluctuates less than at constant temperature
    (J. L. Lebowitz, J. K. Percus and L. Verlet, Phys. Rev. 153, 250 (1967), eq. 3.7; Allen and Tildesley, eq. 2.82):

        Var(K) = f (k_B T)^2 / 2 (1 - f k_B / 2 C_V),        <K> = f k_B T / 2,
        C_V / k_B = (f / 2) / (1 - r),                       r = f Var(K) / (2 <K>^2).

    It holds to the leading order of 1 / f. A harmonic solid has r = 1/2.

    Parameters
    ----------
    kinetic_eV
        K of each sample.
    degrees_of_freedom
        f: momenta that move, those of the resting centre of mass not counted.
    divide_by
        Number of atoms, for the value per atom.
    steps_per_sample
        For the number of steps that a longer run would take.
    """
    unit = "k_B" if divide_by == 1 else "k_B/atom"
    half = degrees_of_freedom / 2 / divide_by
    kinetic = average(kinetic_eV)
    ratio = degrees_of_freedom / 2 * variance(kinetic_eV) / (kinetic * kinetic)
    if ratio.value >= 1:
        return Estimate.withheld(
            unit,
            "the kinetic energy fluctuates as much as at constant temperature: the run is too short, or its energy is "
            "not conserved",
        )
    one = Statistic(1.0, np.zeros_like(ratio.influence))
    found = estimate(
        half * (one / (one - ratio)),
        unit,
        _of_ratio(half),
        steps_per_sample,
        *needs_of("the kinetic energy", kinetic_eV, ratio),
    )
    if found.ci95 is not None and not np.isfinite(found.ci95[1]):
        return Estimate.withheld(
            unit, "the run is too short to bound the heat capacity from above: run longer", found.n_effective
        )
    return found


def _of_ratio(half: float) -> Interval:
    """Return the interval of C = half / (1 - r): that of the variance in r, taken along."""

    def interval(value: float, spread: Spread) -> Bounds:
        left = half / value  # 1 - r
        low, high = variance_interval(1 - left, spread._replace(error=spread.error * left**2 / half))
        return half / (1 - low), half / (1 - high) if high < 1 else np.inf

    return interval
