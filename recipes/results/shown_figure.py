"""The figures of dp-sim; apart from figures.py, because importing matplotlib is slow."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axis import Axis  # noqa: TID253 - figures.py imports this module late
from matplotlib.figure import Figure  # noqa: TID253
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator  # noqa: TID253

from dp_sim.recipes.results.png import png_of

#: Decades of an axis above which matplotlib's powers of ten stay, those below which ticks at 1, 2 and 5 have room, and
#: those above which they are enough.
MANY_DECADES, SOME_DECADES, ONE_DECADE = 4.0, 2.5, 0.9


class ShownFigure(Figure):
    """A figure that can draw itself in a notebook, where pyplot is not there to do it, with plain logarithmic ticks."""

    def _repr_png_(self) -> bytes:
        return png_of(self)

    def draw(self, renderer: Any) -> None:
        """Draw the figure."""
        for axes in self.axes:
            for axis in (axes.xaxis, axes.yaxis):
                if axis.get_scale() == "log":
                    _set_plain_ticks(axis)
        super().draw(renderer)


def _set_plain_ticks(axis: Axis) -> None:
    """Label a short logarithmic axis with 20, 50, 100 in place of 2 x 10^1, 6 x 10^1, 10^2."""
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low)
    if decades > MANY_DECADES:
        return
    between = (1, 2, 5) if decades < SOME_DECADES else (1,)
    axis.set_major_locator(LogLocator(subs=between) if decades > ONE_DECADE else MaxNLocator(5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
