"""The result of a campaign: its table, how many tasks ended in which way, and the first number of each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from dp_sim.errors import import_optional
from dp_sim.files import atomic_path, write_text
from dp_sim.recipes.campaigns.table import csv_text
from dp_sim.recipes.results.figures import new_panels
from dp_sim.recipes.results.formatting import DECIMALS, decimals_of, readable, typeset_unit
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import QuantityTable
from dp_sim.recipes.results.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE = "campaign.csv"
#: Tasks that are all numbered below a plot.
FEW = 12
#: Numbers of each recipe in its table.
MOST_NUMBERS = 4


@dataclass(frozen=True, kw_only=True)
class CampaignResult(Result):
    """A campaign whose tasks have ended.

    Attributes
    ----------
    table
        Column -> a value for each task: what campaign.csv holds.
    headlines
        Recipe -> names (with unit, as in `table`) of the numbers that it puts first.
    """

    recipe: ClassVar[str] = "campaign"
    title: ClassVar[str] = "Campaign"

    table: dict[str, list[Any]]
    headlines: dict[str, list[str]]

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        counts = Counter(self.table["state"])
        quantities: dict[str, Quantity | Estimate] = {
            "tasks": Quantity(len(self.table["task"])),
            "done": Quantity(counts["done"]),
            "not_converged": Quantity(counts["not converged"]),
            "failed": Quantity(sum(counts.values()) - counts["done"] - counts["not converged"]),
            "working_time": Quantity(sum(one or 0.0 for one in self.table["wall_s"]), "s"),
        }
        if self._undone:
            for name in ("task", "state", "cause"):
                quantities[f"undone_{name}"] = Quantity([self.table[name][k] for k in self._undone])
        for recipe, (rows, headlines) in self._recipes().items():
            for name in ("task", "state", *headlines, *map(_error_of, headlines), "outcome"):
                words, unit = _apart(name)
                values = [self.table[name][k] for k in rows] if name in self.table else []
                if any(value not in (None, "") for value in values):
                    quantities[f"{recipe}_{words}"] = Quantity(values, unit)
        return quantities

    @property
    def _undone(self) -> list[int]:
        """Numbers of the tasks that did not reach what they were asked for."""
        return [k for k, state in enumerate(self.table["state"]) if state != "done"]

    def _recipes(self) -> dict[str, tuple[list[int], list[str]]]:
        """Return the rows of each recipe, and which of the numbers that recipes put first it has."""
        recipes: dict[str, tuple[list[int], list[str]]] = {}
        for recipe in dict.fromkeys(self.table["recipe"]):
            rows = [k for k, one in enumerate(self.table["recipe"]) if one == recipe]
            wanted = self.headlines.get(recipe, [])
            own = [name for name in wanted if any(self.table[name][k] is not None for k in rows)]
            recipes[recipe] = rows, own[:MOST_NUMBERS]
        return recipes

    @property
    @override
    def outcome(self) -> str:
        counts = Counter(self.table["state"])
        return ", ".join(f"{number} {word}" for word, number in counts.items())

    @property
    @override
    def basis(self) -> str:
        return f"{len(self.table['task'])} tasks of {', '.join(dict.fromkeys(self.table['recipe']))}"

    @override
    def headline(self) -> tuple[str, ...]:
        return ("done", "not_converged", "failed")

    @override
    def tables(self) -> dict[str, QuantityTable]:
        tables = {}
        if self._undone:
            columns = {f"undone_{name}": (name, 0) for name in ("task", "state", "cause")}
            tables["undone"] = QuantityTable("Tasks that did not reach what they were asked for, and why.", columns)
        for recipe, (rows, headlines) in self._recipes().items():
            columns = {f"{recipe}_{name}": (name, 0) for name in ("task", "state")}
            for name in headlines:
                (words, unit), error = _apart(name), _error_of(name)
                errors = [self.table[error][k] for k in rows] if error in self.table else []
                decimals = _decimals([self.table[name][k] for k in rows], errors, unit)
                columns[f"{recipe}_{words}"] = (readable(words), decimals)
                columns[f"{recipe}_{_apart(error)[0]}"] = ("±", _decimals(errors, errors, unit) if any(errors) else 0)
            columns[f"{recipe}_outcome"] = ("outcome", 0)
            tables[recipe] = QuantityTable(f"{recipe}: each task, and the numbers that the recipe puts first.", columns)
        return tables

    @override
    def captions(self) -> dict[str, str]:
        caption = "The first number of each recipe by the number of the task, with its error where it has one."
        return {"numbers": caption}

    @override
    def figures(self) -> dict[str, Figure]:
        shown = {
            recipe: (rows, headlines[0])
            for recipe, (rows, headlines) in self._recipes().items()
            if headlines and sum(self.table[headlines[0]][k] is not None for k in rows) > 1
        }
        if not shown:
            return {}
        labels = [(recipe, *_apart(name)) for recipe, (_, name) in shown.items()]
        figure, panels = new_panels(
            [("task", f"{recipe}: {readable(words)} ({typeset_unit(unit)})") for recipe, words, unit in labels]
        )
        for axes, (rows, name) in zip(panels, shown.values(), strict=True):
            errors = self.table.get(_error_of(name))
            known = [k for k in rows if self.table[name][k] is not None]
            axes.errorbar(
                [k + 1 for k in known],
                [self.table[name][k] for k in known],
                yerr=None if errors is None else [errors[k] or 0.0 for k in known],
                fmt="o",
                capsize=3,
            )
            axes.set_xticks([k + 1 for k in known[:: 1 + len(known) // FEW]])
        return {"numbers": figure}

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_text(path(TABLE), csv_text(self.table))
        try:
            pandas = import_optional("pandas", extra="notebook", purpose="campaign.parquet")
            import_optional("pyarrow", extra="parquet", purpose="campaign.parquet")
        except ImportError:
            return
        with atomic_path(path("campaign.parquet")) as temporary:
            pandas.DataFrame(self.table).to_parquet(temporary)

    @override
    def to_dataframe(self) -> Any:
        """Return the table as one of pandas: a row for each task.

        Raises
        ------
        MissingPackageError
            pandas is not installed.
        """
        return import_optional("pandas", extra="notebook", purpose="a table of pandas").DataFrame(self.table)


def _apart(name: str) -> tuple[str, str]:
    """Split `density (g/cm^3)` into name and unit."""
    words, bracket, unit = name.partition(" (")
    return words, unit.removesuffix(")") if bracket else ""


def _error_of(name: str) -> str:
    """Return the column with the errors of `density (g/cm^3)`."""
    words, unit = _apart(name)
    return f"{words}_error ({unit})" if unit else f"{words}_error"


def _decimals(values: Sequence[float | None], errors: Sequence[float | None], unit: str) -> int:
    """Choose the decimals of a column: those of its most certain number, or four significant digits of its largest."""
    known = [one for one in values if one is not None]
    if all(isinstance(one, int) for one in known):
        return 0
    both = [(value, error) for value, error in zip(values, errors, strict=False) if value is not None and error]
    if both:
        return max(0, *(decimals_of(value, error, unit) for value, error in both))
    largest = max(map(abs, known))
    return max(DECIMALS.get(unit, 0), 3 - math.floor(math.log10(largest)) if largest else 0)
