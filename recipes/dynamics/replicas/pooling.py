"""One result from replicas: their equilibrated parts as one series, and whether they agree within their errors.

Pooled estimates come from all samples at once: a variance is taken about the mean of all of them, with the correction
for correlated samples of the whole series, and not as the mean of variances about means of their own, each too small by
its share 1 / n_effective. Joints between replicas only cut correlations short.

Agreement is an F test of the means x_k of K replicas with standard errors s_k, each from `FEWEST_COSINES` nu
coefficients of a cosine transform at least:

    F = K / (K - 1) sum_k (x_k - <x>)^2 / sum_k s_k^2 ~ F(K - 1, K nu)

for replicas of one length. Where it is too large the replicas sample different parts of phase space, and the error
within each of them is not the error of the average.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import f as f_distribution

from dp_sim.recipes.dynamics import estimators
from dp_sim.recipes.dynamics.loop import Recorded
from dp_sim.recipes.dynamics.run_files import Row, column

if TYPE_CHECKING:
    from dp_sim.recipes.dynamics.result import DynamicsResult

#: Chance that replicas of one equilibrium are said to disagree.
DISAGREEMENT_LEVEL = 0.005
#: Columns whose means are compared, and their names in words.
COMPARED = {"potential_eV": "potential energy", "density_g_cm3": "density"}
#: Relative spread of what is constant, written with twelve digits.
ROUNDING = 1e-10


@dataclass(frozen=True)
class Agreement:
    """The means of one quantity in the replicas.

    Attributes
    ----------
    what
        Its name in words.
    means, errors
        (K,) mean of each replica, and its standard error from the fluctuations within.
    between_error
        Standard error of the mean of all, from the scatter between them.
    within_error
        The same from the errors within.
    probability
        Of a scatter so large or larger, were all samples of one equilibrium.
    """

    what: str
    means: tuple[float, ...]
    errors: tuple[float, ...]
    between_error: float
    within_error: float
    probability: float

    @property
    def disagrees(self) -> str:
        """Say that the replicas are not of one equilibrium; empty where they may be."""
        if self.probability >= DISAGREEMENT_LEVEL:
            return ""
        times = self.between_error / self.within_error
        return (
            f"the replicas disagree about the {self.what}, whose means scatter {times:.1f} times as much as their "
            f"errors say (p = {self.probability:.1g}): each stays in a part of what there is to sample; run longer, or "
            "equilibrate from other structures"
        )


def agreement(name: str, parts: Sequence[Sequence[Row]]) -> Agreement | None:
    """Compare the replicas in one column.

    None where the run does not have it or holds it constant (the density at constant volume, but for rounding), or a
    part is too short to judge.
    """
    if any(len(rows) < estimators.LEAST_JUDGED or getattr(rows[0], name) is None for rows in parts):
        return None
    series = [column(list(rows), name) for rows in parts]
    whole = np.concatenate(series)
    if np.ptp(whole) <= ROUNDING * np.abs(whole).max():
        return None
    means = np.array([values.mean() for values in series])
    errors = np.array([estimators.standard_error(values) for values in series])
    count, within = len(series), float((errors**2).mean())
    ratio = float(means.var(ddof=1)) / within if within > 0 else 0.0
    probability = float(f_distribution.sf(ratio, count - 1, count * estimators.FEWEST_COSINES))
    return Agreement(
        COMPARED[name],
        tuple(means.tolist()),
        tuple(errors.tolist()),
        float(means.std(ddof=1)) / math.sqrt(count),
        math.sqrt(within / count),
        probability,
    )


def equilibrated_parts(results: Sequence[DynamicsResult]) -> list[list[Row]]:
    """Return the rows of each replica that count."""
    return [result.rows[result.production_start :] for result in results]


def pooled(results: Sequence[DynamicsResult], sample_every: int) -> Recorded:
    """Put the equilibrated parts one after the other, with steps and times that go on.

    A replica without numbers (unstable, not equilibrated) leaves the pool without: its part of phase space is missing.
    """
    first = results[0]
    unusable = [f"replica {n}: {one.unusable}" for n, one in enumerate(results, start=1) if one.unusable]
    stages = first.stages
    if unusable:
        return Recorded([], first.atoms, first.degrees_of_freedom, stopped=unusable[0], stages=stages)
    rows: list[Row] = []
    for part in equilibrated_parts(results):
        for row in part:
            step = len(rows) * sample_every
            rows.append(row._replace(step=step, time_ps=step * first.timestep_fs / 1000.0))
    return Recorded(rows, first.atoms, first.degrees_of_freedom, stopped="", stages=stages, pooled=True)
