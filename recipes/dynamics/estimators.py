"""Averages and fluctuations of correlated samples, each with an honest interval, or withheld with the cause.

One route for every estimate. Let theta(samples) be the estimate and psi_n its influence values: the first-order
change of theta when sample n gains weight, `psi_n = N d(theta)/d(weight_n)` (the infinitesimal jackknife: B. Efron,
*The Jackknife, the Bootstrap and Other Resampling Plans*, SIAM 1982, ch. 6). They have mean zero, and theta - <theta>
is their average to first order. Its variance is S / N, where S, the sum of the autocovariance of psi over all lags, is
the spectral density of psi at zero frequency. With the statistical inefficiency g = S / Var(psi)

    standard error^2 = S / N = Var(psi) g / N,        n_effective = N / g.

It is the inefficiency of psi that counts, not that of the samples: squared deviations have another correlation time.

S is the mean square of the lowest nu coefficients of the cosine transform of psi. They are independent and each of
variance S if the correlation time of psi is shorter than the period of the fastest of them. So the error has nu degrees
of freedom, and the interval is Student's (E. Lazarus, D. J. Lewis, J. H. Stock and M. W. Watson, J. Bus. Econ. Stat.
36, 541 (2018); low frequencies for S: P. Heidelberger and P. D. Welch, Commun. ACM 24, 233 (1981)). No sum over noisy
lags has to be cut off, and vibrations lie at higher frequencies than all of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.stats import chi2, norm
from scipy.stats import t as student_t

from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import EV_PER_A3_IN_GPA, KB_EV_PER_K

Samples = NDArray[np.float64]

#: Independent samples below which an average is withheld.
NEEDED_FOR_MEAN = 20
#: Independent samples of a quantity below which its fluctuations are withheld: they depend on its slowest motion.
NEEDED_OF_FLUCTUATING = 30
#: Independent squared (or mixed) deviations below which a variance or covariance is withheld: 50 give a relative
#: standard error of about 20 %. At the least of samples intervals hold the truth in 87 to 91 of 100 runs, at twice as
#: many in 91 to 96: benchmarks/validation/intervals.py.
NEEDED_FOR_FLUCTUATION = 50
#: Cosines that the spectral density at zero frequency is computed from: eight, or one for so many independent samples
#: where that is more. So few lie below the width of the slowest mode, even if it hides under faster noise.
FEWEST_COSINES = 8
SAMPLES_PER_COSINE = 16
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
    a start after LATEST_START of the run, or in `drifts`. With fewer samples than NEEDED_FOR_MEAN nothing can be said:
    the start is the first.
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
    variance, so that the ratio follows Student's t (the module's docstring).
    """
    if not _long_enough(values):
        return False
    slowest, *others = _cosine_power(values)[: FEWEST_COSINES + 1]
    return bool(slowest > float(student_t.ppf(1 - DRIFT_LEVEL / 2, FEWEST_COSINES)) ** 2 * np.mean(others))


def _long_enough(values: Samples) -> bool:
    return values.size >= NEEDED_FOR_MEAN and not _is_constant(values)


def statistical_inefficiency(values: Samples) -> float:
    """Estimate g = 1 + 2 tau, the number of successive samples worth one independent one, at most all of them."""
    density, _ = _zero_frequency_density(values)
    return float(np.clip(density / values.var(), 1.0, values.size))


def standard_error(influence: Samples) -> float:
    """Estimate the standard error of an estimate with these influence values, or of the average of these values."""
    density, _ = _zero_frequency_density(influence)
    return math.sqrt(density / influence.size)


def _cosine_power(values: Samples) -> Samples:
    """Square the coefficients of the orthonormal cosine transform, from the slowest cosine up, without the mean."""
    return np.asarray(dct(values - values.mean(), norm="ortho")[1:] ** 2)


