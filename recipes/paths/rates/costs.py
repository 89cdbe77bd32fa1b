"""What a stage costs: evaluations of the calculator, Hessians, seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from dp_sim.recipes.inputs.calculators import only_model


class Cost(NamedTuple):
    """Cost of a stage.

    Attributes
    ----------
    stage
        Name of the stage.
    force_calls
        Structures whose energy and forces were computed; a batch counts as many as are in it.
    hessian_calls
        Exact Hessians; those by differences are force calls.
    seconds
        Wall time.
    """

    stage: str
    force_calls: int
    hessian_calls: int
    seconds: float

    def with_earlier(self, earlier: Cost) -> Cost:
        """Add what earlier sessions spent on the stage."""
        return Cost(
            self.stage,
            self.force_calls + earlier.force_calls,
            self.hessian_calls + earlier.hessian_calls,
            self.seconds + earlier.seconds,
        )


class Counter:
    """Counts of one stage while it runs."""

    def __init__(self) -> None:
        self.force_calls = self.hessian_calls = 0
        self.start = time.monotonic()

    def cost(self, stage: str) -> Cost:
        """Return the counts so far."""
        return Cost(stage, self.force_calls, self.hessian_calls, time.monotonic() - self.start)


@contextmanager
def counted(calculator: Any) -> Iterator[Counter]:
    """Count what a calculator is asked inside the block.

    The methods of this one object are replaced for as long, because every recipe must get the calculator that it knows:
    a wrapper would hide a model, its exact Hessian and its batches.
    """
    counter = Counter()
    replaced: list[tuple[Any, str, Any]] = []

    def replace(owner: Any, name: str, kind: str, number: Any) -> None:
        original = getattr(owner, name, None)
        if original is None:
            return

        def counting(*arguments: Any, **keywords: Any) -> Any:
            setattr(counter, kind, getattr(counter, kind) + number(arguments))
            return original(*arguments, **keywords)

        own = vars(owner).get(name) if hasattr(owner, "__dict__") else None  # of a block around this one
        try:
            setattr(owner, name, counting)
        except (AttributeError, TypeError):  # an object with fixed attributes: its calls are not known
            return
        replaced.append((owner, name, own))

    replace(calculator, "calculate", "force_calls", lambda arguments: 1)
    model = only_model(calculator)
    if model is None:
        replace(calculator, "get_hessian", "hessian_calls", lambda arguments: 1)
    else:
        replace(model, "evaluate_each", "force_calls", lambda arguments: _count(arguments[0]))
        replace(model, "hessian", "hessian_calls", lambda arguments: 1)
        replace(model, "member_hessians", "hessian_calls", lambda arguments: len(model.members))
    try:
        yield counter
    finally:
        for owner, name, own in replaced:
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)


def _count(structures: Any) -> int:
    return len(structures) if isinstance(structures, Sequence) else 1
