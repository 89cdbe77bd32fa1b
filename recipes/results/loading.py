"""`load_result`: the result of a finished run, back from its directory."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

from dp_sim.errors import InputError
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.stored import STORED, decoded_fields, read_stored


def load_result(directory: str | os.PathLike[str]) -> Result:
    """Give back the result of a finished run, of any recipe.

    Parameters
    ----------
    directory
        What `-o` or `out` named, or where `Result.save` wrote.

    Returns
    -------
    Result
        Of the recipe's own class, with every field: numbers, arrays, structures with their energies. Trajectories are
        read from the directory when they are asked for.

    Raises
    ------
    InputError
        No directory of a finished run, a damaged file, or one that this version does not read.

    Examples
    --------
    >>> run = load_result("npt")  # doctest: +SKIP
    >>> run.density_g_cm3.value, run.density_g_cm3.ci95  # doctest: +SKIP
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise InputError("file-missing", f"there is no directory {directory}; give that of a finished run")
    if (directory / STORED).is_file() and not (directory / "result.json").is_file():
        raise InputError("run-unfinished", f"the run in {directory} has not ended; continue it with --resume")
    tree, arrays = read_stored(directory / STORED)
    kind = _class_of(tree["class"], tree["module"], directory)
    fields = decoded_fields(kind, tree["fields"], arrays)
    for name, read in kind.read_from_directory().items():
        fields[name] = read(directory)
    try:
        return kind(**{**fields, "directory": directory})
    except TypeError as error:
        raise InputError(
            "result-invalid",
            f"{directory / STORED} lacks what a {kind.__name__} of this version holds ({error}); run the recipe again "
            "with --overwrite",
        ) from error


def _class_of(name: str, module: str, directory: Path) -> type[Result]:
    """Find a class of results by its name: where it was, else where it has moved to."""
    for candidate in _modules(module):
        try:
            found = getattr(importlib.import_module(candidate), name, None)
        except ImportError:
            continue
        if isinstance(found, type) and issubclass(found, Result):
            return found
    raise InputError(
        "result-invalid", f"{directory} holds a {name}, which this dp-sim does not have; use the version that made it"
    )


def _modules(module: str) -> Iterator[str]:
    if module.startswith("dp_sim.recipes."):
        yield module
    recipes = importlib.import_module("dp_sim.recipes")
    yield from recipes.exported_modules()