def _zero_frequency_density(values: Samples) -> tuple[float, int]:
    """Estimate the spectral density at zero frequency, sum over t of <x(0) x(t)>; give the number of cosines too."""
    power = _cosine_power(values)
    rough = max(float(power[:FEWEST_COSINES].mean()), float(np.finfo(np.float64).tiny))
    independent = values.size * min(1.0, float(values.var()) / rough)
    cosines = max(FEWEST_COSINES, int(independent / SAMPLES_PER_COSINE))
    return float(power[:cosines].mean()), cosines


def mean(values: Samples, *, unit: str, what: str, steps_per_sample: int) -> Estimate:
    """Estimate the average, with Student's interval.

    Parameters
    ----------
    values
        The samples.
    unit
        Of the values.
    what
        The quantity's name, for the cause if the estimate must be withheld.
    steps_per_sample
        For the number of steps that a longer run would take.
    """
    average = float(values.mean())
    need = _Requirement(what, values, NEEDED_FOR_MEAN)
    return _estimate(average, values - average, unit, _student_interval, steps_per_sample, need)


def heat_capacity(
    energy_eV: Samples,
    temperature_K: float,
    *,
    degrees_of_freedom: int,
    divide_by: int = 1,
    what: str,
    steps_per_sample: int,
) -> Estimate:
    """Estimate C = Var(U) / (k_B T^2) + f k_B / 2, in k_B, from the configurational energy (or enthalpy U + pV) U.

    In the canonical ensemble momenta and positions are independent, so Var(E) = Var(U) + Var(K), and the momenta are
    Gaussian, so Var(K) = f (k_B T)^2 / 2 exactly (M. P. Allen and D. J. Tildesley, *Computer Simulation of Liquids*,
    2nd ed., eq. 2.82-2.83). The kinetic half is known and is not estimated: that halves the noise and keeps the time
    step's error in K out of the result.

    Parameters
    ----------
    energy_eV
        U of each sample.
    temperature_K
        The thermostat's.
    degrees_of_freedom
        f: every momentum that the thermostat drives.
    divide_by
        Number of atoms, for the value per atom.
    what
        The energy's name, for the cause if the estimate must be withheld.
    steps_per_sample
        For the number of steps that a longer run would take.
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
        lambda value, error, cosines: _shifted(_chi_square_interval(value - kinetic, error, cosines), kinetic),
        steps_per_sample,
        _Requirement(what, energy_eV, NEEDED_OF_FLUCTUATING),
        _Requirement(f"{what}'s fluctuations", influence, NEEDED_FOR_FLUCTUATION),
    )


def compressibility(volume_A3: Samples, temperature_K: float, *, steps_per_sample: int) -> Estimate:
    """Estimate kappa_T = Var(V) / (k_B T <V>), in 1/GPa (Allen and Tildesley, eq. 2.89)."""
    per_GPa = 1 / (KB_EV_PER_K * temperature_K * EV_PER_A3_IN_GPA)
    variance, influence = _variance(volume_A3)
    average = float(volume_A3.mean())
    influence = (influence - variance / average * (volume_A3 - average)) / average  # derivative of the ratio
    return _estimate(
        per_GPa * variance / average,
        per_GPa * influence,
        "1/GPa",
        _chi_square_interval,
        steps_per_sample,
        _Requirement("the volume", volume_A3, NEEDED_OF_FLUCTUATING),
        _Requirement("the volume's fluctuations", influence, NEEDED_FOR_FLUCTUATION),
    )


def thermal_expansion(
    volume_A3: Samples, configurational_enthalpy_eV: Samples, temperature_K: float, *, steps_per_sample: int
) -> Estimate:
    """Estimate alpha_p = Cov(V, H) / (k_B T^2 <V>), in 1/K (Allen and Tildesley, eq. 2.91).

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
        _student_interval,
        steps_per_sample,
        _Requirement("the volume", volume_A3, NEEDED_OF_FLUCTUATING),
        _Requirement("the enthalpy", configurational_enthalpy_eV, NEEDED_OF_FLUCTUATING),
        _Requirement("the fluctuations of volume and enthalpy", influence, NEEDED_FOR_FLUCTUATION),
    )


