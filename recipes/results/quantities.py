"""Numbers with a unit, and, where they are known, with errors: of sampling, and of the model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dp_sim.recipes.results.formatting import format_estimate, format_quantity, plain
from dp_sim.uncertainty.derived import ModelError


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
    model
        What the model's errors make of it, in `unit`, an array of an array; None where that is not known.
    """

    value: Any
    unit: str = ""
    cause: str = ""
    model: ModelError | None = None

    @property
    def model_error(self) -> Any:
        """Standard uncertainty that comes from the model; None where it is not known."""
        return None if self.model is None else self.model.standard

    @property
    def total_ci95(self) -> Any:
        """The 95 % interval (..., 2) of the model's errors; None where they are not known."""
        if self.model is None or self.value is None:
            return None
        value = np.asarray(self.value, dtype=float)
        return np.stack([value - self.model.below, value + self.model.above], axis=-1)

    def __str__(self) -> str:
        """Return the value with its unit, or why there is none."""
        if self.value is None:
            return f"not given: {self.cause}"
        written = f"{format_quantity(plain(self.value), self.unit)} {self.unit}".rstrip()
        return written if self.model is None or np.ndim(self.value) else f"{written}{_by_the_model(self)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of result.json; the model's error stands in it where it is known."""
        return {"value": plain(self.value), "unit": self.unit, "error": None, "cause": self.cause, **_model_entry(self)}


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
    model
        What the model's errors make of it, beside the error of sampling; None where that is not known.
    """

    value: float | None
    error: float | None
    ci95: tuple[float, float] | None
    n_effective: float | None
    unit: str
    cause: str = ""
    model: ModelError | None = None

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

    @property
    def model_error(self) -> float | None:
        """Standard uncertainty that comes from the model; None where it is not known."""
        return None if self.model is None or self.value is None else float(self.model.standard)

    @property
    def total_ci95(self) -> tuple[float, float] | None:
        """The 95 % interval of both errors, which are independent; None where the model's is not known."""
        if self.model is None or self.value is None or self.ci95 is None:
            return None
        low, high = self.ci95
        down, up = math.hypot(self.value - low, self.model.below), math.hypot(high - self.value, self.model.above)
        return self.value - down, self.value + up

    def __repr__(self) -> str:
        """Return what `str` does with the interval and the number of independent samples: the last line of a cell."""
        bounds = "" if self.ci95 is None else f"; 95 %: {self.ci95[0]:.6g} to {self.ci95[1]:.6g}"
        samples = "" if self.n_effective is None else f"; {self.n_effective:.0f} independent samples"
        return f"<Estimate: {self}{bounds}{samples}>"

    def __str__(self) -> str:
        """Return the value, its standard error and the unit, or why there is none."""
        if self.value is None or self.error is None:
            return f"not given: {self.cause}"
        written = f"{format_estimate(self.value, self.error, self.unit)} {self.unit}".rstrip()
        return written if self.model is None else f"{written}{_by_the_model(self)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of result.json; the model's error stands in it where it is known."""
        return {
            "value": plain(self.value),
            "unit": self.unit,
            "error": plain(self.error),
            "ci95": plain(self.ci95),
            "n_effective": plain(self.n_effective),
            "cause": self.cause,
            **_model_entry(self),
        }


def _by_the_model(number: Quantity | Estimate) -> str:
    interval: Any = number.total_ci95
    low, high = interval
    return f" (± {number.model_error:.2g} by the model; 95 %: {low:.6g} to {high:.6g})"


def _model_entry(number: Quantity | Estimate) -> dict[str, Any]:
    if number.model_error is None or number.value is None:
        return {}
    return {"model_error": plain(number.model_error), "total_ci95": plain(number.total_ci95)}
