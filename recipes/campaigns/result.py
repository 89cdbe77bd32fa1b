"""The result of a campaign: its table, how many tasks ended in which way, and the first number of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from dp_sim.errors import import_optional
from dp_sim.files import atomic_path, write_text
from dp_sim.recipes.campaigns.table import csv_text
from dp_sim.recipes.results.figures import new_panels
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import QuantityTable
from dp_sim.recipes.results.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE = "campaign.csv"
#: Tasks that are all numbered below a plot.
FEW = 12


@dataclass(frozen=True, kw_only=True)
class CampaignResult(Result):
    """A campaign whose tasks have ended.

    Attributes
    ----------
    table
        Column -> a value for each task: what campaign.csv holds.
    headlines
        Names (with unit, as in `table`) of the numbers that the recipes put first.
    """

    recipe: ClassVar[str] = "campaign"
    title: ClassVar[str] = "Campaign"

    table: dict[str, list[Any]]
    headlines: tuple[str, ...]

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
        for name in ("task", "state", "outcome", "cause"):
            quantities[f"each_{name}"] = Quantity(list(self.table[name]))
        for name in self.headlines:
            words, unit = _apart(name)
            quantities[f"each_{words}"] = Quantity(list(self.table[name]), unit)
        return quantities

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
        columns = {f"each_{name}": (name, 0) for name in ("task", "state", "outcome", "cause") if any(self.table[name])}
        columns.update({f"each_{_apart(name)[0]}": (_apart(name)[0].replace("_", " "), 5) for name in self.headlines})
        return {"tasks": QuantityTable("Tasks: how each ended, and the numbers that its recipe puts first.", columns)}

    @override
    def captions(self) -> dict[str, str]:
        return {"numbers": "The first number of each recipe, task by task, with its error where it has one."}

    @override
    def figures(self) -> dict[str, Figure]:
        shown = [name for name in self.headlines if sum(one is not None for one in self.table[name]) > 1][:3]
        if not shown:
            return {}
        labels = [(words.replace("_", " "), unit) for words, unit in map(_apart, shown)]
        figure, panels = new_panels([("task", f"{words} ({unit})" if unit else words) for words, unit in labels])
        for axes, name in zip(panels, shown, strict=True):
            words, unit = _apart(name)
            errors = self.table.get(f"{words}_error ({unit})" if unit else f"{words}_error")
            points = [(k, value) for k, value in enumerate(self.table[name], start=1) if value is not None]
            numbers, values = [k for k, _ in points], [value for _, value in points]
            axes.errorbar(
                numbers,
                values,
                yerr=None if errors is None else [errors[k - 1] or 0.0 for k in numbers],
                fmt="o",
                capsize=3,
            )
            axes.set_xticks(numbers if len(numbers) <= FEW else numbers[:: len(numbers) // FEW])
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
