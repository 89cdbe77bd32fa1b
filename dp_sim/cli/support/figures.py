"""Figures that commands write beside what they print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure


PLOT_FORMATS = (".png", ".svg", ".pdf")


def save_figure(figure: Figure, target: Path, what: str) -> None:
    """Write a figure whole or not at all, and say so."""
    from dp_sim.files import atomic_path

    with atomic_path(target) as temporary:
        figure.savefig(temporary)
    typer.echo(f"{what} drawn in {target}")
