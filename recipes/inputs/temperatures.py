"""Evenly spaced temperatures of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dp_sim.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Rows of a table at most: a page and a plot show no more.
MOST_TEMPERATURES = 5000


def check_temperatures(minimum_K: float, maximum_K: float, step_K: float) -> None:
    """Refuse a range that falls, or has more than `MOST_TEMPERATURES` in it, as `setting-out-of-range`."""
    if maximum_K < minimum_K:
        raise InputError(
            "setting-out-of-range",
            f"temperature_max_K ({maximum_K:g}) is below temperature_min_K ({minimum_K:g}); exchange them",
        )
    if (count := (maximum_K - minimum_K) / step_K) > MOST_TEMPERATURES:
        raise InputError(
            "setting-out-of-range",
            f"temperature_step_K ({step_K:g}) makes {count:,.0f} temperatures from {minimum_K:g} to {maximum_K:g} K; "
            f"expected {MOST_TEMPERATURES:,} at most: take a longer step",
        )


def even_temperatures(minimum_K: float, maximum_K: float, step_K: float) -> NDArray[np.float64]:
    """Space temperatures evenly, K; the last is included where a whole number of steps reaches it."""
    import numpy as np  # noqa: PLC0415 - settings, which the help loads, import this module

    return np.arange(minimum_K, maximum_K + 1e-6 * step_K, step_K)
