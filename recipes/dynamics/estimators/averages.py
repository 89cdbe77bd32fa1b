"""Averages, and slopes against time."""

from __future__ import annotations

from dp_sim.recipes.dynamics.estimators.correlation import Samples
from dp_sim.recipes.dynamics.estimators.intervals import mean_interval
from dp_sim.recipes.dynamics.estimators.statistic import Statistic, average
from dp_sim.recipes.dynamics.estimators.verdict import NEEDED_FOR_MEAN, Requirement, estimate
from dp_sim.recipes.results.quantities import Estimate


def mean(values: Samples, *, unit: str, what: str, steps_per_sample: int) -> Estimate:
    """Estimate the average, with Student's interval.

    Parameters
    ----------
    values
        The samples.
    unit
        Of the values.
    what
        The quantity's name, for the cause if the estimate must be withheld.
    steps_per_sample
        For the number of steps that a longer run would take.
    """
    need = Requirement(what, values, NEEDED_FOR_MEAN)
    return estimate(average(values), unit, mean_interval, steps_per_sample, need)


def slope(time: Samples, values: Samples, *, unit: str, what: str, steps_per_sample: int) -> Estimate:
    """Estimate the least-squares slope of values against time; the residuals may be correlated."""
    centred = time - time.mean()
    spread = float((centred**2).mean()) or 1.0  # of a single sample: withheld below, as too few
    gradient = float((centred * values).mean()) / spread
    residuals = values - values.mean() - gradient * centred
    influence = centred * residuals / spread
    need = Requirement(what, influence, NEEDED_FOR_MEAN)
    return estimate(Statistic(gradient, influence), unit, mean_interval, steps_per_sample, need)
