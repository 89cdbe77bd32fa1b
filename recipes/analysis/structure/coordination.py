"""Coordination numbers: neighbours up to the first minimum of g(r), with where it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from dp_sim.recipes.analysis.series import FEWEST_BLOCKS, jackknife, mean_of, standard_errors
from dp_sim.recipes.results.quantities import Estimate

Array = NDArray[np.float64]
#: Width of the smoothing before extrema are sought, Angstrom; counts are taken from what is not smoothed.
SMOOTHING = 0.07
#: A maximum counts from so much prominence on, and from so many standard errors.
PROMINENCE, SIGMAS = 0.08, 4.0


@dataclass(frozen=True)
class Coordination:
    """Neighbours of species B about an atom of species A.

    Attributes
    ----------
    pair
        (A, B).
    number
        Neighbours within `radius`; withheld where g(r) has no first minimum.
    radius
        The first minimum of g(r), Angstrom; the error of `number` contains that of the radius.
    """

    pair: tuple[str, str]
    number: Estimate
    radius: Estimate


def first_minimum(r: Array, g: Array, noise: float) -> float | None:
    """Find the first minimum of g(r): between its first two maxima, or its first and where it rises to the end.

    Parameters
    ----------
    r
        (K,) middles of bins, Angstrom.
    g
        (K,)
    noise
        Standard error of a value of g.

    Returns
    -------
    float or None
        Its place, Angstrom, from a parabola through the smoothed g; the middle of a gap where g is zero. None where g
        has no maximum and no rise after it that stand out of the noise.
    """
    width = r[1] - r[0]
    smooth = gaussian_filter1d(g, SMOOTHING / width, mode="nearest")
    # Noise of neighbouring bins is independent: an average over the kernel has this share of it.
    left = noise / np.sqrt(max(1.0, 2 * np.sqrt(np.pi) * SMOOTHING / width))
    height = max(PROMINENCE, SIGMAS * left)
    peaks, _ = find_peaks(smooth, prominence=height)
    if not len(peaks):
        return None
    first = int(peaks[0])
    # In a small cell g(r) may end on the way up to the second maximum.
    second = int(peaks[1]) if len(peaks) > 1 else len(smooth) - 1
    if smooth[second] - smooth[first : second + 1].min() < height:
        return None
    between = slice(first, second + 1)
    gap = np.flatnonzero(smooth[between] <= 1e-3 * smooth[first])
    if gap.size:
        return float(r[between][gap].mean())
    lowest = first + int(np.argmin(smooth[between]))
    before, here, after = smooth[lowest - 1 : lowest + 2]
    return float(r[lowest] + width * (before - after) / 2 / (before - 2 * here + after))


def coordination(pair: tuple[str, str], edges: Array, g: Array, neighbors: Array) -> Coordination:
    """Count the neighbours up to the first minimum, with the errors of both.

    Parameters
    ----------
    pair
        (A, B): B about A.
    edges
        (K + 1,) of the bins, Angstrom.
    g
        (B, K) g(r) of blocks of frames.
    neighbors
        (B, K) number of B in each bin about an A, of the same blocks.
    """
    n_bins = g.shape[1]
    middles = (edges[1:] + edges[:-1]) / 2
    errors = standard_errors(g)
    where, name = "", "-".join(pair)
    whole = None if errors is None else first_minimum(middles, g.mean(axis=0), float(np.median(errors)))
    if errors is None:
        where = f"{len(g)} frames are too few for it, at least {FEWEST_BLOCKS} are needed"
    elif whole is None:
        where = (
            f"g(r) of {name} has no first minimum up to {edges[-1]:.2f} Å that stands out of its noise: there are no "
            "shells, or the cell or the run is too small to see them"
        )
    if errors is None or whole is None:
        return Coordination(pair, Estimate.withheld("", where), Estimate.withheld("Angstrom", where))
    noise = float(np.median(errors))

    def radius(average: Array) -> float:
        found = first_minimum(middles, average[:n_bins], noise)
        return whole if found is None else found

    def number(average: Array) -> float:
        cumulated = np.concatenate([[0.0], average[n_bins:].cumsum()])
        return float(np.interp(radius(average), edges, cumulated))

    both = np.concatenate([g, neighbors], axis=1)
    return Coordination(
        pair,
        _estimate(*jackknife(both, number), "", f"the neighbours of {name}"),
        _estimate(*jackknife(both, radius), "Angstrom", f"the first minimum of {name}"),
    )


def _estimate(value: float, pseudo_values: Array, unit: str, what: str) -> Estimate:
    """Make the estimate of a statistic of block averages: its value, and the error from its pseudo-values."""
    return mean_of(pseudo_values - pseudo_values.mean() + value, unit=unit, what=what)
