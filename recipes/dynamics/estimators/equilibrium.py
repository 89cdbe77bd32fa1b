"""Where a run is in equilibrium: the part that relaxes towards it, and drifts that remain."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student_t

from dp_sim.recipes.dynamics.estimators.correlation import FEWEST_COSINES, Samples, cosine_power, is_constant

#: Samples below which nothing can be said of equilibrium.
LEAST_JUDGED = 20
#: A run whose equilibration takes up more than this fraction of it is not equilibrated.
LATEST_START = 1 / 2
#: Chance that a run in equilibrium is said to drift.
DRIFT_LEVEL = 0.01


def equilibration(*series: Samples) -> int:
    """Find the first sample at which every one of the series is equilibrated.

    For each series, twice the cut d that leaves the smallest marginal standard error, Var(x_d, ..., x_N) / (N - d)
    (MSER: K. P. White, Simulation 69, 323 (1997)). The variance is known well even from few independent samples, so
    noise seldom moves this cut. The number of independent samples itself is not: the start that leaves most of them
    (J. Chodera, J. Chem. Theory Comput. 12, 1799 (2016)) falls into the last third of one in three stationary series
    of 600 samples that are half white noise, half a mode of 25 samples.

    MSER cuts where a relaxation sinks into the noise of single samples, which is above that of their mean: early, as
    F. Clark, D. J. Cole and J. Michel find too (J. Chem. Theory Comput. 2024, doi:10.1021/acs.jctc.4c01359). Cutting
    twice as much squares the share exp(-d / tau) that is left of an exponential relaxation. Slower relaxations show in
    a start after LATEST_START of the run, or in `drifts`. With fewer samples than LEAST_JUDGED the start is the first.
    """
    return max((_start(values) for values in series if _long_enough(values)), default=0)


def _start(values: Samples) -> int:
    # About the mean of the part that is never cut, so that a start far off does not cost the rest its digits.
    centred = (values - values[values.size // 2 :].mean())[::-1]
    left = np.arange(1, values.size + 1)
    squares = np.cumsum(centred**2) - np.cumsum(centred) ** 2 / left
    marginal_error = (squares / left**2)[::-1]
    cut = int(np.argmin(marginal_error[: values.size // 2 + 1]))
    return min(2 * cut, values.size - 1)


def drifts(values: Samples) -> bool:
    """Tell whether a series has a trend that correlated noise explains once in 100 times.

    The slowest cosine, half a period over the series, against the eight above it: in equilibrium all have the same
    variance, so that the ratio follows Student's t (`correlation.py`).
    """
    if not _long_enough(values):
        return False
    slowest, *others = cosine_power(values)[: FEWEST_COSINES + 1]
    return bool(slowest > float(student_t.ppf(1 - DRIFT_LEVEL / 2, FEWEST_COSINES)) ** 2 * np.mean(others))


def _long_enough(values: Samples) -> bool:
    return values.size >= LEAST_JUDGED and not is_constant(values)
