"""How well uncertainties hold: coverage of blocks left out of the fit, ranking, and reliability by size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray
from scipy.stats import spearmanr

from dp_sim.uncertainty.likelihood import STANDARD
from dp_sim.uncertainty.points import Points
from dp_sim.uncertainty.scale import LEVELS, Scale, fitted_scale

Array = NDArray[np.float64]
#: Bins of equal numbers of points in the reliability diagram, and the points that each holds at least.
BINS, POINTS_A_BIN = 10, 20
#: A rank correlation below this is none that one could choose frames by.
RANKS = 0.2
#: Intervals at 95 % that hold less than this share of a part of the points mislead there.
MISLEADING = 0.85


@dataclass(frozen=True)
class Measured:
    """A number, and its standard error from the scatter of its values on the blocks."""

    value: float
    error: float


@dataclass(frozen=True)
class Reliability:
    """How well the uncertainties of one kind hold.

    Attributes
    ----------
    points, frames, without_spread
        How many there are; those whose spread is zero by symmetry are not among the points.
    rmse
        Root mean square error of a component, eV/atom or eV/Angstrom.
    coverage
        For each of LEVELS, the share that the interval holds of the blocks left out of its fit; None where the frames
        are too few.
    standard_coverage
        The share within one standard uncertainty, in the same way; 68.3 % if the model of the likelihood were true.
    rank_correlation
        Spearman's, of spread and error.
    told, observed
        (B,) the diagram: in bins of the spread, the median standard uncertainty, and what holds 68.3 % of the errors.
    calibration_error
        Expected normalised calibration error: mean over the bins of |observed - told|/told (after Levi et al. 2022,
        with quantiles for root mean squares).
    by_element
        Element -> share that intervals at 95 % hold.
    useless
        Where the spread says nothing or misleads, as sentences.
    """

    points: int
    frames: int
    without_spread: int
    rmse: float
    coverage: tuple[Measured | None, ...]
    standard_coverage: Measured
    rank_correlation: Measured
    told: Array
    observed: Array
    calibration_error: float
    by_element: dict[str, float]
    useless: tuple[str, ...]


def assessed(points: Points, members: int | None, what: str) -> tuple[Scale, Reliability]:
    """Fit the scale on all blocks; measure coverage on each block with the scale of the others.

    Parameters
    ----------
    points
        Errors and spreads, none of them without spread, of two or more blocks.
    members
        As of `fitted_scale`.
    what
        What the points are, for the sentences: "energies", "force components".
    """
    scale = fitted_scale(points, members)
    blocks = np.unique(points.block)
    factor = np.empty(len(points.error))
    width = np.empty((len(points.error), len(LEVELS)))
    for block in blocks:
        left_out = points.block == block
        others = fitted_scale(points.chosen(~left_out), members)
        factor[left_out] = others.factor
        width[left_out] = [np.nan if one is None else one for one in others.intervals]
    scores = points.error / (factor * points.spread)
    coverage = tuple(None if np.isnan(bound).any() else _share(scores <= bound, points.block) for bound in width.T)
    ranks = _measured(lambda part: _rank_correlation(points.spread[part], points.error[part]), points.block)
    told, observed = _diagram(points, scale)
    held = scores <= width[:, -1]
    by_element = {
        chemical_symbols[z]: float(held[points.element == z].mean()) for z in np.unique(points.element) if z > 0
    }
    is_known = coverage[-1] is not None
    return scale, Reliability(
        len(points.error),
        points.frames,
        points.without_spread,
        float(np.sqrt(np.mean(np.square(points.error)) / points.components)),
        coverage,
        _share(scores <= 1.0, points.block),
        ranks,
        told,
        observed,
        float(np.mean(np.abs(observed - told) / told)),
        by_element if is_known else {},
        (*_unranked(ranks, what), *(_misleading(points, held, by_element, what) if is_known else ())),
    )


def _share(held: NDArray[np.bool_], block: NDArray[np.int64]) -> Measured:
    return _measured(lambda part: float(held[part].mean()), block)


def _measured(function: Callable[[NDArray[np.bool_]], float], block: NDArray[np.int64]) -> Measured:
    """Evaluate a function of points on all of them, and its error from its values on the blocks."""
    everything = np.ones(len(block), dtype=bool)
    parts = [function(block == one) for one in np.unique(block)]
    error = float(np.std(parts, ddof=1) / np.sqrt(len(parts)))
    return Measured(function(everything), error)


def _rank_correlation(spread: Array, error: Array) -> float:
    if len(spread) < 3 or np.ptp(spread) == 0 or np.ptp(error) == 0:
        return 0.0
    return float(spearmanr(spread, error).statistic)


def _diagram(points: Points, scale: Scale) -> tuple[Array, Array]:
    order = np.argsort(points.spread, kind="stable")
    bins = np.array_split(order, max(1, min(BINS, len(order) // POINTS_A_BIN)))
    told = [scale.factor * np.median(points.spread[one]) for one in bins]
    observed = [np.quantile(points.error[one], STANDARD) for one in bins]
    return np.array(told), np.array(observed)


def _unranked(ranks: Measured, what: str) -> Iterator[str]:
    if ranks.value < RANKS or ranks.value < 2 * ranks.error:
        yield (
            f"the spread does not tell larger from smaller errors of {what} (rank correlation {ranks.value:.2f} ± "
            f"{ranks.error:.2f}): one error bar for all of them says as much"
        )


def _misleading(points: Points, held: NDArray[np.bool_], by_element: dict[str, float], what: str) -> Iterator[str]:
    """Find the bins of the spread and the elements whose intervals at 95 % hold far less."""
    order = np.argsort(points.spread, kind="stable")
    for number, part in enumerate(np.array_split(order, 5)):
        if len(part) >= POINTS_A_BIN and held[part].mean() < MISLEADING:
            where = ("the smallest", "the second", "the middle", "the fourth", "the largest")[number]
            yield (
                f"where the spread of {what} is in {where} fifth, its 95 % intervals hold "
                f"{100 * held[part].mean():.0f} % only"
            )
    for element, share in by_element.items():
        if share < MISLEADING and np.count_nonzero(points.element == atomic_numbers[element]) >= POINTS_A_BIN:
            yield f"95 % intervals of {what} of {element} hold {100 * share:.0f} % only"
