"""What a stage costs, measured alike in every program: solutions of tblite's equations, and processor time."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tblite.interface import Calculator

#: Processor time that a reaction may take, s.
LIMIT_S = 120.0
_solved = [0]
_singlepoint = Calculator.singlepoint


def _counted(calculator: Any, *arguments: Any, **keywords: Any) -> Any:
    _solved[0] += 1
    return _singlepoint(calculator, *arguments, **keywords)


Calculator.singlepoint = _counted


class Meter:
    """Costs of the stages of one reaction.

    Attributes
    ----------
    costs
        Evaluations and processor seconds of each stage. A stage inside another is not counted in the outer one.
    reasons
        Why something did not converge or broke off.
    found
        What else the outcome holds: `saddle` (N, 3) and `ends`, two of (N, 3), Angstrom.
    """

    def __init__(self) -> None:
        self.costs: dict[str, tuple[int, float]] = {}
        self.reasons: list[str] = []
        self.found: dict[str, Any] = {}

    @contextmanager
    def inner_stage(self, name: str) -> Iterator[None]:
        """Add what the block costs to a stage."""
        earlier = self.costs.get(name, (0, 0.0))
        calls, inside, start = _solved[0], self._total(), time.process_time()
        try:
            yield
        finally:
            now = self._total()
            self.costs[name] = (
                earlier[0] + _solved[0] - calls - (now[0] - inside[0]),
                earlier[1] + time.process_time() - start - (now[1] - inside[1]),
            )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Do the same; an error ends the block and becomes a reason."""
        try:
            with self.inner_stage(name):
                yield
        except Exception as error:  # the table holds what went wrong
            self.reasons.append(f"{name}: {type(error).__name__}: {error}".splitlines()[0])

    def _total(self) -> tuple[int, float]:
        return sum(cost[0] for cost in self.costs.values()), sum(cost[1] for cost in self.costs.values())


def run_in_folders(work: Callable[[Meter], None], *programs: str) -> None:
    """Do the work in each folder of the command line, where reactant.xyz and product.xyz are, and write found.json."""
    versions = {name: version(name) for name in (*programs, "tblite")}
    signal.signal(signal.SIGVTALRM, _too_long)
    for folder in [Path(name).resolve() for name in sys.argv[1:]]:
        os.chdir(folder)
        meter = Meter()
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
        work(meter)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        outcome = {**meter.found, "versions": versions, "costs": meter.costs, "reason": "; ".join(meter.reasons)}
        Path("found.json").write_text(json.dumps(outcome))


def _too_long(*_: Any) -> None:
    raise TimeoutError(f"not done within {LIMIT_S:g} s")
