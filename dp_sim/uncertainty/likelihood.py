"""The scale of a committee's spread by maximum likelihood.

The model (Musil et al., J. Chem. Theory Comput. 15, 906 (2019); Imbalzano et al., J. Chem. Phys. 154, 074102 (2021)):
the M members are draws from a normal distribution of variance sigma^2, the truth is one of variance alpha^2 sigma^2
about the same centre. The error e of the members' mean and their spread s (ddof=1) are independent then, in D
components together

    e ~ N(0, c^2 sigma^2),  c^2 = alpha^2 + 1/M                                            (1)
    <e^2 / s^2> = c^2 (M - 1) / (M - 3)                                                     (2)
    |e|^2 / |s|^2 = c^2 x,  x ~ F(D, D (M - 1));  for D = 1 the square of Student's t       (3)

(2) gives alpha^2 = -1/M + (M - 3)/(M - 1) <e^2/s^2>, for more than three members; its own variance is infinite for
fewer than six, as single points with a small spread by chance rule the mean. (3) is the likelihood itself: it holds
for two members and more, and bounds the weight of each point.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import fdtri

Array = NDArray[np.float64]
#: What a standard uncertainty holds of the errors: as one standard deviation of a normal distribution.
STANDARD = 0.682689492137086


def alpha_squared(squared_ratios: Array, members: int) -> float:
    """Compute alpha^2 from the mean of e^2/s^2, eq. 2.

    Parameters
    ----------
    squared_ratios
        (n,) e^2/s^2 of single components.
    members
        Number of members M, more than 3.
    """
    return float(-1.0 / members + (members - 3.0) / (members - 1.0) * np.mean(squared_ratios))


def likelihood_scale(squared_ratios: Array, components: int, degrees: float) -> float:
    """Maximise the likelihood of eq. 3: the factor c between the spread and the error.

    Parameters
    ----------
    squared_ratios
        (n,) |e|^2/|s|^2, not all zero.
    components
        Number D of components in each.
    degrees
        Degrees of freedom of |s|^2: D (M - 1) of a committee.

    Returns
    -------
    float
        c; the derivative of the log-likelihood vanishes there: sum over points of (D + degrees) y / (degrees + y) = n
        D, y = D |e|^2 / (c |s|)^2.
    """
    scaled = components * squared_ratios

    def excess(log_c: float) -> float:  # falls from degrees * (share of points with an error) to -D
        y = scaled * np.exp(-2.0 * log_c)
        return float(np.mean((components + degrees) * y / (degrees + y))) - components

    centre = 0.5 * np.log(np.median(squared_ratios[squared_ratios > 0]))
    width = 5.0
    while excess(centre - width) < 0 < width < 80.0:
        width *= 2.0
    while excess(centre + width) > 0:
        width *= 2.0
    if excess(centre - width) <= 0:  # nearly all errors are zero
        return 0.0
    return float(np.exp(brentq(excess, centre - width, centre + width, xtol=1e-10)))


def student_quantile(level: float, components: int, degrees: float) -> float:
    """Compute which multiple of c |s| holds a share `level` of the errors |e| under eq. 3.

    Parameters
    ----------
    level
        From 0 to 1.
    components, degrees
        As of `likelihood_scale`.
    """
    return float(np.sqrt(fdtri(components, degrees, level)))
