"""What a recipe returns: frozen results whose numbers carry a unit, an error and, where they are missing, the cause."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Quantity:
    """A number (or array) that is computed, not estimated: it has a unit and no statistical error.

    `value` is a float, an int, a bool, a string, an array, or None when it is not known; then `cause` says why.
    """

    value: Any
    unit: str = ""
    cause: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"value": _plain(self.value), "unit": self.unit, "error": None, "cause": self.cause}


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
        digits = 2 if self.error == 0 else max(0, 1 - math.floor(math.log10(self.error)))
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f} {self.unit}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        return {
            "value": _plain(self.value),
            "unit": self.unit,
            "error": _plain(self.error),
            "ci95": _plain(self.ci95),
            "n_effective": _plain(self.n_effective),
            "cause": self.cause,
        }


@dataclass(frozen=True, kw_only=True)
class Result:
    """Base of every recipe's result. A subclass adds its fields and says in `quantities` what goes into result.json.

    converged   whether the recipe reached what it was asked for
    cause       where it did not, the reason as a sentence; else empty
    provenance  versions, hashes, seed, wall time (seconds): see `dp_sim.recipes.run_directory.provenance`
    """

    recipe: ClassVar[str]

    converged: bool
    cause: str = ""
    provenance: dict[str, Any] = field(default_factory=dict, repr=False)

    def quantities(self) -> dict[str, Quantity | Estimate]:
        """Name -> number, in the order in which they are shown."""
        raise TypeError(f"{type(self).__name__} must define quantities()")

    def to_dict(self) -> dict[str, Any]:
        """The content of result.json: numbers only where they are known, no NaN."""
        return {
            "schema": SCHEMA_VERSION,
            "recipe": self.recipe,
            "converged": self.converged,
            "cause": self.cause,
            "values": {name: quantity.to_dict() for name, quantity in self.quantities().items()},
            "provenance": _plain(self.provenance),
        }


def _plain(value: Any) -> Any:
    """JSON types only; complex numbers and non-finite floats are refused, because a reader could not trust them."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a result must not hold {value}: use Quantity(None, unit, cause) or Estimate.withheld(...)")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
