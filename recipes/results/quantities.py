"""Numbers with a unit, and, where they are estimated, an error or the cause why they are withheld."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dp_sim.recipes.results.formatting import format_estimate, format_value, plain


@dataclass(frozen=True)
class Quantity:
    """A number (or array) that is computed, not estimated: it has a unit and no statistical error.

    `value` is a float, an int, a bool, a string, an array, or None when it is not known; then `cause` says why.
    """

    value: Any
    unit: str = ""
    cause: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return f"not given: {self.cause}"
        return f"{format_value(plain(self.value))} {self.unit}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        return {"value": plain(self.value), "unit": self.unit, "error": None, "cause": self.cause}


@dataclass(frozen=True)
class Estimate:
    """A number estimated from correlated samples.

    value, error   the estimate and its standard error; both None, with `cause`, when the run is too short
    ci95           95 % confidence interval
    n_effective    number of statistically independent samples behind it
    """

    value: float | None
    error: float | None
    ci95: tuple[float, float] | None
    n_effective: float | None
    unit: str
    cause: str = ""

    @classmethod
    def withheld(cls, unit: str, cause: str, n_effective: float | None = None) -> Estimate:
        """An estimate that the samples do not support; `cause` is a sentence."""
        return cls(None, None, None, n_effective, unit, cause)

    def __str__(self) -> str:
        if self.value is None or self.error is None:
            return f"not given: {self.cause}"
        return f"{format_estimate(self.value, self.error)} {self.unit}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        return {
            "value": plain(self.value),
            "unit": self.unit,
            "error": plain(self.error),
            "ci95": plain(self.ci95),
            "n_effective": plain(self.n_effective),
            "cause": self.cause,
        }
