"""The page of a training that still runs: its learning curve so far."""

from __future__ import annotations

import time
from collections.abc import Sequence

from dp_sim.files import write_text
from dp_sim.recipes.models.learning_curve import learning_curve_figure
from dp_sim.recipes.results.page.html import report_html
from dp_sim.recipes.results.png import png_of
from dp_sim.recipes.results.quantities import Quantity
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.training.loop import CurvePoint

#: Seconds from the start to the first page, and from one to the next: drawing one takes a second.
SECONDS_BETWEEN = 15.0


class LivePage:
    """Writes report.html with the curve so far, every so often; a browser that shows it loads it again.

    Parameters
    ----------
    run
        Whose page it is. The result writes the last one.
    steps
        Of the whole training.
    """

    def __init__(self, run: RunDirectory, steps: int) -> None:
        self._run, self._steps = run, steps
        self._last = time.monotonic()

    def show(self, curve: Sequence[CurvePoint]) -> None:
        """Write the page, if the last one is old enough."""
        target = self._run.path("report.html")
        if target is None or time.monotonic() - self._last < SECONDS_BETWEEN:
            return
        last = curve[-1]
        numbers = {
            "held_out_forces_rmse": Quantity(last.valid_forces, "eV/Angstrom"),
            "held_out_energy_rmse": Quantity(last.valid_energy, "eV/atom"),
            "training_forces_rmse": Quantity(last.train_forces, "eV/Angstrom"),
            "training_energy_rmse": Quantity(last.train_energy, "eV/atom"),
        }
        known = {name: number.to_dict() for name, number in numbers.items() if number.value is not None}
        content = {
            "recipe": "train",
            "title": "Training of a Deep Potential",
            "converged": False,
            "running": f"still training: step {last.step} of {self._steps}",
            "headline": list(known)[:2],
            "captions": {"learning_curve": "Errors so far, on training batches and held-out frames."},
            "values": known,
            "provenance": self._run.provenance(),
        }
        write_text(target, report_html(content, {"learning_curve": png_of(learning_curve_figure(curve))}))
        self._last = time.monotonic()
