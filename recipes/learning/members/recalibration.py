"""What the spread of the members is worth, measured at each label before the members are trained on it.

A structure that is labelled because the members disagree is held out until they are trained on it: its label tests the
members as they were. The factor between spread and error is that of the likelihood in dp_sim.uncertainty (eq. 3, forces
of atoms, D = 3), of the latest labels. These structures were chosen for their large spread, but all atoms of them
count, most of which were not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dp_sim.datasets.frames import Frame
from dp_sim.model.evaluator import Model
from dp_sim.uncertainty.points import ZERO_SPREAD, Points
from dp_sim.uncertainty.scale import fitted_scale

#: Labels that a factor is made of, at least; and the latest ones, at most: older ones are of other members.
LEAST, LATEST = 5, 20


def error_ratios(model: Model, frames: Sequence[Frame]) -> list[list[float]]:
    """Compute |error| / |spread| of the force on each atom of each frame, those left out that have no spread.

    Parameters
    ----------
    model
        The members, not calibrated.
    frames
        Labels that they were not trained on.
    """
    found = []
    for frame, output in zip(frames, model.evaluate_each(frames, names=[one.name for one in frames]), strict=True):
        assert output.forces is not None
        assert output.forces_std is not None
        error = np.linalg.norm(output.forces.cpu().numpy() - frame.forces, axis=1)
        spread = np.linalg.norm(output.forces_std.cpu().numpy(), axis=1)
        known = spread > ZERO_SPREAD * np.median(spread)
        found.append((error[known] / spread[known]).tolist())
    return found


def factor_of(ratios: Sequence[Sequence[float]], members: int, before: float) -> float:
    """Fit the standard uncertainty over the spread to the latest labels.

    Parameters
    ----------
    ratios
        Of every label, as `error_ratios` gives them.
    members
        Number of members.
    before
        The factor that holds while labels are too few.
    """
    latest = [one for one in ratios if one][-LATEST:]
    if len(latest) < LEAST:
        return before
    error = np.concatenate(latest)
    frame = np.repeat(np.arange(len(latest)), [len(one) for one in latest])
    return fitted_scale(Points(error, np.ones_like(error), frame, frame, 3, np.zeros_like(frame)), members).factor


def share_within(ratios: Sequence[Sequence[float]], factor: float) -> float | None:
    """Count the share of errors within one standard uncertainty, 0.68 if it is true; None without any."""
    everything = np.array([ratio for one in ratios for ratio in one])
    return float(np.mean(everything <= factor)) if len(everything) else None
