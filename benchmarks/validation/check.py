"""One line of the table: what was found, what is exact, and how far apart the two may be."""

from __future__ import annotations

from dataclasses import dataclass

from dp_sim.recipes.results.quantities import Estimate

#: Standard errors by which a sound estimate may miss the truth: once in 16,000.
SIGMAS = 4.0


@dataclass(frozen=True)
class Check:
    """A number that must lie between two bounds.

    Attributes
    ----------
    subject, quantity, unit
        What was measured.
    found
        None where no number could be had.
    expected
        The exact answer.
    low, high
        The bounds; None where nothing is promised and the number is only reported.
    """

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
    """Check an estimate against a known answer, in units of its own standard error."""
    allowed = SIGMAS * (estimate.error or 0.0)  # none for a number that is withheld, which fails
    return Check(subject, quantity, estimate.unit, estimate.value, exact, exact - allowed, exact + allowed)
