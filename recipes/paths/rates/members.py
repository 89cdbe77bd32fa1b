"""Error bars of a committee: every member finds its own stationary points, barrier and rate constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.errors import DPSimError
from dp_sim.recipes.inputs.forces import energies_and_forces
from dp_sim.recipes.inputs.members import member_calculators, spread_worth
from dp_sim.recipes.paths.rates.costs import counted
from dp_sim.recipes.paths.rates.theory.eyring import Rates
from dp_sim.recipes.paths.rates.theory.states import State
from dp_sim.recipes.paths.saddle.ts import refine_ts
from dp_sim.recipes.static.opt import optimize
from dp_sim.recipes.static.vib import vibrations
from dp_sim.uncertainty.derived import SpreadWorth

Array = NDArray[np.float64]
#: Minima and saddle points are relaxed to this share of `fmax`.
TIGHT = 0.25


class MemberRates(NamedTuple):
    """What K members found that have the reaction, at T temperatures.

    Attributes
    ----------
    barriers_eV, reaction_energies_eV
        (K,) potential energies; the latter NaN without a product.
    frequencies_cm1
        (K,) of the imaginary mode, negative.
    log10_rates
        (K, T).
    failures
        Which members do not have the reaction, and why: a clause each.
    force_calls, hessian_calls
        What all of them were asked together.
    log10_equilibria
        (K, T); None without a product.
    ground_barriers_eV
        (K,) barriers with zero-point energies; None of several steps in a row.
    gibbs_eV
        (K, T) free energies of activation; None of several steps in a row.
    worth
        What the spread of these members is worth; None for fewer than two.
    """

    barriers_eV: Array
    reaction_energies_eV: Array
    frequencies_cm1: Array
    log10_rates: Array
    failures: tuple[str, ...]
    force_calls: int = 0
    hessian_calls: int = 0
    log10_equilibria: Array | None = None
    ground_barriers_eV: Array | None = None
    gibbs_eV: Array | None = None
    worth: SpreadWorth | None = None

    def std(self, name: str) -> Any:
        """Compute the standard deviation of one of the arrays over the members; None with fewer than two."""
        values = getattr(self, name)
        return None if len(values) < 2 else values.std(axis=0, ddof=1)


#: Reactant and product of a member, and where its saddle point is searched.
Start = tuple[Sequence[Atoms], Atoms, Sequence[Atoms]]


def stationary_state(structures: Sequence[Atoms], calc: Any, fmax: float, *, relax: bool) -> State:
    """Relax structures where asked, and find their normal modes."""
    parts = []
    for atoms in structures:
        # A Hessian by itself tells a minimum: one atom has none to look at.
        moved = optimize(atoms, calc, fmax=TIGHT * fmax, progress=False).atoms if relax and len(atoms) > 1 else atoms
        parts.append(vibrations(moved, calc, fmax=fmax, progress=False))
    return State(tuple(parts))


def member_rates(
    start: Callable[[Any], Start],
    calculator: Any,
    fmax: float,
    compute: Callable[[State, State, State | None], Rates],
    log: Callable[[str], object],
) -> MemberRates | None:
    """Let each member of a committee find the reaction for itself.

    Parameters
    ----------
    start
        Gives the structures from which the member with this calculator starts.
    calculator
        Of the committee.
    fmax
        Largest force of a stationary point, eV/Angstrom.
    compute
        The rate constants of reactants, transition state and products.
    log
        Takes a line for each member.

    Returns
    -------
    MemberRates or None
        None where there are no members.
    """
    calculators = member_calculators(calculator)
    if not calculators:
        return None
    worth = spread_worth(calculator)
    rows, failures = [], []
    asked = np.zeros(2, dtype=int)
    for number, one in enumerate(calculators, 1):
        try:
            with counted(one) as counter:
                reactants, saddle, products = _member_states(start(one), one, fmax)
            asked += counter.force_calls, counter.hessian_calls
            if words := _lacking(reactants, saddle, products):
                failures.append(f"member {number} {words}")
                continue
            table = compute(reactants, saddle, products)
        except DPSimError as error:
            failures.append(f"member {number} fails ({error})")
            continue
        reaction = np.nan if products is None else products.energy_eV - reactants.energy_eV
        rows.append((table, reaction, saddle.imaginary_cm1))
        log(f"member {number}: barrier {table.barrier_eV:.4f} eV, imaginary mode {saddle.imaginary_cm1:.1f} cm^-1")
    for sentence in failures:
        log(sentence)
    tables = [row[0] for row in rows]
    ratios = [one.log10_equilibrium for one in tables if one.log10_equilibrium is not None]
    return MemberRates(
        barriers_eV=np.array([one.barrier_eV for one in tables]),
        reaction_energies_eV=np.array([row[1] for row in rows]),
        frequencies_cm1=np.array([row[2] for row in rows]),
        log10_rates=np.array([one.log10_forward for one in tables]),
        failures=tuple(failures),
        force_calls=int(asked[0]),
        hessian_calls=int(asked[1]),
        log10_equilibria=np.array(ratios) if rows and len(ratios) == len(rows) else None,
        ground_barriers_eV=np.array([one.ground_barrier_eV for one in tables]),
        gibbs_eV=np.array([one.gibbs_eV for one in tables]),
        worth=worth.among(len(rows)) if worth is not None and len(rows) > 1 else None,
    )


def _member_states(start: Start, calculator: Any, fmax: float) -> tuple[State, State, State | None]:
    ends, guess, others = start
    reactants = stationary_state(ends, calculator, fmax, relax=True)
    products = stationary_state(others, calculator, fmax, relax=True) if others else None
    found = refine_ts(guess, calculator, fmax=TIGHT * fmax, progress=False)
    return reactants, stationary_state([found.atoms], calculator, fmax, relax=False), products


def _lacking(reactants: State, saddle: State, products: State | None) -> str:
    """Say what a member does not have; empty where it has all."""
    if not saddle.is_saddle:
        return f"has no such saddle point (it finds a {saddle.parts[0].verdict})"
    if not reactants.is_minimum:
        return "has no such minimum for the reactant"
    if products is not None and not products.is_minimum:
        return "has no such minimum for the product"
    return ""


def largest_force_spread(structures: Sequence[Atoms], calculator: Any) -> float | None:
    """Compute the largest standard deviation of a force, over atoms and structures, eV/Angstrom; None without members.

    Of an atom it is the root of the sum over x, y and z of the variances.
    """
    calculators = member_calculators(calculator)
    if not calculators:
        return None
    forces = np.array([[force for _, force in energies_and_forces(structures, one)] for one in calculators])
    return float(np.sqrt(forces.var(axis=0, ddof=1).sum(axis=-1)).max())
