"""Figures in one look. matplotlib's object interface only: no window and no global state."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours that stay apart for colour-blind readers (Okabe-Ito), in the order of use.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

#: Inches that a page is wide.
PAGE_WIDTH = 8.8
#: Letters of a legend that fit on an inch, with the marks before them.
LETTERS_AN_INCH = 13.0


def style_axes(axes: Axes, x: str = "", y: str = "") -> None:
    """Label the axes, draw a light grid, and leave out the frame above and to the right."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.ticklabel_format(useOffset=False)  # the whole number at each tick, not its end beside an offset
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)


def set_legend(axes: Axes) -> None:
    """Name the curves above their panel, where no curve runs; with rows as long as the panel is wide."""
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    figure = cast("Figure", axes.figure)
    letters = LETTERS_AN_INCH * figure.get_figwidth() / min(2, len(figure.axes))
    columns = max(1, min(len(labels), int(letters / (max(map(len, labels)) + 5))))
    axes.legend(
        handles, labels, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, frameon=False, fontsize="small"
    )


def new_series(x: str, y: str) -> tuple[Figure, Axes]:
    """Make a figure as wide as a page, for what is recorded along a run."""
    figure, axes = new_figure(x, y)
    figure.set_size_inches(PAGE_WIDTH, 2.8)
    return figure, axes


def new_figure(x: str, y: str) -> tuple[Figure, Axes]:
    """Make a figure with one panel and labelled axes."""
    figure, (axes,) = new_panels([(x, y)])
    return figure, axes


def new_panels(labels: list[tuple[str, str]]) -> tuple[Figure, list[Axes]]:
    """Make a figure with panels, two a row, one for each (x label, y label)."""
    from dp_sim.recipes.results.shown_figure import ShownFigure  # noqa: PLC0415 - it imports matplotlib

    rows, columns = (len(labels) + 1) // 2, min(2, len(labels))
    size = (5.0, 3.2) if len(labels) == 1 else (PAGE_WIDTH, 3.6 * rows)
    figure = ShownFigure(figsize=size, dpi=150, layout="constrained")
    axes = [figure.add_subplot(rows, columns, number + 1) for number in range(len(labels))]
    for panel, (x, y) in zip(axes, labels, strict=True):
        style_axes(panel, x, y)
    return figure, axes
