"""Why a relaxation ended: at rest, out of steps, or because energy and forces do not lead on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dp_sim.recipes.static.relaxation.moving import Left
from dp_sim.recipes.static.relaxation.trace import Trace

CONVERGED = "converged"
STEPS_USED_UP = "steps used up"
ENERGY_FLAT = "energy no longer changes"
CONTRADICTION = "forces contradict energy"
EVALUATION_FAILED = "evaluation failed"
CELL_RUNS_AWAY = "cell runs away"
AT_SADDLE = "at a saddle point"
STOPPED = "stopped"
REFUSED = "refused"

#: The last steps, over which energy and forces are looked at.
_WINDOW = 20
#: An energy that changes by less over them, eV, no longer changes.
_FLAT_EV = 1e-6
#: Work of the forces over them, eV, from which on it is compared with the change of energy, and the share of it by
#: which the two may differ. Forces of the energy without smearing are a few percent off, other mistakes all of it.
_WORK_EV = 1e-3
_SHARE = 0.5
#: A volume that has changed by more than this factor finds no equilibrium.
_MOST_VOLUME = 8.0


class Ending(NamedTuple):
    """How a relaxation ended.

    Attributes
    ----------
    kind
        One of the words above.
    cause
        Why it did not converge, as a sentence; else empty.
    """

    kind: str
    cause: str = ""


def contradiction(trace: Trace) -> str:
    """Say by how much forces and energy contradict each other over the last steps; empty where they do not."""
    work = np.array(trace.work_eV[-_WINDOW:])
    if len(work) < 2 or len(trace.objectives_eV) <= len(work):
        return ""
    change = trace.objectives_eV[-1] - trace.objectives_eV[-1 - len(work)]
    amount = np.abs(work).sum()
    if amount < _WORK_EV or abs(work.sum() + change) < _SHARE * amount:
        return ""
    return (
        f"over the last {len(work)} steps the energy changed by {change:+.3g} eV, where the forces predict "
        f"{-work.sum():+.3g} eV: they are not the derivative of this energy"
    )


def out_of_steps(trace: Trace, bounds: Left) -> Ending:
    """Find the cause where the steps are used up."""
    left, steps = trace.left[-1], trace.steps
    told = f"the largest force is {left} after {steps} steps, and {bounds} was asked for"
    if words := contradiction(trace):
        return Ending(CONTRADICTION, f"{told}; {words}; check the calculator (its energy, its precision)")
    last = trace.objectives_eV[-_WINDOW - 1 :]
    if len(last) > _WINDOW and np.ptp(last) < _FLAT_EV:
        return Ending(
            ENERGY_FLAT,
            f"{told}; over the last {_WINDOW} steps the energy changed by no more than {np.ptp(last):.1g} eV: the "
            "forces are too noisy for this bound; raise fmax, or the calculator's precision",
        )
    return Ending(STEPS_USED_UP, f"{told}; continue with more steps, or start nearer to a minimum")


def running_away(trace: Trace) -> Ending | None:
    """Find out whether the cell has left every equilibrium behind."""
    ratio = trace.moving.volume_ratio()
    if 1 / _MOST_VOLUME < ratio < _MOST_VOLUME:
        return None
    return Ending(
        CELL_RUNS_AWAY,
        f"the volume is {ratio:.2g} times that of the start after {trace.steps} steps and goes on changing: nothing "
        "holds this cell together (molecules in vacuum, a model far from its training data); keep the cell, or start "
        "nearer to equilibrium",
    )
