"""Whether a run supports an estimate, and how many steps more would; then the estimate with its interval."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dp_sim.recipes.dynamics.estimators.correlation import (
    Samples,
    standard_error,
    statistical_inefficiency,
    zero_frequency_density,
)
from dp_sim.recipes.dynamics.estimators.intervals import Interval, Spread, size_correction
from dp_sim.recipes.dynamics.estimators.statistic import Statistic
from dp_sim.recipes.results.quantities import Estimate

#: Independent samples below which an average is withheld.
NEEDED_FOR_MEAN = 30
#: Independent samples of a quantity below which its fluctuations are withheld: they depend on its slowest motion.
NEEDED_OF_FLUCTUATING = 30
#: Independent squared (or mixed) deviations below which a variance or covariance is withheld: 50 give a relative
#: standard error of about 20 %.
NEEDED_FOR_FLUCTUATION = 50


class Requirement(NamedTuple):
    """A series, and how many independent samples of it an estimate needs."""

    what: str
    series: Samples
    needed: int


def estimate(
    statistic: Statistic, unit: str, interval: Interval, steps_per_sample: int, *needs: Requirement
) -> Estimate:
    """Give a statistic its error and interval, or withhold it.

    Parameters
    ----------
    statistic
        The number and its influence values.
    unit
        Of the number.
    interval
        Computes the bounds.
    steps_per_sample
        For the number of steps that a longer run would take.
    *needs
        What the run must hold; one at least.
    """
    value, influence = statistic.value, statistic.influence
    size = influence.size
    most = max(needs, key=lambda need: need.needed)
    if size < most.needed:
        cause = (
            f"the run holds {size} samples after equilibration and at least {most.needed} are needed: "
            f"run at least {_rounded_up((most.needed - size) * steps_per_sample)} steps more"
        )
        return Estimate.withheld(unit, cause, float(size))
    if _is_zero(influence, value):
        return Estimate(value, 0.0, (value, value), float(size), unit)
    inefficiencies = [statistical_inefficiency(need.series) for need in needs]
    inefficiency, scarcest = max(zip(inefficiencies, needs, strict=True), key=lambda pair: pair[0] * pair[1].needed)
    if size < scarcest.needed * inefficiency:
        missing = math.ceil((scarcest.needed * inefficiency - size) * steps_per_sample)
        cause = (
            f"the run holds about {math.floor(size / inefficiency)} independent samples of {scarcest.what} after "
            f"equilibration and {scarcest.needed} are needed: run about {_rounded_up(missing)} steps more"
        )
        return Estimate.withheld(unit, cause, size / inefficiency)
    independent = size / max(inefficiencies)
    _, cosines = zero_frequency_density(influence)
    spread = Spread(standard_error(influence) * size_correction(independent), cosines, independent)
    effective = size / statistical_inefficiency(influence)
    return Estimate(value, spread.error, interval(value, spread), effective, unit)


def _is_zero(influence: Samples, value: float) -> bool:
    return bool(np.abs(influence).max() <= 1e-12 * max(abs(value), 1e-300))


def _rounded_up(steps: int) -> str:
    """Round up to two significant figures: such a forecast has no more."""
    digits = 10 ** max(0, len(str(steps)) - 2)
    return f"{math.ceil(steps / digits) * digits:,}"