def slope(time: Samples, values: Samples, *, unit: str, what: str, steps_per_sample: int) -> Estimate:
    """Estimate the least-squares slope of values against time; the residuals may be correlated."""
    centred = time - time.mean()
    spread = float((centred**2).mean())
    gradient = float((centred * values).mean()) / spread
    residuals = values - values.mean() - gradient * centred
    influence = centred * residuals / spread
    need = _Requirement(what, influence, NEEDED_FOR_MEAN)
    return _estimate(gradient, influence, unit, _student_interval, steps_per_sample, need)


def _variance(values: Samples) -> tuple[float, Samples]:
    return _covariance(values, values)


def _covariance(first: Samples, second: Samples) -> tuple[float, Samples]:
    """Compute the unbiased covariance of correlated samples, and its influence values.

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


class _Requirement(NamedTuple):
    """A series, and how many independent samples of it an estimate needs."""

    what: str
    series: Samples
    needed: int


_Interval = Callable[[float, float, int], tuple[float, float]]


def _estimate(
    value: float, influence: Samples, unit: str, interval: _Interval, steps_per_sample: int, *needs: _Requirement
) -> Estimate:
    size = influence.size
    most = max(needs, key=lambda need: need.needed)
    if size < most.needed:
        cause = (
            f"the run holds {size} samples of {most.what} after equilibration and at least {most.needed} are needed: "
            f"run at least {_rounded_up((most.needed - size) * steps_per_sample)} steps more"
        )
        return Estimate.withheld(unit, cause, float(size))
    if _is_constant_zero(influence, value):
        return Estimate(value, 0.0, (value, value), float(size), unit)
    inefficiency, scarcest = max(
        ((statistical_inefficiency(need.series), need) for need in needs), key=lambda pair: pair[0] * pair[1].needed
    )
    if size < scarcest.needed * inefficiency:
        missing = math.ceil((scarcest.needed * inefficiency - size) * steps_per_sample)
        cause = (
            f"the run holds about {size / inefficiency:.0f} independent samples of {scarcest.what} after "
            f"equilibration and {scarcest.needed} are needed: run about {_rounded_up(missing)} steps more"
        )
        return Estimate.withheld(unit, cause, size / inefficiency)
    _, cosines = _zero_frequency_density(influence)
    error = standard_error(influence)
    return Estimate(value, error, interval(value, error, cosines), size / statistical_inefficiency(influence), unit)


def _student_interval(value: float, error: float, cosines: int) -> tuple[float, float]:
    half_width = float(student_t.ppf(0.975, cosines)) * error
    return value - half_width, value + half_width


def _chi_square_interval(variance: float, error: float, cosines: int) -> tuple[float, float]:
    """Compute the interval of a variance, which is positive and skewed: chi^2 with nu = 2 (variance / error)^2.

    The error is itself an estimate. So it is widened by the ratio of Student's quantile to the normal one.
    """
    widened = error * float(student_t.ppf(0.975, cosines) / norm.ppf(0.975))
    nu = 2 * (variance / widened) ** 2
    return nu * variance / float(chi2.ppf(0.975, nu)), nu * variance / float(chi2.ppf(0.025, nu))


def _shifted(interval: tuple[float, float], by: float) -> tuple[float, float]:
    return interval[0] + by, interval[1] + by


def _is_constant(values: Samples) -> bool:
    """Tell whether the values differ by rounding only."""
    return bool(np.ptp(values) <= 1e-12 * max(float(np.abs(values).max()), 1e-300))


def _is_constant_zero(influence: Samples, value: float) -> bool:
    return bool(np.abs(influence).max() <= 1e-12 * max(abs(value), 1e-300))


def _rounded_up(steps: int) -> str:
    """Round up to two significant figures: such a forecast has no more."""
    digits = 10 ** max(0, len(str(steps)) - 2)
    return f"{math.ceil(steps / digits) * digits:,}"
