"""Rate constant by transition-state theory, and whether it is to be believed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from ase import Atoms

from dp_sim.config.recipe import documented
from dp_sim.errors import InputError, import_optional
from dp_sim.recipes.inputs.forces import mobile_atoms
from dp_sim.recipes.inputs.isotopes import with_isotopes
from dp_sim.recipes.inputs.structures import check_structure, prepare_atoms
from dp_sim.recipes.paths.irc.follow import IrcResult
from dp_sim.recipes.paths.rates.reacting import Molecules, check_same_matter, reacting_molecules
from dp_sim.recipes.paths.rates.result import RateConstantResult
from dp_sim.recipes.paths.rates.settings import RateConstantSettings
from dp_sim.recipes.paths.rates.work import Work
from dp_sim.recipes.paths.saddle.ts import TransitionStateResult
from dp_sim.recipes.run.directory import RunDirectory

Structures: TypeAlias = Atoms | Sequence[Atoms]


@documented(RateConstantSettings)
def rate_constant(
    reactant: Structures,
    ts: Atoms | TransitionStateResult,
    calc: Any,
    *,
    product: Structures | None = None,
    irc: IrcResult | None = None,
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
    relax: bool = True,
    follow_path: bool = True,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> RateConstantResult:
    """Compute a rate constant by transition-state theory, with a verdict on what it rests on.

    Eyring's equation with the partition functions of `vibrations`, tunnelling by Eckart's barrier, and the symmetry of
    the reaction path: see `dp_sim.recipes.paths.rates.theory.eyring`.

    Parameters
    ----------
    reactant : ase.Atoms or sequence of ase.Atoms
        A minimum, or the two molecules of a bimolecular reaction, each by itself.
    ts : ase.Atoms or TransitionStateResult
        The saddle point, relaxed; or what `refine_ts` returned.
    calc : Calculator, path or sequence of paths
        An ASE calculator, a model file, or a list of model files (a committee: error bars).
    product : ase.Atoms or sequence of ase.Atoms, default None
        The minimum on the other side. None: where the reaction coordinate ends.
    irc : IrcResult, default None
        What `follow_irc` returned for this saddle point. None: it is followed here.

    Returns
    -------
    RateConstantResult
        `verdict` is PASS, and `converged` true, only if both ends are minima, the saddle point has one imaginary mode,
        the reaction coordinate joins the ends, and the members of a committee agree; else `reasons` say why not.

    Raises
    ------
    InputError
        Reactant, transition state and product are not the same atoms, cell or charge; fragments of the reactant that
        are apart, or touch where `molecularity` is unimolecular; a temperature that is not positive; a constraint other
        than `FixAtoms`.
    """
    settings = RateConstantSettings.taken_from(locals())
    molecules = reacting_molecules(reactant, settings.molecularity)
    others = None if product is None else reacting_molecules(product, "auto", "the product")
    guess = ts.atoms if isinstance(ts, TransitionStateResult) else ts
    saddle = check_structure(guess, "the transition state")
    check_same_matter(molecules.structures, saddle, others and others.structures)
    prepared = _Prepared.of(molecules, guess, others, calc)
    _check_settings(settings, prepared)
    structures = [*prepared.reactants, prepared.saddle, *(prepared.products or ())]
    with RunDirectory.of(
        settings, out, structures=structures, calculator=prepared.calculator, overwrite=overwrite, resume=resume
    ) as run:
        for sentence in prepared.notes:
            run.note(sentence)
        work = Work(settings, prepared.reactants, prepared.saddle, prepared.products, run, progress)
        return run.finish(work.result(irc))


@dataclass(frozen=True)
class _Prepared:
    """The structures, checked and with one calculator, before any work."""

    reactants: list[Atoms]
    saddle: Atoms
    products: list[Atoms] | None
    notes: list[str]

    @classmethod
    def of(cls, molecules: Molecules, guess: Atoms, others: Molecules | None, calc: Any) -> _Prepared:
        saddle = prepare_atoms(guess, calc, "the transition state")

        def ready(structures: Sequence[Atoms], name: str) -> list[Atoms]:
            names = [name] if len(structures) == 1 else [f"{name} {number}" for number in range(1, len(structures) + 1)]
            return [prepare_atoms(one, saddle.calc, called) for one, called in zip(structures, names, strict=True)]

        products = None if others is None else ready(others.structures, "the product")
        notes = [*molecules.notes, *(() if others is None else others.notes)]
        return cls(ready(molecules.structures, "the reactant"), saddle, products, notes)

    @property
    def calculator(self) -> Any:
        return self.saddle.calc


def _check_settings(settings: RateConstantSettings, prepared: _Prepared) -> None:
    """Refuse before any work what could only be refused after it."""
    for atoms in (*prepared.reactants, prepared.saddle, *(prepared.products or ())):
        mobile_atoms(atoms)
    if settings.isotopes:
        _check_isotope_order(settings.isotopes, prepared)
        with_isotopes(prepared.saddle, settings.isotopes)
    free = not prepared.saddle.pbc.any() and not prepared.saddle.constraints
    if free and settings.thermo != "harmonic" and settings.path_degeneracy is None:
        import_optional("pymsym", extra="symmetry", purpose="symmetry numbers (unless path_degeneracy is given)")


def _check_isotope_order(isotopes: Sequence[str], prepared: _Prepared) -> None:
    """Refuse indices where the atoms of the structures are in another order: they would label other atoms."""
    numbered = [entry for entry in isotopes if entry.partition("=")[0].strip().isdecimal()]
    sides = [prepared.reactants, *([prepared.products] if prepared.products else [])]
    for side in sides:
        numbers = np.concatenate([atoms.numbers for atoms in side])
        if numbered and not np.array_equal(numbers, prepared.saddle.numbers):
            raise InputError(
                "isotope-order",
                f"isotopes: '{numbered[0]}' names an atom by its index, and the elements of reactant, transition state "
                "and product are in different orders; give all in one order, or name elements (H=D)",
            )
