"""`Scale`: from a raw spread to a standard uncertainty, and on to intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dp_sim.uncertainty.conformal import conformal_quantile
from dp_sim.uncertainty.likelihood import STANDARD, alpha_squared, likelihood_scale, student_quantile
from dp_sim.uncertainty.points import Points

#: Shares of the errors that intervals are given for, in percent.
LEVELS = (50, 68, 90, 95)


@dataclass(frozen=True)
class Scale:
    """What a spread of one kind is worth.

    Attributes
    ----------
    factor
        Standard uncertainty over spread: that multiple of the spread holds 68.3 % of the errors under eq. 3 of
        dp_sim.uncertainty.likelihood.
    intervals
        For each of LEVELS, half width of the interval over the standard uncertainty, by split-conformal quantiles; None
        where the frames were too few.
    alpha_squared
        Of eq. 2; None for fewer than four members, and where no committee gave the spread.
    """

    factor: float
    intervals: tuple[float | None, ...]
    alpha_squared: float | None = None

    def interval(self, level: int) -> float | None:
        """Return the half width of an interval over the standard uncertainty; None where the frames were too few."""
        return self.intervals[LEVELS.index(level)]


def fitted_scale(points: Points, members: int | None) -> Scale:
    """Fit the scale of a committee's spread, or of another measure of uncertainty.

    Parameters
    ----------
    points
        Errors and spreads, none of them without spread.
    members
        Number M of members; None for a measure with no chance in it, whose errors are normal then.
    """
    ratios = np.square(points.error / points.spread)
    degrees = 1e9 if members is None else points.components * (members - 1.0)
    factor = likelihood_scale(ratios, points.components, degrees)
    factor *= student_quantile(STANDARD, points.components, degrees)
    scores = np.sqrt(ratios) / factor
    published = members is not None and members > 3 and points.components == 1
    return Scale(
        factor,
        tuple(conformal_quantile(scores, level / 100, points.frames) for level in LEVELS),
        alpha_squared(ratios, members) if members is not None and published else None,
    )
