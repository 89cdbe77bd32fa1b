"""Mean square displacements, and diffusion from them by generalised least squares.

The squared displacements of overlapping windows are strongly correlated, within one lag and between lags, so that an
ordinary straight line through them is neither efficient nor has it an honest error. Here:

1. The line MSD(t) = c + 2 d D t is fitted with the covariance that a random walk with noise gives to the MSD of
   overlapping windows (J. T. Bullerjahn, S. von Bülow and G. Hummer, J. Chem. Phys. 153, 024116 (2020); A. R.
   McCluskey, S. W. Coles and B. J. Morgan, J. Chem. Theory Comput. 21, 79 (2025)). That makes D a fixed linear
   combination of the MSDs, the best one for such a walk.
2. The same combination of the squared displacements from each time origin is a series in time whose average is D. Its
   error is that of any average of correlated samples here. So it holds where the carriers are not independent, too: the
   two hydrogens of a molecule, or ions that move together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dp_sim.recipes.analysis.series import mean_of, standard_errors
from dp_sim.recipes.analysis.trajectory.unwrapping import Paths
from dp_sim.recipes.results.quantities import Estimate

Array = NDArray[np.float64]
#: 1 Angstrom^2/ps in 10^-9 m^2/s.
PER_A2_PS = 10.0
UNIT = "10^-9 m^2/s"
#: The longest lag of a fit is this share of the trajectory, that of the plot this one.
FITTED, SHOWN = 1 / 20, 1 / 4
#: Lags of a plot, and of a fit.
LAGS_SHOWN, LAGS_FITTED = 60, 16
#: A motion counts as diffusive if the slope of log MSD against log t is 1 within this, or within twice its error (an
#: early offset c, which the fit allows for, keeps it from 1), ...
SLOPE_OFF = 0.15
#: ... if the slopes of MSD against t over the early and the late half of the lags differ by at most this share, or by
#: twice their error, ...
CURVATURE = 0.05
#: ... and if that error is at most this.
SLOPE_UNSURE = 0.1
#: The fit begins at so many times the first lag at which it counts as diffusive: these tolerances let it begin early,
#: and the early lags weigh most. Twice the time squares what is left of an exponential decay.
LATER = 2


@dataclass(frozen=True, kw_only=True)
class Displacements:
    """Mean square displacement and self-diffusion of one species.

    Attributes
    ----------
    species
        Element or formula.
    n_carriers
        Number of atoms or molecules.
    time_ps
        (K,) lags, ps.
    msd_A2
        (K,) mean square displacement, Angstrom^2.
    error_A2
        (K,) its standard error; None with too few frames.
    slope
        d log MSD / d log t over the fitted lags: 1 where the motion is diffusive.
    window_ps
        First and last lag of the fit, ps; None where there is none.
    diffusion
        D of the cell as simulated, 10^-9 m^2/s; withheld where the motion is not diffusive.
    """

    species: str
    n_carriers: int
    time_ps: Array
    msd_A2: Array
    error_A2: Array | None
    slope: Estimate
    window_ps: tuple[float, float] | None
    diffusion: Estimate


def displacements(paths: Paths, species: str) -> Displacements:
    """Compute the MSD of one species and fit its diffusion coefficient."""
    positions = paths.positions[:, paths.species == species]
    n_frames = len(positions)
    shown = lags_up_to(max(1, int(n_frames * SHOWN)), LAGS_SHOWN)
    squared = [squared_displacements(positions, lag) for lag in shown]
    longest = len(squared[-1])
    errors = standard_errors(np.stack([one[:longest] for one in squared], axis=1))
    slope, window, diffusion = _fit(positions, paths.frame_ps, species)
    return Displacements(
        species=species,
        n_carriers=positions.shape[1],
        time_ps=np.asarray(shown * paths.frame_ps, dtype=np.float64),
        msd_A2=np.array([one.mean() for one in squared]),
        error_A2=errors,
        slope=slope,
        window_ps=window,
        diffusion=diffusion,
    )


def withheld(found: Displacements, cause: str) -> Displacements:
    """Keep the MSD as it is, without a diffusion coefficient."""
    return replace(found, window_ps=None, diffusion=Estimate.withheld(UNIT, cause))


def lags_up_to(longest: int, most: int) -> NDArray[np.int64]:
    """Return whole-number lags from 1 to `longest`, evenly spaced on a logarithmic axis, at most `most`."""
    return np.unique(np.round(np.geomspace(1, longest, most)).astype(np.int64))


def squared_displacements(positions: Array, lag: int) -> Array:
    """Return |r(n + lag) - r(n)|^2 averaged over carriers, (S - lag,) Angstrom^2, for each time origin n."""
    found = np.empty(len(positions) - lag)
    rows = max(1, 2_000_000 // max(1, positions[0].size))  # a piece at a time: positions may lie in a file
    for start in range(0, len(found), rows):
        stop = min(start + rows, len(found))
        step = positions[start + lag : stop + lag] - positions[start:stop]
        found[start:stop] = np.einsum("smx,smx->s", step, step) / positions.shape[1]
    return found


def walk_covariance(lags: NDArray[np.int64], n_frames: int, offset: float, step: float) -> Array:
    """Return the covariance of MSDs of overlapping windows for one walker in one dimension, (K, K).

    For a Gaussian process with stationary increments and m(k) = <(x_{n+k} - x_n)^2>,

        Cov(x_{n+i} - x_n, x_{l+j} - x_l) = [m(n+i-l) + m(l+j-n) - m(n-l) - m(n+i-l-j)] / 2,

    and the squares have twice its square as covariance (Wick); their average over all n and l is this covariance.

    Parameters
    ----------
    lags
        (K,) in frames.
    n_frames
        Length of the walk.
    offset, step
        m(k) = offset + step k for k > 0: noise of the positions, and the mean square of one step.
    """

    def m(k: Array) -> Array:
        return np.where(k == 0, 0.0, offset + step * np.abs(k))

    found = np.empty((len(lags), len(lags)))
    for a, i in enumerate(lags):
        for b, j in enumerate(lags[: a + 1]):
            n_i, n_j = n_frames - i, n_frames - j
            apart = np.arange(-(n_j - 1), n_i)  # n - l
            # Number of pairs (n, l) with this difference, 0 <= n < n_i, 0 <= l < n_j.
            count = np.minimum(n_i, n_j + apart) - np.maximum(0, apart)
            covariance = (m(apart + i) + m(apart - j) - m(apart) - m(apart + i - j)) / 2
            found[a, b] = found[b, a] = 2 * float(count @ covariance**2) / (n_i * n_j)
    return found


def line_weights(lags: NDArray[np.int64], n_frames: int, msd: Array) -> tuple[Array, Array]:
    """Return the weights with which MSDs (K,) give intercept and slope of the best line: GLS, each (K,).

    The covariance's own offset and step come from an ordinary line, the offset being at least 0.
    """
    step, offset = np.polyfit(lags, msd, 1)
    scale = max(step, 1e-12 * abs(msd).max(), 1e-300)
    covariance = walk_covariance(lags, n_frames, max(0.0, offset / scale), 1.0)
    design = np.stack([np.ones(len(lags)), lags.astype(np.float64)], axis=1)
    weighted = np.linalg.solve(covariance, design)
    intercept, slope = np.linalg.solve(design.T @ weighted, weighted.T)
    return intercept, slope


def _fit(positions: Array, frame_ps: float, species: str) -> tuple[Estimate, tuple[float, float] | None, Estimate]:
    """Find the first lags at which the motion is diffusive, and fit D there: slope of the logarithms, window, D."""
    n_frames, longest = len(positions), int(len(positions) * FITTED)
    latest = longest // 4
    starts = lags_up_to(latest, 24) if longest >= 8 else np.array([], dtype=np.int64)
    slope = Estimate.withheld(
        "", f"{n_frames} frames are too few for diffusion, at least {round(8 / FITTED)} are needed"
    )
    for start in starts:
        lags, each = _window(positions, int(start), longest)
        msd = each.mean(axis=0)
        if not msd.all():
            return slope, None, Estimate.withheld(UNIT, f"{species} does not move")
        slope = _log_slope(lags, each, msd, species, frame_ps)
        if slope.value is None or slope.error is None or slope.error > SLOPE_UNSURE:
            break
        if abs(slope.value - 1) <= max(SLOPE_OFF, 2 * slope.error) and _is_straight(lags, each, msd, n_frames):
            lags, each = _window(positions, min(LATER * int(start), latest), longest)
            _, weights = line_weights(lags, n_frames, each.mean(axis=0))
            series = each @ weights * (PER_A2_PS / (6 * frame_ps))
            diffusion = mean_of(series, unit=UNIT, what=f"the displacements of {species}", spacing_ps=frame_ps)
            return slope, (float(lags[0] * frame_ps), float(lags[-1] * frame_ps)), diffusion
    return slope, None, Estimate.withheld(UNIT, _why_not(slope, species, longest * frame_ps))


def _window(positions: Array, start: int, longest: int) -> tuple[NDArray[np.int64], Array]:
    """Choose lags (K,) from `start` on, and compute squared displacements (S, K), of as many time origins for each."""
    stop = min(longest, max(10 * start, start + 6))
    lags = np.unique(np.round(np.geomspace(start, stop, LAGS_FITTED)).astype(np.int64))
    each = [squared_displacements(positions, lag)[: len(positions) - stop] for lag in lags]
    return lags, np.stack(each, axis=1)


def _log_slope(lags: NDArray[np.int64], each: Array, msd: Array, species: str, frame_ps: float) -> Estimate:
    """Estimate d log MSD / d log t over some lags, from the squared displacements (S, K) of each time origin."""
    x = np.log(lags) - np.log(lags).mean()
    weights = x / (x @ x)
    value = float(weights @ np.log(msd))
    influence = (each / msd - 1) @ weights
    return mean_of(value + influence, unit="", what=f"the displacements of {species}", spacing_ps=frame_ps)


def _is_straight(lags: NDArray[np.int64], each: Array, msd: Array, n_frames: int) -> bool:
    """Tell whether the MSD rises as fast in the late half of the lags as in the early half."""
    half = len(lags) // 2
    if half < 3:
        return True
    _, early = line_weights(lags[:half], n_frames, msd[:half])
    _, late = line_weights(lags[half:], n_frames, msd[half:])
    change = each[:, half:] @ late - each[:, :half] @ early
    errors = standard_errors(change[:, None])
    assert errors is not None
    return bool(abs(change.mean()) <= max(CURVATURE * (late @ msd[half:]), 2 * errors[0]))


def _why_not(slope: Estimate, species: str, longest_ps: float) -> str:
    """Say why there is no diffusion coefficient."""
    if slope.value is None or slope.error is None:
        return slope.cause
    seen = f"the slope of log MSD(t) is {slope.value:.2f} ± {slope.error:.2f} up to lags of {longest_ps:.3g} ps"
    if slope.error > SLOPE_UNSURE:
        needed = math.ceil((slope.error / SLOPE_UNSURE) ** 2)
        return f"whether {species} diffuses cannot be told: {seen}; run about {needed} times as long"
    if slope.value < 0.3:
        return f"{species} does not diffuse: {seen} (a solid, or a cage)"
    kind = "still faster than diffusion (ballistic)" if slope.value > 1 else "slower than diffusion (a cage, hops)"
    return f"the motion of {species} is {kind}: {seen} and would be 1; run longer"
