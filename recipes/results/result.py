"""`Result`: what a recipe returns."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ase import Atoms

from dp_sim.errors import InputError, import_optional, nearest_name
from dp_sim.files import atomic_path, write_text
from dp_sim.recipes.results.formatting import atoms_words, plain
from dp_sim.recipes.results.manifest import Manifest, claim_directory
from dp_sim.recipes.results.page.html import ANIMATION, report_html, result_fragment
from dp_sim.recipes.results.page.viewing import View, view_of
from dp_sim.recipes.results.png import png_of
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import QuantityTable, tables_of, values_apart
from dp_sim.recipes.results.result_file import SCHEMA_VERSION
from dp_sim.recipes.results.stored import STORED, write_stored

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Result:
    """Base of every recipe's result. A subclass adds its fields and says in `quantities` what goes into result.json.

    Attributes
    ----------
    recipe
        The recipe's name, as on the command line.
    title
        The headline of its report.
    converged
        Whether the recipe reached what it was asked for.
    cause
        Where it did not, the reason as a sentence; else empty.
    provenance
        Versions, hashes, seed, wall time (seconds): see `RunDirectory.provenance`.
    directory
        Where its files are; None for a run without files.
    """

    recipe: ClassVar[str]
    title: ClassVar[str]

    converged: bool
    cause: str = ""
    provenance: dict[str, Any] = field(default_factory=dict, repr=False)
    directory: Path | None = field(default=None, repr=False)

    def quantities(self) -> dict[str, Quantity | Estimate]:
        """Return the numbers by name, in the order in which they are shown."""
        raise TypeError(f"{type(self).__name__} must define quantities()")

    def labels(self) -> dict[str, str]:
        """Return what pages call a quantity, by its name, where that is not the name in words."""
        return {}

    def headline(self) -> tuple[str, ...]:
        """Return the names of the numbers that were asked for, three at most: pages show them first and large."""
        return ()

    @property
    def basis(self) -> str:
        """What the numbers rest on, as one line: atoms, length of a run, ...; empty where nothing is to be said."""
        atoms = getattr(self, "atoms", None)
        return atoms_words(atoms) if isinstance(atoms, Atoms) else ""

    def captions(self) -> dict[str, str]:
        """Return what is to be seen in a figure, as a sentence, by its name."""
        return {}

    def tables(self) -> dict[str, QuantityTable]:
        """Return which of the quantities are shown side by side, by the name of the table."""
        return {}

    def animation(self) -> dict[str, Any] | None:
        """Return what the page animates, as the viewer in `templates/viewer.js` reads it; None: nothing moves."""
        return None

    def figures(self) -> dict[str, Figure]:
        """Draw the figures by name; each is saved as NAME.png and shown in the report."""
        return {}

    def write_data(self, path: Callable[[str], Path]) -> None:
        """Write structures, tables and arrays.

        Parameters
        ----------
        path
            Gives the place of a file by its name.
        """

    @classmethod
    def read_from_directory(cls) -> Mapping[str, Callable[[Path], Any]]:
        """Return which fields result.npz does not hold, because a file of their own does: how each is read from there.

        `load_result` calls them with the run's directory.
        """
        return {}

    def to_dataframe(self) -> Any:
        """Return the numbers as a table of pandas: a row for each, with value, both errors, unit and cause.

        Raises
        ------
        MissingPackageError
            pandas is not installed.
        """
        pandas = import_optional("pandas", extra="notebook", purpose="a table of pandas")
        rows = {name: {"model_error": None, **quantity.to_dict()} for name, quantity in self.quantities().items()}
        return pandas.DataFrame.from_dict(
            rows, orient="index", columns=["value", "error", "model_error", "unit", "cause"]
        )

    def plot(self, name: str | None = None) -> Figure:
        """Draw one figure.

        Parameters
        ----------
        name
            One of `figures()`; None draws the first.

        Returns
        -------
        matplotlib.figure.Figure
            A figure that a notebook shows by itself.

        Raises
        ------
        InputError
            There is no such figure.
        """
        figures = self.figures()
        name = next(iter(figures), "") if name is None else name
        if name not in figures:
            raise InputError(
                "figure-unknown",
                f"{type(self).__name__} has no figure '{name}'; it has: {', '.join(figures) or 'none'}"
                + nearest_name(name, figures),
            )
        return figures[name]

    def view(self) -> View:
        """Show the structure in three dimensions, with its frames or modes playing, as on the page.

        Returns
        -------
        View
            A notebook shows it by itself, without a network; `save(FILE)` writes a page.

        Raises
        ------
        InputError
            The result has no structure.
        """
        animation = self.animation()
        if animation is None:
            raise InputError(
                "view-missing", f"{type(self).__name__} has no structure to look at; plot() draws its figures"
            )
        return view_of(self.title, animation)

    def write(self, path: Callable[[str], Path]) -> None:
        """Write data, plots, report.html and, last, result.json: where that stands, all the rest does too.

        Parameters
        ----------
        path
            Gives the place of a file by its name.
        """
        self.write_data(path)
        plots = {name: png_of(figure) for name, figure in self.figures().items()}
        for name, png in plots.items():
            with atomic_path(path(f"{name}.png")) as temporary:
                temporary.write_bytes(png)
        content, animation = self.to_dict(), self.animation()
        if animation is not None:
            write_text(path(ANIMATION), json.dumps(animation, allow_nan=False, separators=(",", ":")))
        write_text(path("report.html"), report_html(content, plots, animation))
        apart = {*self.read_from_directory(), "directory"}
        kept = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in apart}
        write_stored(path(STORED), type(self).__name__, type(self).__module__, kept)
        write_text(path("result.json"), json.dumps(content, indent=1, allow_nan=False) + "\n")

    def save(self, directory: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write result.json, report.html, plots and data into a directory, as a recipe with `out=` does.

        Parameters
        ----------
        directory
            Made where it does not exist.
        overwrite
            Replace an earlier run in it.

        Raises
        ------
        InputError
            The directory is not empty (`overwrite` replaces a dp-sim run only) or cannot be written.
        """
        directory = Path(directory)
        claim_directory(directory, replace=overwrite)
        manifest = Manifest(self.recipe)
        self.write(lambda name: manifest.add(directory, name))

    def summary(self) -> str:
        """Return the verdict and the numbers as text, one a line, and the tables."""
        content, numbers = self.to_dict(), self.quantities()
        lines = [f"  {name}: {numbers[name]}" for name in values_apart(content)]
        return "\n".join([self._headline, *lines, *(table.text() for table in tables_of(content))])

    @property
    def _headline(self) -> str:
        """Title, and whether it converged, with the cause where it did not."""
        state = "converged" if self.converged else f"not converged: {self.cause}"
        return f"{self.title}: {state}" + (f"; {self.outcome}" if self.outcome and self.converged else "")

    @property
    def outcome(self) -> str:
        """What was found, as a phrase beside the verdict on convergence, where a recipe has one; else empty."""
        return ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep the short `repr` below: `dataclass` would give each subclass one that prints every array."""
        super().__init_subclass__(**kwargs)
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = Result.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        """Return one line: title and verdict. The numbers are in `summary()`, the arrays in the attributes."""
        return f"<{type(self).__name__}: {self._headline}>"

    def __str__(self) -> str:
        """Return `summary()`: what `print(result)` shows."""
        return self.summary()

    def _repr_html_(self) -> str:
        """Show the verdict, the numbers and the plots in a notebook."""
        return result_fragment(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of result.json: numbers only where they are known, no NaN."""
        tables, labels, values = self.tables(), self.labels(), self.quantities()
        headline = [name for name in self.headline() if name in values]
        return {
            "schema": SCHEMA_VERSION,
            "recipe": self.recipe,
            "title": self.title,
            "converged": self.converged,
            "cause": self.cause,
            **({"outcome": self.outcome} if self.outcome else {}),
            **({"basis": self.basis} if self.basis else {}),
            **({"headline": headline} if headline else {}),
            **({"captions": captions} if (captions := self.captions()) else {}),
            "values": {name: quantity.to_dict() for name, quantity in values.items()},
            **({"tables": {name: table.to_dict() for name, table in tables.items()}} if tables else {}),
            **({"labels": labels} if labels else {}),
            "provenance": plain(self.provenance),
        }
