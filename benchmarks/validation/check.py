"""One line of the table: what was found, what is exact, and how far apart the two may be."""

from __future__ import annotations

from dataclasses import dataclass

from dp_sim.recipes.results.quantities import Estimate

#: Standard errors by which a sound estimate may miss the truth: once in 16,000.
SIGMAS = 4.0


@dataclass(frozen=True)
class Check:
    """`found` must lie between `low` and `high`, about `expected`; None where no number could be had. Without bounds it
    is only told: nothing is promised there."""

    subject: str
    quantity: str
    unit: str
    found: float | None
    expected: float
    low: float | None = None
    high: float | None = None

    @property
    def passed(self) -> bool | None:
        """None where nothing is promised."""
        if self.low is None or self.high is None:
            return None
        return self.found is not None and self.low <= self.found <= self.high


def within_errors(subject: str, quantity: str, estimate: Estimate, exact: float) -> Check:
    """An estimate against a known answer, in units of the error that it claims."""
    allowed = SIGMAS * (estimate.error or 0.0)  # none for a number that is withheld, which fails
    return Check(subject, quantity, estimate.unit, estimate.value, exact, exact - allowed, exact + allowed)
