"""Green-Kubo integrals with errors, and where they may be cut.

For a stationary series x(t) the integral of its autocorrelation up to t,

    I(t) = int_0^t <x(0) x(s)> ds = < x(n) [X(n + t) - X(n)] >,      X the running integral of x,

is an average over time origins n. So its error is that of any average of correlated samples here, at each t, and that
of the difference of two t as well. The noise of I grows with t while the signal has ended: it is cut at the first t
from which on I stays the same, within twice the error of the difference, up to a multiple of t. Twice that t is taken:
noise lets the plateau begin early, and twice the time squares what is left of an exponential decay. (The advice of E.
J. Maginn et al., Living J. Comp. Mol. Sci. 1, 6324 (2019), made a rule.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_sim.recipes.analysis.series import mean_of, standard_errors
from dp_sim.recipes.results.quantities import Estimate

Array = NDArray[np.float64]
#: The integral goes at most to this share of the series.
LONGEST = 1 / 10
#: It must stay the same from the cut to so many times the cut, and a cut is sought up to the longest lag over it.
PLATEAU = 3.0
#: Lags at which the integral is computed.
LAGS = 48


@dataclass(frozen=True, kw_only=True)
class GreenKubo:
    """A Green-Kubo integral.

    Attributes
    ----------
    time_ps
        (K,) upper limits, ps.
    integral
        (K,) in the unit of `value`.
    error
        (K,) its standard error; None with too few samples.
    cut_ps
        Where it was cut, ps; None where it has no plateau.
    value
        The integral at the cut; withheld where there is none.
    """

    time_ps: Array
    integral: Array
    error: Array | None
    cut_ps: float | None
    value: Estimate


def integrate(
    products: Callable[[int], Array], n_samples: int, spacing_ps: float, scale: float, *, unit: str, what: str
) -> GreenKubo:
    """Integrate, find the plateau, and estimate its height.

    Parameters
    ----------
    products
        Takes a lag in samples and returns x(n) [X(n + lag) - X(n)] averaged over components and particles, one value
        for each of the first n_samples - lag time origins.
    n_samples
        Length of the series.
    spacing_ps
        Time between two samples, ps.
    scale
        Factor from the products to `unit`.
    unit, what
        Unit and name of the value.
    """
    longest = int(n_samples * LONGEST)
    if longest < 2 * PLATEAU:
        needed = int(np.ceil(2 * PLATEAU / LONGEST))
        cause = f"{n_samples} samples of {what} are too few, at least {needed} are needed"
        return GreenKubo(
            time_ps=np.array([]), integral=np.array([]), error=None, cut_ps=None, value=Estimate.withheld(unit, cause)
        )
    lags = np.unique(np.round(np.geomspace(1, longest, LAGS)).astype(np.int64))
    each = scale * np.stack([products(int(lag))[: n_samples - longest] for lag in lags], axis=1)
    integral = each.mean(axis=0)
    cut = _plateau(lags, each, integral)
    if cut is None:
        value = Estimate.withheld(
            unit,
            f"the Green-Kubo integral of {what} has no plateau up to {longest * spacing_ps:.3g} ps, a tenth of the "
            "run: run longer",
        )
    else:
        value = mean_of(each[:, cut], unit=unit, what=what, spacing_ps=spacing_ps)
    return GreenKubo(
        time_ps=np.asarray(lags * spacing_ps, dtype=np.float64),
        integral=integral,
        error=standard_errors(each),
        cut_ps=None if cut is None else float(lags[cut] * spacing_ps),
        value=value,
    )


def _plateau(lags: NDArray[np.int64], each: Array, integral: Array) -> int | None:
    """Find twice the first lag from which on the integral stays the same; None where there is none.

    It must have risen out of its noise by then, and what comes after must be seen for PLATEAU times as long.
    """
    for cut in range(len(lags)):
        after = np.flatnonzero((lags > lags[cut]) & (lags <= PLATEAU * lags[cut]))
        if lags[cut] * PLATEAU > lags[-1] or len(after) < 3:
            continue
        differences = each[:, after] - each[:, [cut]]
        errors, own = standard_errors(differences), standard_errors(each[:, [cut]])
        if errors is None or own is None:
            return None
        if integral[cut] > 2 * own[0] and (np.abs(differences.mean(axis=0)) <= 2 * errors).all():
            return int(np.argmin(np.abs(lags - 2 * lags[cut])))
    return None
