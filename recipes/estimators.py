"""Averages and fluctuations of correlated samples, each with an honest interval, or withheld with the cause.

One route for every estimate. Let theta(samples) be the estimate and psi_n its influence values: the first-order
change of theta when sample n gains weight, `psi_n = N d(theta)/d(weight_n)` (the infinitesimal jackknife: B. Efron,
*The Jackknife, the Bootstrap and Other Resampling Plans*, SIAM 1982, ch. 6). They have mean zero, and theta - <theta>
is their average to first order, so with the statistical inefficiency g of the series psi_n (J. Chodera et al., J.
Chem. Theory Comput. 3, 26 (2007), eq. 20-28)

    standard error^2 = Var(psi) g / N,        n_effective = N / g.

It is the inefficiency of psi that counts, not that of the samples: squared deviations forget at their own pace.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from scipy.stats import t as student_t

from dp_sim.recipes.results import Estimate
from dp_sim.units import EV_PER_A3_IN_GPA, KB_EV_PER_K

Samples = NDArray[np.float64]

#: Independent samples below which an average is withheld: Student's t still covers (tests/recipes/test_estimators.py
#: measures it).
NEEDED_FOR_MEAN = 10
#: The same for a variance or covariance, whose own error must itself be known: 50 give a relative standard error of
#: about 20 %.
NEEDED_FOR_FLUCTUATION = 50
#: Fewest blocks, and so fewest samples, from which a statistical inefficiency is taken.
FEWEST_BLOCKS = 16
#: The autocorrelation of more samples than these takes too long; blocks of them serve as well.
MOST_BLOCKS = 20_000
#: A run whose equilibration takes up more than this fraction of it is not equilibrated: a steady drift looks like that.
LATEST_START = 2 / 3


@cache
def _timeseries() -> ModuleType:
    """`pymbar.timeseries`, imported when first needed (a second) and without its banner about JAX."""
    logger = logging.getLogger("pymbar")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        from pymbar import timeseries
    finally:
        logger.setLevel(level)
    return timeseries


def equilibration(*series: Samples) -> int:
    """Index of the first sample at which every one of the series is equilibrated.

    For each, the start that leaves most independent samples (J. Chodera, J. Chem. Theory Comput. 12, 1799 (2016));
    the latest counts.
    """
    starts = [0]
    for values in series:
        if values.size > FEWEST_BLOCKS and not _is_constant(values):
            start, _, _ = _timeseries().detect_equilibration(values, fast=True, nskip=max(1, values.size // 100))
            starts.append(int(start))
    return max(starts)


def statistical_inefficiency(values: Samples) -> float:
    """g = 1 + 2 tau: how many successive samples are worth one independent sample.

    `pymbar` sums the autocorrelation up to its first zero. The energy of a vibrating system touches zero at every
    quarter period long before its envelope has decayed (C(t) ~ exp(-gamma t) cos^2(omega t)), and the sum then stops
    far too early. So g is taken from block averages as well, which do not see the vibration: with blocks of B samples
    of variance s_B^2, g = B (s_B^2 / s^2) g_B holds for every B (H. Flyvbjerg and H. G. Petersen, J. Chem. Phys. 91,
    461 (1989)). The largest over B = 1, 4, 16, ... is returned, up to sqrt(N): coarser blocks are too few to tell.
    """
    variance = values.var()
    inefficiency, size = 1.0, 1 + values.size // MOST_BLOCKS
    while values.size // size >= max(FEWEST_BLOCKS, math.sqrt(values.size)):
        count = values.size // size
        blocks = values[values.size - count * size :].reshape(count, size).mean(axis=1)
        if not _is_constant(blocks):
            of_blocks = _timeseries().statistical_inefficiency(blocks)
            inefficiency = max(inefficiency, size * float(blocks.var() / variance) * float(of_blocks))
        size *= 4
    return min(inefficiency, float(values.size))


def mean(values: Samples, *, unit: str, what: str, steps_per_sample: int) -> Estimate:
    """The average with Student's interval. `what` names the quantity in the cause if it must be withheld."""
    average = float(values.mean())
    return _estimate(average, values - average, unit, what, steps_per_sample, NEEDED_FOR_MEAN, _student_interval)


def heat_capacity(
    energy_eV: Samples,
    temperature_K: float,
    *,
    degrees_of_freedom: int,
    divide_by: int = 1,
    what: str,
    steps_per_sample: int,
) -> Estimate:
    """C = Var(U) / (k_B T^2) + f k_B / 2, in k_B, for the configurational energy (or enthalpy U + pV) U of each sample.

    In the canonical ensemble momenta and positions are independent, so Var(E) = Var(U) + Var(K), and the momenta are
    Gaussian, so Var(K) = f (k_B T)^2 / 2 exactly (M. P. Allen and D. J. Tildesley, *Computer Simulation of Liquids*,
    2nd ed., eq. 2.82-2.83). The kinetic half is known and is not estimated: that halves the noise and keeps the time
    step's error in K out of the result. `degrees_of_freedom` f counts every momentum that the thermostat drives.
    `divide_by` gives the value per atom.
    """
    kT = KB_EV_PER_K * temperature_K
    variance, influence = _variance(energy_eV)
    kinetic = degrees_of_freedom / 2 / divide_by
    scale = kT**-2 / divide_by
    unit = "k_B" if divide_by == 1 else "k_B/atom"
    return _estimate(
        scale * variance + kinetic,
        scale * influence,
        unit,
        what,
        steps_per_sample,
        NEEDED_FOR_FLUCTUATION,
        lambda value, error, n: _shifted(_chi_square_interval(value - kinetic, error, n), kinetic),
    )


