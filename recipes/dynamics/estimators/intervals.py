"""Intervals that hold the truth in 95 of 100 runs, at the fewest samples too.

Two things are off where independent samples are few. The density at zero frequency comes out too small: the fastest of
its cosines begins to resolve the correlation time (for one relaxation by a share (pi nu / 2 n)^2 / 3 of it, with nu
cosines and n independent samples), and of runs at the edge of the verdict those pass that look longer than they are.
`size_correction` widens the error for it, as second-order corrections of such tests do (Y. Sun, P. C. B. Phillips and
S. Jin, Econometrica 76, 175 (2008)). And a variance is skewed more than its error tells: its noise comes from the
slowest mode, which has few samples, beside fast ones that are known well (`variance_interval`).

Both constants are set by coverage on series with one and with two correlation times:
benchmarks/validation/intervals.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from scipy.stats import chi2, norm
from scipy.stats import t as student_t

#: Independent samples at which the error would be doubled; at the fewest that are taken, 30, it grows by a third.
SIZE_CORRECTION = 10.0
#: Degrees of freedom of a variance's slowest mode for each independent sample of the quantity.
SHAPE_PER_SAMPLE = 0.5

Bounds = tuple[float, float]


class Spread(NamedTuple):
    """How well an estimate is known.

    Attributes
    ----------
    error
        Standard error, `size_correction` included.
    cosines
        Degrees of freedom of that error.
    independent
        Independent samples of the scarcest quantity behind the estimate.
    """

    error: float
    cosines: int
    independent: float

    @property
    def quantile(self) -> float:
        """Student's quantile of the interval."""
        return float(student_t.ppf(0.975, self.cosines))


#: From a value and its spread to the bounds.
Interval = Callable[[float, Spread], Bounds]


def size_correction(independent: float) -> float:
    """Return the factor by which the standard error from few independent samples is too small."""
    return 1.0 + SIZE_CORRECTION / independent


def mean_interval(value: float, spread: Spread) -> Bounds:
    """Compute Student's interval, for averages and whatever may have either sign."""
    half_width = spread.quantile * spread.error
    return value - half_width, value + half_width


def variance_interval(value: float, spread: Spread) -> Bounds:
    """Compute the interval of a variance, which is positive and skewed: chi^2 with nu degrees of freedom.

    A part b of the variance comes from the slowest mode and has all of the error, the rest is known. So b = error
    sqrt(nu / 2). One mode alone has b = value, nu = 2 (value / error)^2; nu is smaller where the independent samples
    allow no more. The error is itself an estimate, so it is widened by the ratio of Student's quantile to the normal
    one.
    """
    widened = spread.error * spread.quantile / float(norm.ppf(0.975))
    # At least one: of a variance that is zero but for rounding nothing is left to divide by.
    nu = max(1.0, min(2 * (value / widened) ** 2, SHAPE_PER_SAMPLE * spread.independent))
    slow = widened * math.sqrt(nu / 2)
    known = value - slow
    return known + nu * slow / float(chi2.ppf(0.975, nu)), known + nu * slow / float(chi2.ppf(0.025, nu))


def plus(known: float) -> Interval:
    """Return the interval of a variance to which something known was added."""

    def interval(value: float, spread: Spread) -> Bounds:
        low, high = variance_interval(value - known, spread)
        return low + known, high + known

    return interval


def inverse_variance_interval(value: float, spread: Spread) -> Bounds:
    """Compute the interval of the inverse of a variance: that of the variance, inverted."""
    # d(1/v) = -dv / v^2
    low, high = variance_interval(1 / value, spread._replace(error=spread.error / value**2))
    return 1 / high, 1 / low


def unbiased_inverse_interval(value: float, spread: Spread) -> Bounds:
    """Compute the interval of an inverse whose mean was set right: it lies about the inverse itself.

    The inverse of a variance with nu degrees of freedom is on average 1 + 2 / nu times too large, which is its
    relative variance; the bounds are quantiles, and need no such correction.
    """
    return inverse_variance_interval(value * (1 + (spread.error / value) ** 2), spread)
