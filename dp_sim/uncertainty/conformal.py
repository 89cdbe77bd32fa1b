"""Split-conformal quantiles: intervals that hold their share of new errors whatever their distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def conformal_quantile(scores: Array, level: float, groups: int) -> float | None:
    """Compute the bound under which a share `level` of new scores lies.

    The points of one frame are no independent draws, the frames are taken to be: of G groups, one more being as likely
    to come out anywhere among them, the quantile of all points is taken at level (G + 1)/G. With single points as
    groups this is the rank ceil((n + 1) level) of split-conformal prediction.

    Parameters
    ----------
    scores
        (n,) |error| / standard uncertainty.
    level
        From 0 to 1.
    groups
        Number G of frames that the scores come from.

    Returns
    -------
    float or None
        None where so few groups bound no such share: fewer than 19 for 95 %.
    """
    raised = level * (groups + 1) / groups
    if raised > 1.0:
        return None
    rank = int(np.ceil(raised * len(scores) - 1e-9))
    return float(np.partition(scores, rank - 1)[rank - 1])
