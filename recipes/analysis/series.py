"""Averages over correlated frames with their errors: many at once, in bounded memory, and one with its interval.

The error of an average is that of `dp_sim.recipes.dynamics.estimators`: the spectral density at zero frequency of its
influence series, from the lowest cosines, so that correlated frames and blocks are accounted for.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.stats import t as student_t

from dp_sim.recipes.dynamics import estimators
from dp_sim.recipes.results.quantities import Estimate

#: Blocks that a `BlockedSeries` holds at most; half of them when it has just merged neighbours.
MOST_BLOCKS = 256
#: Blocks below which no error is given.
FEWEST_BLOCKS = 20
#: Rows of a table of series for one cosine, where these make more than the fewest.
ROWS_PER_COSINE = 32
Array = NDArray[np.float64]


class BlockedSeries:
    """A long series of vectors, kept as averages over blocks of successive frames.

    Blocks of 1, 2, 4, ... frames: when MOST_BLOCKS are full, neighbours are merged. Averages over blocks have the same
    spectral density at zero frequency, per unit of time, as the frames have, so errors do not suffer.

    Parameters
    ----------
    width
        Length of each vector.
    """

    def __init__(self, width: int) -> None:
        self._blocks = np.zeros((MOST_BLOCKS, width))
        self._n_blocks, self._per_block = 0, 1
        self._open, self._in_open = np.zeros(width), 0

    def add(self, vector: Array) -> None:
        """Append the vector of the next frame."""
        self._open += vector
        self._in_open += 1
        if self._in_open < self._per_block:
            return
        if self._n_blocks == MOST_BLOCKS:  # merge, and let this block become half of the next
            self._blocks[: MOST_BLOCKS // 2] = (self._blocks[::2] + self._blocks[1::2]) / 2
            self._n_blocks, self._per_block = MOST_BLOCKS // 2, 2 * self._per_block
            return
        self._blocks[self._n_blocks] = self._open / self._per_block
        self._n_blocks += 1
        self._open[:], self._in_open = 0.0, 0

    @property
    def n_frames(self) -> int:
        """Number of frames in whole blocks."""
        return self._n_blocks * self._per_block

    @property
    def frames_per_block(self) -> int:
        """Number of frames averaged in each block."""
        return self._per_block

    def blocks(self) -> Array:
        """Return the averages, (B, width); a last block that is not full is left out."""
        return self._blocks[: self._n_blocks]


def standard_errors(series: Array) -> Array | None:
    """Estimate the standard error of the average of each column, (B, K) -> (K,); None with too few rows.

    It is widened by the ratio of Student's quantile to the normal one: twice of it is a 95 % interval.
    """
    if len(series) < FEWEST_BLOCKS:
        return None
    cosines = max(estimators.FEWEST_COSINES, len(series) // ROWS_PER_COSINE)
    power = dct(series - series.mean(axis=0), norm="ortho", axis=0)[1 : cosines + 1] ** 2
    widened = float(student_t.ppf(0.975, cosines)) / 1.96
    return np.asarray(np.sqrt(power.mean(axis=0) / len(series)) * widened)


def mean_of(series: Array, *, unit: str, what: str, spacing_ps: float | None = None) -> Estimate:
    """Estimate the average of one series of influence values about its value, with Student's interval.

    Parameters
    ----------
    series
        (S,) one value a frame (or block); its average is the estimate.
    unit
        Of the values.
    what
        The quantity's name, for the cause if the estimate must be withheld.
    spacing_ps
        Time between two values, for the length that a longer trajectory would have; None where it is not known.
    """
    found = estimators.mean(series, unit=unit, what=what, steps_per_sample=1)
    if found.value is not None:
        return found
    independent = found.n_effective or float(series.size)
    needed = series.size * estimators.NEEDED_FOR_MEAN / max(independent, 1.0)
    length = f"{needed - series.size:,.0f} frames" if spacing_ps is None else _time((needed - series.size) * spacing_ps)
    return Estimate.withheld(
        unit,
        f"the trajectory holds about {math.floor(independent)} independent samples of {what} and "
        f"{estimators.NEEDED_FOR_MEAN} are needed: run about {length} more",
        independent,
    )


def _time(ps: float) -> str:
    """Write a time with two significant figures."""
    return f"{ps / 1000:.2g} ns" if ps >= 1000 else f"{ps:.2g} ps"


def jackknife(blocks: Array, statistic: Callable[[Array], float]) -> tuple[float, Array]:
    """Compute a statistic of the average over blocks, and its pseudo-values: one for each block left out.

    Parameters
    ----------
    blocks
        (B, K).
    statistic
        Takes the (K,) average and returns a number.

    Returns
    -------
    value
        Of the whole.
    pseudo_values
        (B,) their average is the value less its bias; their spread is that of influence values (B. Efron, 1982).
    """
    total, n_blocks = blocks.sum(axis=0), len(blocks)
    value = float(statistic(total / n_blocks))
    left_out = np.array([statistic((total - block) / (n_blocks - 1)) for block in blocks], dtype=np.float64)
    return value, n_blocks * value - (n_blocks - 1) * left_out
