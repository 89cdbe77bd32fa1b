"""The stages of a rate, each a recipe in a folder of the run: run, or taken from an earlier session."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from dp_sim.files import write_text
from dp_sim.recipes.paths.rates.costs import Cost, counted
from dp_sim.recipes.results.loading import load_result
from dp_sim.recipes.results.manifest import remove_run
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.run.directory import RunDirectory

#: What the stages cost so far, for a run that is resumed.
COSTS = "stages.json"
#: Stages of a search, of which each goes on from the one before.
SEARCHING = ("neb", "ts", "irc")
#: Folders of stages that not every run has.
SEARCH, STEP = "search-{}", "step-{}"
AnyResult = TypeVar("AnyResult", bound=Result)
Anything = TypeVar("Anything")


class Stages:
    """Runs the stages in folders of a run; what an earlier session finished is taken from there.

    Parameters
    ----------
    run
        Of the whole.
    calculator
        Of all stages.
    overwrite, progress, seed
        As for the recipes.

    Attributes
    ----------
    costs
        Of the stages so far, those of earlier sessions among them.
    """

    def __init__(self, run: RunDirectory, calculator: Any, *, overwrite: bool, progress: bool, seed: int) -> None:
        self.run, self.calculator = run, calculator
        self._keywords = {"progress": progress, "seed": seed}
        self._overwrite, self._fresh = overwrite, False
        self.costs: list[Cost] = []
        file = run.path(COSTS)
        self._file = file
        self._earlier = json.loads(file.read_text()) if run.resumed and file is not None and file.is_file() else {}
        if overwrite and run.directory is not None:
            _remove_further(run.directory)

    def do(self, name: str, recipe: Callable[..., AnyResult], *, again: bool = False) -> AnyResult:
        """Run a stage, or take what it gave before.

        Parameters
        ----------
        name
            Its folder.
        recipe
            Takes the keywords that all recipes take.
        again
            Do it again in any case: its settings may have changed.
        """
        folder = None if self.run.directory is None else self.run.directory / name
        if not (again or self._fresh) and folder is not None and self.run.resumed and self._is_done(name, folder):
            self.run.log(f"{name}: taken from {folder}")
            self.costs.append(Cost(*self._earlier.get(name, (name, 0, 0, 0.0))))
            return load_result(folder)  # type: ignore[return-value]
        started = folder is not None and folder.is_dir()
        goes_on = started and self.run.resumed and not again and not self._fresh
        keywords: dict[str, Any] = {"out": folder, "resume": goes_on, "overwrite": started and not goes_on}
        self._fresh = True  # what follows is of another start now
        earlier = Cost(*self._earlier[name]) if goes_on and name in self._earlier else None
        result = self.count(name, lambda: recipe(**keywords, **self._keywords), earlier)
        self.run.log(f"{name}: {'converged' if result.converged else result.cause}")
        return result

    def _is_done(self, name: str, folder: Path) -> bool:
        """Tell whether an earlier session ended a stage: converged, or with what the next stage went on from."""
        file = folder / "result.json"
        if not file.is_file():
            return False
        passed = [stage for stage in self._earlier if stage.rpartition("/")[2] in SEARCHING][:-1]
        return name in passed or bool(json.loads(file.read_text(encoding="utf-8"))["converged"])

    def count(self, name: str, work: Callable[[], Anything], earlier: Cost | None = None) -> Anything:
        """Do a part of the work, and note what it and `earlier` sessions of it cost, also where it is cut off."""
        with counted(self.calculator) as counter:
            try:
                return work()
            finally:
                cost = counter.cost(name)
                self.costs.append(cost if earlier is None else cost.with_earlier(earlier))
                if self._file is not None:
                    write_text(self._file, json.dumps({cost.stage: cost for cost in self.costs}))


def _remove_further(directory: Path) -> None:
    """Remove the stages of an earlier run that this one may not have, so that none of them is taken for its own."""
    for folder in (*directory.glob(SEARCH.format("*/*")), *directory.glob(STEP.format("*"))):
        if folder.is_dir():
            remove_run(folder)
    for folder in directory.glob(SEARCH.format("*")):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