def compressibility(volume_A3: Samples, temperature_K: float, *, steps_per_sample: int) -> Estimate:
    """kappa_T = Var(V) / (k_B T <V>), in 1/GPa (Allen and Tildesley, eq. 2.89)."""
    per_GPa = 1 / (KB_EV_PER_K * temperature_K * EV_PER_A3_IN_GPA)
    variance, influence = _variance(volume_A3)
    average = float(volume_A3.mean())
    influence = (influence - variance / average * (volume_A3 - average)) / average  # derivative of the ratio
    return _estimate(
        per_GPa * variance / average,
        per_GPa * influence,
        "1/GPa",
        "the volume's fluctuations",
        steps_per_sample,
        NEEDED_FOR_FLUCTUATION,
        _chi_square_interval,
    )


def thermal_expansion(
    volume_A3: Samples, configurational_enthalpy_eV: Samples, temperature_K: float, *, steps_per_sample: int
) -> Estimate:
    """alpha_p = Cov(V, H) / (k_B T^2 <V>), in 1/K (Allen and Tildesley, eq. 2.91).

    H = U + pV without the kinetic energy, which is independent of the volume and adds nothing but noise to the
    covariance.
    """
    per_kT2 = 1 / (KB_EV_PER_K * temperature_K**2)
    average = float(volume_A3.mean())
    volume_deviation = volume_A3 - average
    covariance, influence = _covariance(volume_A3, configurational_enthalpy_eV)
    influence = (influence - covariance / average * volume_deviation) / average
    return _estimate(
        per_kT2 * covariance / average,
        per_kT2 * influence,
        "1/K",
        "the fluctuations of volume and enthalpy",
        steps_per_sample,
        NEEDED_FOR_FLUCTUATION,
        _student_interval,
    )


def slope(time: Samples, values: Samples, *, unit: str, what: str, steps_per_sample: int) -> Estimate:
    """Least-squares slope of values against time; the residuals may be correlated."""
    centred = time - time.mean()
    spread = float((centred**2).mean())
    gradient = float((centred * values).mean()) / spread
    residuals = values - values.mean() - gradient * centred
    return _estimate(
        gradient, centred * residuals / spread, unit, what, steps_per_sample, NEEDED_FOR_MEAN, _student_interval
    )


def _variance(values: Samples) -> tuple[float, Samples]:
    return _covariance(values, values)


def _covariance(first: Samples, second: Samples) -> tuple[float, Samples]:
    """Unbiased covariance of correlated samples, and its influence values.

    Deviations from the sample mean are too small by its own variance s^2 g / N; dividing by 1 - g / N undoes that.
    """
    products = (first - first.mean()) * (second - second.mean())
    covariance = float(products.mean())
    influence = products - covariance
    if _is_constant(first) or _is_constant(second):
        return 0.0, np.zeros_like(first)
    inefficiency = max(statistical_inefficiency(first), statistical_inefficiency(second))
    # A run this correlated is withheld below; the bound only keeps the division finite.
    unbias = 1 / (1 - min(inefficiency / first.size, 0.5))
    return unbias * covariance, unbias * influence


_Interval = Callable[[float, float, float], tuple[float, float]]


def _estimate(
    value: float,
    influence: Samples,
    unit: str,
    what: str,
    steps_per_sample: int,
    needed: int,
    interval: _Interval,
) -> Estimate:
    size = influence.size
    if size < FEWEST_BLOCKS:
        missing = (max(needed, FEWEST_BLOCKS) - size) * steps_per_sample
        cause = (
            f"the run holds {size} samples of {what} after equilibration and at least "
            f"{max(needed, FEWEST_BLOCKS)} are needed: run at least {_rounded_up(missing)} steps more"
        )
        return Estimate.withheld(unit, cause, float(size))
    if _is_constant_zero(influence, value):
        return Estimate(value, 0.0, (value, value), float(size), unit)
    inefficiency = statistical_inefficiency(influence)
    n_effective = size / inefficiency
    if n_effective < needed:
        missing = math.ceil((needed * inefficiency - size) * steps_per_sample)
        cause = (
            f"the run holds about {n_effective:.0f} independent samples of {what} after equilibration "
            f"and {needed} are needed: run about {_rounded_up(missing)} steps more"
        )
        return Estimate.withheld(unit, cause, n_effective)
    error = math.sqrt(float(influence.var()) * inefficiency / size)
    low, high = interval(value, error, n_effective)
    return Estimate(value, error, (low, high), n_effective, unit)


def _student_interval(value: float, error: float, n_effective: float) -> tuple[float, float]:
    half_width = float(student_t.ppf(0.975, max(n_effective - 1, 1))) * error
    return value - half_width, value + half_width


def _chi_square_interval(variance: float, error: float, n_effective: float) -> tuple[float, float]:
    """Interval of a variance, which is positive and skewed: chi^2 with nu = 2 (variance / error)^2."""
    nu = 2 * (variance / error) ** 2
    return nu * variance / float(chi2.ppf(0.975, nu)), nu * variance / float(chi2.ppf(0.025, nu))


def _shifted(interval: tuple[float, float], by: float) -> tuple[float, float]:
    return interval[0] + by, interval[1] + by


def _is_constant(values: Samples) -> bool:
    """Whether the values differ by rounding only."""
    return bool(np.ptp(values) <= 1e-12 * max(float(np.abs(values).max()), 1e-300))


def _is_constant_zero(influence: Samples, value: float) -> bool:
    return bool(np.abs(influence).max() <= 1e-12 * max(abs(value), 1e-300))


def _rounded_up(steps: int) -> str:
    """Two significant figures are all that such a forecast is worth."""
    digits = 10 ** max(0, len(str(steps)) - 2)
    return f"{math.ceil(steps / digits) * digits:,}"
