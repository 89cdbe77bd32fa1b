"""From two structures to a rate constant with a verdict: the recipes on paths, one after the other."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ase import Atoms

from dp_sim.config.recipe import documented
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.paths.band.find import find_path
from dp_sim.recipes.paths.irc.follow import IrcResult, follow_irc
from dp_sim.recipes.paths.rates.costs import Cost, counted
from dp_sim.recipes.paths.rates.rate_constant import rate_constant
from dp_sim.recipes.paths.rates.reacting import check_same_matter, reacting_molecules
from dp_sim.recipes.paths.rates.result import RateConstantResult
from dp_sim.recipes.paths.rates.settings import RateSettings, TheorySettings
from dp_sim.recipes.paths.rates.several_steps import several_steps
from dp_sim.recipes.paths.saddle.ts import refine_ts
from dp_sim.recipes.results.loading import load_result
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.run.directory import RunDirectory

#: Folders of the stages, in their order.
STAGES = ("neb", "ts", "irc", "rate-constant")
#: What the finished stages cost, for a run that is resumed.
COSTS = "stages.json"
AnyResult = TypeVar("AnyResult", bound=Result)


@dataclass(frozen=True, kw_only=True)
class RateResult(RateConstantResult):
    """The same, with its way from the two structures given; the stages are in folders of the run's directory."""

    recipe: ClassVar[str] = "rate"
    title: ClassVar[str] = "Reaction rate"


@documented(RateSettings)
def reaction_rate(
    reactant: Atoms,
    product: Atoms,
    calc: Any,
    *,
    temperature_K: float = 300.0,
    temperature_min_K: float = 200.0,
    temperature_max_K: float = 1000.0,
    temperature_step_K: float = 50.0,
    pressure_bar: float = 1.0,
    thermo: str = "auto",
    tunnelling: str = "auto",
    molecularity: str = "auto",
    path_degeneracy: float | None = None,
    spin_multiplicity: int | None = None,
    isotopes: Sequence[str] = (),
    members: str = "stationary",
    trust_eV_A: float = 0.15,
    trust_log10: float = 1.0,
    fmax: float = 0.02,
    images: int | None = None,
    match_atoms: bool = False,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> RateResult:
    """Find path, transition state and reaction coordinate between two minima, and the rate constant.

    `find_path`, `refine_ts`, `follow_irc` and `rate_constant`, each in a folder of `out` and with its own page. A band
    that does not converge is no failure by itself: the transition state and the reaction coordinate decide.

    Parameters
    ----------
    reactant, product : ase.Atoms
        The ends: the same atoms in the same cell, and in the same order unless `match_atoms` finds it.
    calc : Calculator, path or sequence of paths
        An ASE calculator, a model file, or a list of model files (a committee: error bars).

    Returns
    -------
    RateResult
        The rate constant, with the costs of all stages; `verdict` is PASS or FAIL, `reasons` say why.

    Raises
    ------
    InputError
        From the recipes of the stages.

    Notes
    -----
    `resume` takes finished stages as they are and goes on with the first that is not, as that recipe can.
    """
    settings = RateSettings.taken_from(locals())
    for end, name in ((reactant, "the reactant"), (product, "the product")):
        reacting_molecules(end, settings.molecularity if end is reactant else "auto", name)
    start = prepare_atoms(reactant, calc, "the reactant")
    check_same_matter([reactant], prepare_atoms(product, start.calc, "the product"), None, "the product")
    with RunDirectory.of(
        settings, out, structures=[reactant, product], calculator=start.calc, overwrite=overwrite, resume=resume
    ) as run:
        stages = _Stages(run, start.calc, overwrite=overwrite, progress=progress, seed=settings.seed)
        return run.finish(_result(stages, reactant, product, settings))


def _result(stages: _Stages, reactant: Atoms, product: Atoms, settings: RateSettings) -> RateResult:
    calc = stages.calculator
    images, match = settings.images, settings.match_atoms
    band = stages.do(
        "neb", lambda **keywords: find_path(reactant, product, calc, images=images, match_atoms=match, **keywords)
    )
    remarks = [] if band.converged else [f"the band did not converge ({band.cause}); its highest image was taken"]
    saddle = stages.do("ts", lambda **keywords: refine_ts(band.highest, calc, **keywords))
    irc: IrcResult | None = None
    if saddle.converged:
        irc = stages.do("irc", lambda **keywords: follow_irc(saddle, calc, **keywords))
    else:
        remarks.append(f"the search for the transition state did not converge ({saddle.cause})")
    for sentence in remarks:
        stages.run.note(sentence)
    theory = {name: getattr(settings, name) for name in TheorySettings.model_fields if name != "seed"}
    ends = [image.copy() for image in (band.images[0], band.images[-1])]
    rate = stages.do(
        "rate-constant",
        lambda **keywords: rate_constant(ends[0], saddle.atoms, calc, product=ends[1], irc=irc, **theory, **keywords),
        again=True,
    )
    values = {one.name: getattr(rate, one.name) for one in fields(rate)}
    reasons = rate.reasons
    if reasons:
        reasons += (*remarks, *filter(None, [several_steps(band, irc, stages.run.directory)]))
    return RateResult(
        **{
            **values,
            "reasons": reasons,
            "cause": "FAIL: " + "; ".join(reasons) if reasons else "",
            "costs": (*stages.costs[:-1], *rate.costs),
        }
    )


class _Stages:
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
        if not (again or self._fresh) and folder is not None and self.run.resumed and _is_finished(folder):
            self.run.log(f"{name}: taken from {folder}")
            self.costs.append(Cost(*self._earlier.get(name, (name, 0, 0, 0.0))))
            return load_result(folder)  # type: ignore[return-value]
        started = folder is not None and folder.is_dir()
        goes_on = started and self.run.resumed and not again and not self._fresh
        keywords: dict[str, Any] = {"out": folder, "resume": goes_on, "overwrite": started and not goes_on}
        self._fresh = True  # what follows is of another start now
        with counted(self.calculator) as counter:
            result = recipe(**keywords, **self._keywords)
        self.costs.append(counter.cost(name))
        self.run.log(f"{name}: {'converged' if result.converged else result.cause}")
        self._save()
        return result

    def _save(self) -> None:
        if self._file is not None:
            self._file.write_text(json.dumps({cost.stage: cost for cost in self.costs}))


def _is_finished(folder: Path) -> bool:
    """Tell whether a stage ended with what it was asked for."""
    if not (folder / "result.json").is_file():
        return False
    return bool(json.loads((folder / "result.json").read_text(encoding="utf-8"))["converged"])
