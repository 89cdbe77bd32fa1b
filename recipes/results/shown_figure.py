"""A matplotlib figure that a notebook shows by itself; apart from figures.py, because importing matplotlib is slow."""

from __future__ import annotations

import io

from matplotlib.figure import Figure  # noqa: TID253 - figures.py imports this module late


class ShownFigure(Figure):
    """A figure that can draw itself in a notebook, where pyplot is not there to do it."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()
