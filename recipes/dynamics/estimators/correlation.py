"""The spectral density of a series at zero frequency: what its correlation makes of the error of its average.

S is the mean square of the lowest nu coefficients of the cosine transform. They are independent and each of variance S
if the correlation time is shorter than the period of the fastest of them. So the error has nu degrees of freedom, and
the interval is Student's (E. Lazarus, D. J. Lewis, J. H. Stock and M. W. Watson, J. Bus. Econ. Stat. 36, 541 (2018);
low frequencies for S: P. Heidelberger and P. D. Welch, Commun. ACM 24, 233 (1981)). No sum over noisy lags has to be
cut off, and vibrations lie at higher frequencies than all of these.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

Samples = NDArray[np.float64]

#: Cosines that the spectral density at zero frequency is computed from: eight, or one for so many independent samples
#: where that is more. So few lie below the width of the slowest mode, even if it hides under faster noise.
FEWEST_COSINES = 8
SAMPLES_PER_COSINE = 24


def statistical_inefficiency(values: Samples) -> float:
    """Estimate g = 1 + 2 tau, the number of successive samples worth one independent one, at most all of them."""
    density, _ = zero_frequency_density(values)
    return float(np.clip(density / values.var(), 1.0, values.size))


def standard_error(influence: Samples) -> float:
    """Estimate the standard error of an estimate with these influence values, or of the average of these values."""
    density, _ = zero_frequency_density(influence)
    return math.sqrt(density / influence.size)


def cosine_power(values: Samples) -> Samples:
    """Square the coefficients of the orthonormal cosine transform, from the slowest cosine up, without the mean."""
    return np.asarray(dct(values - values.mean(), norm="ortho")[1:] ** 2)


def zero_frequency_density(values: Samples) -> tuple[float, int]:
    """Estimate the spectral density at zero frequency, sum over t of <x(0) x(t)>; give the number of cosines too."""
    power = cosine_power(values)
    rough = max(float(power[:FEWEST_COSINES].mean()), float(np.finfo(np.float64).tiny))
    independent = values.size * min(1.0, float(values.var()) / rough)
    cosines = max(FEWEST_COSINES, int(independent / SAMPLES_PER_COSINE))
    return float(power[:cosines].mean()), cosines


def is_constant(values: Samples) -> bool:
    """Tell whether the values differ by rounding only."""
    return bool(np.ptp(values) <= 1e-12 * max(float(np.abs(values).max()), 1e-300))
