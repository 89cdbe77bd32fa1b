"""Functions of averages with their influence values: the chain rule, once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dp_sim.recipes.dynamics.estimators.correlation import Samples, is_constant, statistical_inefficiency


@dataclass(frozen=True)
class Statistic:
    """A number computed from all samples; sums, products and ratios of statistics are statistics, by the chain rule.

    Attributes
    ----------
    value
        The number.
    influence
        (S,) its influence values: the package's docstring.
    """

    value: float
    influence: Samples

    def __add__(self, other: Statistic | float) -> Statistic:
        """Add a statistic of the same samples, or a constant."""
        other = _statistic(other, self)
        return Statistic(self.value + other.value, self.influence + other.influence)

    def __sub__(self, other: Statistic | float) -> Statistic:
        """Subtract a statistic of the same samples, or a constant."""
        return self + -1.0 * _statistic(other, self)

    def __mul__(self, other: Statistic | float) -> Statistic:
        """Multiply: d(ab) = a db + b da."""
        other = _statistic(other, self)
        return Statistic(self.value * other.value, self.value * other.influence + other.value * self.influence)

    __rmul__ = __mul__

    def __truediv__(self, other: Statistic | float) -> Statistic:
        """Divide: d(a/b) = (da - (a/b) db) / b."""
        other = _statistic(other, self)
        ratio = self.value / other.value
        return Statistic(ratio, (self.influence - ratio * other.influence) / other.value)

    def __rtruediv__(self, other: float) -> Statistic:
        """Divide a constant."""
        return _statistic(other, self) / self


def _statistic(value: Statistic | float, like: Statistic) -> Statistic:
    return value if isinstance(value, Statistic) else Statistic(float(value), np.zeros_like(like.influence))


def average(values: Samples, weights: Samples | None = None) -> Statistic:
    """Average the samples, with weights (S,) where these are given."""
    mean = _mean(values, weights)
    return Statistic(mean, _weighted(values - mean, weights))


def variance(values: Samples, weights: Samples | None = None) -> Statistic:
    """Compute the unbiased variance of correlated samples."""
    return covariance(values, values, weights)


def covariance(first: Samples, second: Samples, weights: Samples | None = None) -> Statistic:
    """Compute the unbiased covariance of correlated samples.

    Deviations from the sample mean are too small by its own variance s^2 g / N; dividing by 1 - g / N undoes that.
    """
    products = (first - _mean(first, weights)) * (second - _mean(second, weights))
    value = _mean(products, weights)
    if is_constant(first) or is_constant(second):
        return Statistic(0.0, np.zeros_like(first))
    inefficiency = max(statistical_inefficiency(first), statistical_inefficiency(second))
    # A run this correlated is withheld by the verdict; the bound only keeps the division finite.
    unbias = 1 / (1 - min(inefficiency / first.size, 0.5))
    return unbias * Statistic(value, _weighted(products - value, weights))


def _mean(values: Samples, weights: Samples | None) -> float:
    return float(np.average(values, weights=weights))


def _weighted(influence: Samples, weights: Samples | None) -> Samples:
    return influence if weights is None else influence * (weights / weights.mean())
