"""Figures in one look. matplotlib's object interface only: no window and no global state."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours that stay apart for colour-blind readers (Okabe-Ito), in the order of use.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def style_axes(axes: Axes, x: str = "", y: str = "") -> None:
    """Label the axes, draw a light grid, and leave out the frame above and to the right."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)


def new_figure(x: str, y: str) -> tuple[Figure, Axes]:
    """Make a figure with one panel and labelled axes."""
    figure, (axes,) = new_panels([(x, y)])
    return figure, axes


def new_panels(labels: list[tuple[str, str]]) -> tuple[Figure, list[Axes]]:
    """Make a figure with panels side by side, one for each (x label, y label)."""
    from dp_sim.recipes.results.shown_figure import ShownFigure  # noqa: PLC0415 - it imports matplotlib

    figure = ShownFigure(figsize=(6.0 if len(labels) == 1 else 4.4 * len(labels), 3.6), dpi=150, layout="constrained")
    axes = [figure.add_subplot(1, len(labels), column + 1) for column in range(len(labels))]
    for panel, (x, y) in zip(axes, labels, strict=True):
        style_axes(panel, x, y)
    return figure, axes
