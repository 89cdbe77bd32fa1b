"""The reliability diagram: what was told of the errors, and what they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dp_sim.recipes.results.figures import COLOURS, new_panels
from dp_sim.uncertainty.reliability import Reliability
from dp_sim.uncertainty.scale import LEVELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def reliability_figure(energy: Reliability, forces: Reliability, atoms: Reliability) -> Figure:
    """Draw what holds 68 % of the errors against the standard uncertainty told, and coverage against its level."""
    figure, panels = new_panels(
        [
            ("told (meV/atom)", "energies: 68 % of errors within (meV/atom)"),
            ("told (meV/Å)", "forces: 68 % of errors within (meV/Å)"),
            ("level of the interval (%)", "held-out errors inside (%)"),
        ]
    )
    named = [("energies", energy), ("force components", forces), ("forces on atoms", atoms)]
    _diagonal(panels[0], named[:1], 0)
    _diagonal(panels[1], named[1:], 1)
    for number, (name, one) in enumerate(named):
        known = [(level, share) for level, share in zip(LEVELS, one.coverage, strict=True) if share is not None]
        panels[2].errorbar(
            [level for level, _ in known],
            [100 * share.value for _, share in known],
            yerr=[200 * share.error for _, share in known],
            fmt="o-",
            markersize=3,
            linewidth=0.8,
            color=COLOURS[number],
            label=name,
        )
    panels[2].plot([45, 100], [45, 100], color="gray", linewidth=0.8, zorder=0)
    panels[2].legend(frameon=False, fontsize="small")
    return figure


def _diagonal(axes: Axes, named: Sequence[tuple[str, Reliability]], colour: int) -> None:
    for number, (name, one) in enumerate(named):
        axes.loglog(1e3 * one.told, 1e3 * one.observed, "o-", ms=3, lw=0.8, color=COLOURS[colour + number], label=name)
    values = 1e3 * np.concatenate([array for _, one in named for array in (one.told, one.observed)])
    values = values[values > 0]
    ends = [values.min(), values.max()]
    axes.plot(ends, ends, color="gray", linewidth=0.8, zorder=0)
    if len(named) > 1:
        axes.legend(frameon=False, fontsize="small")
