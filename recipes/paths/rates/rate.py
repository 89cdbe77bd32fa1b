"""From two structures to a rate constant with a verdict: the recipes on paths, one after the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ase import Atoms

from dp_sim.config.recipe import documented
from dp_sim.errors import InputError
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.paths.band.find import GUIDE_FMAX, find_path
from dp_sim.recipes.paths.irc.follow import IrcResult, follow_irc
from dp_sim.recipes.paths.rates.chain.rate import ChainRate, theory
from dp_sim.recipes.paths.rates.chain.result import RateResult
from dp_sim.recipes.paths.rates.chain.search import ChainSearch
from dp_sim.recipes.paths.rates.rate_constant import rate_constant
from dp_sim.recipes.paths.rates.reacting import check_same_matter, reacting_molecules
from dp_sim.recipes.paths.rates.settings import RateSettings
from dp_sim.recipes.paths.rates.stages import Stages
from dp_sim.recipes.paths.saddle.ts import refine_ts
from dp_sim.recipes.run.directory import RunDirectory

__all__ = ["RateResult", "reaction_rate"]


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

    `find_path`, `refine_ts`, `follow_irc` and `rate_constant`, each in a folder of `out` and with its own page. The
    band only leads to the transition state, so it is relaxed to 0.25 eV/Angstrom, and one that does not converge is no
    failure by itself: the transition state and the reaction coordinate decide.

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
    `resume` takes finished stages as they are and goes on with the first that is not, as that recipe can. Costs are
    those of all sessions, but for what a session that was killed (not Ctrl-C or SIGTERM) spent on its last stage.
    """
    settings = RateSettings.taken_from(locals())
    for end, name in ((reactant, "the reactant"), (product, "the product")):
        reacting_molecules(end, settings.molecularity if end is reactant else "auto", name)
    start = prepare_atoms(reactant, calc, "the reactant")
    check_same_matter([reactant], prepare_atoms(product, start.calc, "the product"), None, "the product")
    with RunDirectory.of(
        settings, out, structures=[reactant, product], calculator=start.calc, overwrite=overwrite, resume=resume
    ) as run:
        stages = Stages(run, start.calc, overwrite=overwrite, progress=progress, seed=settings.seed)
        return run.finish(_result(stages, reactant, product, settings))


def _result(stages: Stages, reactant: Atoms, product: Atoms, settings: RateSettings) -> RateResult:
    calc = stages.calculator
    images, match = settings.images, settings.match_atoms
    band = stages.do(
        "neb",
        lambda **keywords: find_path(
            reactant, product, calc, images=images, match_atoms=match, fmax=GUIDE_FMAX, **keywords
        ),
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
    ends = (band.images[0], band.images[-1])
    search = ChainSearch(stages, band, _molecules(ends[0], settings), images)
    found = search.steps(saddle, irc)
    if len(found) > 1:
        try:
            return ChainRate(stages, found, search.network.minima, settings).result(remarks)
        except InputError as error:  # of a structure on the way, which nobody gave
            search.words.append(f"the reaction has {len(found)} steps, and one of them cannot be computed: {error}")
    top, irc = (found[0].saddle, found[0].irc) if found else (saddle.atoms, irc)
    rate = stages.do(
        "rate-constant",
        lambda **keywords: rate_constant(
            ends[0].copy(), top, calc, product=ends[1].copy(), irc=irc, **theory(settings), **keywords
        ),
        again=True,
    )
    reasons = (*rate.reasons, *remarks, *search.words) if rate.reasons else ()
    values = {one.name: getattr(rate, one.name) for one in fields(rate)}
    changed = {"reasons": reasons, "cause": "FAIL: " + "; ".join(reasons) if reasons else ""}
    return RateResult(**{**values, **changed, "costs": (*stages.costs[:-1], *rate.costs)})


def _molecules(reactant: Atoms, settings: RateSettings) -> tuple[Atoms, ...]:
    """Return what reacts, with its energy where it is one."""
    given = reacting_molecules(reactant, settings.molecularity).structures
    return (reactant,) if len(given) == 1 else given
