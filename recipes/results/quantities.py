"""Numbers with a unit, and, where they are estimated, an error or the cause why they are withheld."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dp_sim.recipes.results.formatting import format_estimate, format_quantity, plain


@dataclass(frozen=True)
class Quantity:
    """A value that is computed, not estimated from samples: it has a unit and no statistical error.

    Attributes
    ----------
    value
        A number, a bool, a string or an array; None where it is not known.
    unit
        In ASCII (`eV/Angstrom^2`); empty for a value without a unit.
    cause
        Why the value is not known, as a sentence; else empty.
    model_error
        Standard uncertainty that comes from the model, in `unit`; None where it is not known.
    """

    value: Any
    unit: str = ""
    cause: str = ""
    model_error: float | None = None

    def __str__(self) -> str:
        """Return the value with its unit, or why there is none."""
        if self.value is None:
            return f"not given: {self.cause}"
        written = f"{format_quantity(plain(self.value), self.unit)} {self.unit}".rstrip()
        return written if self.model_error is None else f"{written} (± {self.model_error:.2g} by the model)"

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of result.json; the model's error stands in it where it is known."""
        entry = {"value": plain(self.value), "unit": self.unit, "error": None, "cause": self.cause}
        return entry if self.model_error is None else {**entry, "model_error": plain(self.model_error)}


@dataclass(frozen=True)
class Estimate:
    """A number estimated from correlated samples.

    Attributes
    ----------
    value, error
        The estimate and its standard error, in `unit`; both None where the run is too short.
    ci95
        95 % confidence interval.
    n_effective
        Number of statistically independent samples behind it.
    unit
        In ASCII.
    cause
        Why there is no value, as a sentence; else empty.
    """

    value: float | None
    error: float | None
    ci95: tuple[float, float] | None
    n_effective: float | None
    unit: str
    cause: str = ""

    @classmethod
    def withheld(cls, unit: str, cause: str, n_effective: float | None = None) -> Estimate:
        """Make an estimate without a value, because the samples do not support one.

        Parameters
        ----------
        unit
            Of the value that is withheld.
        cause
            Why there is none, as a sentence.
        n_effective
            Number of statistically independent samples, where it is known.
        """
        return cls(None, None, None, n_effective, unit, cause)

    def __str__(self) -> str:
        """Return the value, its standard error and the unit, or why there is none."""
        if self.value is None or self.error is None:
            return f"not given: {self.cause}"
        return f"{format_estimate(self.value, self.error)} {self.unit}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of result.json."""
        return {
            "value": plain(self.value),
            "unit": self.unit,
            "error": plain(self.error),
            "ci95": plain(self.ci95),
            "n_effective": plain(self.n_effective),
            "cause": self.cause,
        }
