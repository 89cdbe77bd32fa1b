"""What was decided while data were read, on the screen, in the log and on the page."""

from __future__ import annotations

from dp_sim.datasets.remarks import Remarks
from dp_sim.recipes.run.directory import RunDirectory


def report_remarks(remarks: Remarks, run: RunDirectory) -> tuple[str, ...]:
    """Print each remark (as a warning, so that it is seen), write it to the log of the run, and return all of them."""
    lines = tuple(remarks.lines())
    for line in lines:
        run.note(f"data: {line}")
    return lines
