"""The reliability diagram: what was told of the errors, and what they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dp_sim.recipes.results.figures import COLOURS, new_figure, new_panels, set_legend
from dp_sim.uncertainty.reliability import Reliability
from dp_sim.uncertainty.scale import LEVELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def reliability_figure(energy: Reliability, forces: Reliability, atoms: Reliability) -> Figure:
    """Draw what holds 68 % of the errors against the standard uncertainty told."""
    figure, panels = new_panels(
        [
            ("told (meV/atom)", "68 % of errors within (meV/atom)"),
            ("told (meV/Å)", "68 % of errors within (meV/Å)"),
        ]
    )
    _diagonal(panels[0], [("energies", energy)], 0)
    _diagonal(panels[1], [("force components", forces), ("forces on atoms", atoms)], 1)
    return figure


def coverage_figure(energy: Reliability, forces: Reliability, atoms: Reliability) -> Figure:
    """Draw the coverage of intervals less their level, with two standard errors."""
    figure, axes = new_figure("level of the interval (%)", "held-out errors inside, less the level (%)")
    named = [("energies", energy), ("force components", forces), ("forces on atoms", atoms)]
    for number, (name, one) in enumerate(named):
        known = [(level, share) for level, share in zip(LEVELS, one.coverage, strict=True) if share is not None]
        axes.errorbar(
            [level + number - 1 for level, _ in known],  # beside each other
            [100 * share.value - level for level, share in known],
            yerr=[200 * share.error for _, share in known],
            fmt="o",
            markersize=3,
            linewidth=0.8,
            color=COLOURS[number],
            label=name,
        )
    axes.axhline(0, color="gray", linewidth=0.8, zorder=0)
    axes.set_xticks(LEVELS)
    set_legend(axes)
    return figure


def _diagonal(axes: Axes, named: Sequence[tuple[str, Reliability]], colour: int) -> None:
    for number, (name, one) in enumerate(named):
        axes.loglog(1e3 * one.told, 1e3 * one.observed, "o-", ms=3, lw=0.8, color=COLOURS[colour + number], label=name)
    values = 1e3 * np.concatenate([array for _, one in named for array in (one.told, one.observed)])
    values = values[values > 0]
    ends = [values.min(), values.max()]
    axes.plot(ends, ends, color="gray", linewidth=0.8, zorder=0)
    set_legend(axes)
