"""Where equilibrium starts, in series that are in it from the first sample and in series that relax to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from synthetic_series import autoregressive, liquid_energy

from dp_sim.recipes.dynamics import estimators
from validation.check import Check


class Series(NamedTuple):
    """How to make one, and its statistical inefficiency."""

    make: Callable[[np.random.Generator, int], np.ndarray]
    inefficiency: float


SERIES = {
    "tau 5": Series(lambda rng, size: autoregressive(rng, size, 5.0), 10.0),
    "tau 20": Series(lambda rng, size: autoregressive(rng, size, 20.0), 40.0),
    "tau 50": Series(lambda rng, size: autoregressive(rng, size, 50.0), 100.0),
    "half white, half tau 25": Series(liquid_energy, 25.0),
}
#: Series with three independent samples (300 of tau 50) say nothing of equilibrium; recipes ask for 20.
ENOUGH = 20


class Found(NamedTuple):
    """Of many series, each with one value: the part cut, whether the rest is refused, and its mean."""

    cut: np.ndarray
    refused: np.ndarray
    mean: np.ndarray


def tried(series: Series, size: int, repeats: int, transient: Callable[[np.ndarray], np.ndarray]) -> Found:
    """Look for equilibration in many series: its end, whether they are refused, and the mean after it."""
    found = []
    for repeat in range(repeats):
        values = series.make(np.random.default_rng([9, repeat]), size) + transient(np.arange(size) / size)
        start = estimators.equilibration(values)
        used = values[start:]
        refused = start > estimators.LATEST_START * size or estimators.drifts(used)
        found.append((start / size, refused, used.mean()))
    return Found(*np.array(found).T)


def checks(scale: float) -> Iterator[Check]:
    """Check series without and with a transient."""
    yield from stationary(max(50, round(2000 * scale)))
    yield from relaxing(max(50, round(500 * scale)))


def stationary(repeats: int) -> Iterator[Check]:
    """Nothing is to be cut, and a drift to be seen in one of 100."""
    for name, series in SERIES.items():
        for size in (300, 600, 1200):
            found = tried(series, size, repeats, np.zeros_like)
            subject = f"stationary, {name}, {size} samples"
            enough = size >= ENOUGH * series.inefficiency
            cut, refused = 100 * found.cut.mean(), 100 * found.refused.mean()
            yield Check(subject, "cut", "% of the run", cut, 0.0, *((0.0, 8.0) if enough else ()))
            yield Check(subject, "not equilibrated", "% of the runs", refused, 1.0, *((0.0, 5.0) if enough else ()))


def relaxing(repeats: int) -> Iterator[Check]:
    """From `height` standard deviations off, exponentially.

    A relaxation over within the run is cut. One that is not is refused if it is strong; a weak one cannot be told from
    noise, and leaves a mean that is off by several of its errors.
    """
    size = 1200
    for name in ("tau 5", "tau 20", "half white, half tau 25"):
        error = np.sqrt(SERIES[name].inefficiency / size)
        for tau in (1 / 20, 1 / 10, 1 / 4, 1 / 2):
            for height in (1.0, 3.0, 5.0):
                found = tried(SERIES[name], size, repeats, lambda t, a=height, tau=tau: a * np.exp(-t / tau))  # type: ignore[misc]
                subject = f"{height:g} sigma, relaxing in {tau:g} of the run, {name}"
                over, strong = tau <= 1 / 10, height == 5.0
                refused = 100 * found.refused.mean()
                bounds = (0.0, 15.0) if over else (50.0, 100.0) if strong else ()
                yield Check(subject, "not equilibrated", "% of the runs", refused, 0.0 if over else 100.0, *bounds)
                off = float(found.mean[found.refused == 0].mean()) / error
                yield Check(subject, "left in the mean", "errors", off, 0.0, *((-0.5, 1.2) if over else ()))
