"""What was decided while data were read, on the screen, in the log and in the result."""

from __future__ import annotations

from collections.abc import Sequence

from dp_sim.datasets.remarks import Remarks
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.run.directory import RunDirectory


def say(remarks: Remarks, run: RunDirectory) -> tuple[str, ...]:
    """Print each remark (as a warning, so that it is seen), write it to the log of the run, and return all of them."""
    lines = tuple(remarks.lines())
    for line in lines:
        run.note(f"data: {line}")
    return lines


def remark_quantities(lines: Sequence[str]) -> dict[str, Quantity | Estimate]:
    """One entry of result.json with all remarks; none where there is nothing to say."""
    return {"data": Quantity("; ".join(lines))} if lines else {}
