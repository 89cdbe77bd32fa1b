"""Numbers and their logarithms with the spread of a committee."""

from __future__ import annotations

import numpy as np

from dp_sim.recipes.results.quantities import Estimate, Quantity

#: Beyond these powers of ten a number has no place in a float.
LARGEST_LOG10 = 300.0


def power_of_ten(exponent: float) -> float | None:
    """Raise 10 to a power; None where no float holds it."""
    return float(10.0**exponent) if abs(exponent) < LARGEST_LOG10 else None


def with_spread(
    value: float, spread: float | None, unit: str, members: int, *, logarithmic: bool = False
) -> Quantity | Estimate:
    """Make a number with the committee's standard deviation as its error; of a logarithm the number itself.

    The interval is that of Student's t for one more member.
    """
    if logarithmic and (not spread or abs(value) + 10 * spread >= LARGEST_LOG10):
        number = power_of_ten(value)
        return Quantity(
            number, unit, "" if number is not None else f"it is 10^{value:.1f}, beyond the range of numbers"
        )
    if not spread:  # unknown, or members that are one model
        return Quantity(value, unit)
    from scipy.stats import t  # noqa: PLC0415 - only with a committee

    reach = float(t.ppf(0.975, members - 1)) * spread
    low, high = value - reach, value + reach
    if not logarithmic:
        return Estimate(value, spread, (low, high), float(members), unit)
    limits = (float(10.0 ** max(low, -LARGEST_LOG10)), float(10.0 ** min(high, LARGEST_LOG10)))
    middle = float(10.0**value)
    return Estimate(middle, middle * float(np.log(10)) * spread, limits, float(members), unit)
