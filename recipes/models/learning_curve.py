"""The errors of a training against its steps: as a table, and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dp_sim.recipes.models.accuracy import UNITS
from dp_sim.recipes.results.figures import COLOURS, new_panels, set_legend
from dp_sim.recipes.results.tables import csv_text
from dp_sim.training.loop import CurvePoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curve_csv(curve: Sequence[CurvePoint]) -> str:
    """Write the learning curve as CSV, units in the header."""
    names = [
        f"{name} ({UNITS[name.split('_')[1]]})" if "_" in name and name.split("_")[1] in UNITS else name
        for name in CurvePoint._fields
    ]
    header = [f"{name} (s)" if name == "seconds" else name for name in names]
    return csv_text(header, [[None if value is None else f"{value:.6g}" for value in point] for point in curve])


def learning_curve_figure(curve: Sequence[CurvePoint]) -> Figure:
    """Plot the errors of energy and forces against the training step, on training batches and on held-out frames."""
    figure, (energy, forces) = new_panels([("step", "energy RMSE (meV/atom)"), ("step", "force RMSE (meV/Å)")])
    steps = [point.step for point in curve]
    for panel, label in ((energy, "energy"), (forces, "forces")):
        for number, part in enumerate(("train", "valid")):
            values = [getattr(point, f"{part}_{label}") for point in curve]
            if None in values:
                continue
            name = "training batches" if part == "train" else "held out"
            panel.semilogy(steps, [1000 * v for v in values], color=COLOURS[number], label=name)
        set_legend(panel)
    return figure
