"""What a recipe returns: frozen results whose numbers carry a unit, an error and, where they are missing, the cause."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dp_sim.errors import InputError, nearest_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA_VERSION = 1


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


@dataclass(frozen=True, kw_only=True)
class Result:
    """Base of every recipe's result. A subclass adds its fields and says in `quantities` what goes into result.json.

    recipe      the recipe's name, as on the command line; title: the headline of its report
    converged   whether the recipe reached what it was asked for
    cause       where it did not, the reason as a sentence; else empty
    provenance  versions, hashes, seed, wall time (seconds): see `RunDirectory.provenance`
    """

    recipe: ClassVar[str]
    title: ClassVar[str]

    converged: bool
    cause: str = ""
    provenance: dict[str, Any] = field(default_factory=dict, repr=False)

    def quantities(self) -> dict[str, Quantity | Estimate]:
        """Name -> number, in the order in which they are shown."""
        raise TypeError(f"{type(self).__name__} must define quantities()")

    def figures(self) -> dict[str, Figure]:
        """Name -> matplotlib figure; each is saved as NAME.png and shown in the report."""
        return {}

    def write_data(self, path: Callable[[str], Path]) -> None:
        """Write structures and arrays; `path(name)` says where the file `name` goes."""

    def plot(self, name: str | None = None) -> Figure:
        """The figure `name`, or the first one.

        Raises
        ------
        InputError
            There is no such figure.
        """
        figures = self.figures()
        name = next(iter(figures), "") if name is None else name
        if name not in figures:
            raise InputError(
                f"{type(self).__name__} has no figure '{name}'; it has: {', '.join(figures) or 'none'}"
                + nearest_name(name, figures)
            )
        return figures[name]

    def save(self, directory: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write result.json, report.html, plots and data into `directory`, as a recipe with `out=` does.

        Raises
        ------
        InputError
            The directory is not empty (`overwrite` replaces a dp-sim run only) or cannot be written.
        """
        from dp_sim.recipes.run_directory import save_result

        save_result(self, directory, overwrite=overwrite)

    def summary(self) -> str:
        """The verdict and the numbers, one a line, as text."""
        verdict = "converged" if self.converged else f"not converged: {self.cause}"
        return "\n".join([f"{self.title}: {verdict}", *(f"  {n}: {q}" for n, q in self.quantities().items())])

    def _repr_html_(self) -> str:
        """The verdict, the numbers and the plots, in a notebook."""
        from dp_sim.recipes.report import result_fragment

        return result_fragment(self)

    def to_dict(self) -> dict[str, Any]:
        """The content of result.json: numbers only where they are known, no NaN."""
        return {
            "schema": SCHEMA_VERSION,
            "recipe": self.recipe,
            "title": self.title,
            "converged": self.converged,
            "cause": self.cause,
            "values": {name: quantity.to_dict() for name, quantity in self.quantities().items()},
            "provenance": plain(self.provenance),
        }


def format_estimate(value: float, error: float) -> str:
    """`1.234 ± 0.056`: two significant digits of the error, as many decimals of the value."""
    digits = 2 if error == 0 else max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def format_value(value: Any) -> str:
    """A value of `plain` for people: six significant digits (for large numbers four decimals); long lists shortened.

    The floats of a list share their decimals, so that noise beside large numbers reads as zero.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        decimals = 0 if value.is_integer() else 4
        return f"{value:.{decimals}f}" if 100 <= abs(value) < 1e7 else f"{value:.6g}"
    if value == []:
        return "none"
    if isinstance(value, list):
        shown = value if len(value) <= 24 else [*value[:12], "…", *value[-6:]]
        largest = max((abs(item) for item in value if isinstance(item, float)), default=0.0)
        if 1e-4 < largest < 1e6:
            decimals = max(0, 5 - math.floor(math.log10(largest)))
            shown = [
                f"{round(item, decimals) + 0.0:.{decimals}f}" if isinstance(item, float) else item for item in shown
            ]
        return ", ".join(f"[{format_value(item)}]" if isinstance(item, list) else format_value(item) for item in shown)
    return str(value)


def plain(value: Any) -> Any:
    """JSON types only; complex numbers and non-finite floats are refused, because a reader could not trust them."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a result must not hold {value}: use Quantity(None, unit, cause) or Estimate.withheld(...)")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
