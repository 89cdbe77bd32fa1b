"""The stages of a rate constant: stationary points, reaction coordinate, rates, committee, verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from dp_sim.errors import InputError
from dp_sim.recipes.inputs.temperatures import even_temperatures
from dp_sim.recipes.paths.band.find import find_path
from dp_sim.recipes.paths.irc.follow import IrcResult, follow_irc
from dp_sim.recipes.paths.rates.costs import Cost, counted
from dp_sim.recipes.paths.rates.joined import mismatch
from dp_sim.recipes.paths.rates.members import (
    MemberRates,
    Start,
    largest_force_spread,
    member_rates,
    stationary_state,
)
from dp_sim.recipes.paths.rates.result import RateConstantResult
from dp_sim.recipes.paths.rates.settings import RateConstantSettings
from dp_sim.recipes.paths.rates.settled import AT_REST_EV_A, can_settle, reasons_at_rest
from dp_sim.recipes.paths.rates.theory.eyring import Conditions, Degeneracy, Rates, degeneracy, rates
from dp_sim.recipes.paths.rates.theory.states import State
from dp_sim.recipes.paths.rates.verdict import (
    committee_reasons,
    course_notes,
    end_reasons,
    path_reasons,
    saddle_reasons,
)
from dp_sim.recipes.paths.saddle.ts import TANGENT
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.static.thermochemistry import electron_multiplicity

Anything = TypeVar("Anything")


class Computed(NamedTuple):
    """Rate constants, and how they came about."""

    table: Rates
    words: str
    paths: Degeneracy
    heavy: Rates | None


@dataclass
class Work:
    """What is done with structures that have been checked and share a calculator.

    Attributes
    ----------
    settings
        As asked for.
    reactants, saddle, products
        Structures; no products: where the reaction coordinate ends.
    run
        The run's directory.
    progress
        Show progress bars.
    """

    settings: RateConstantSettings
    reactants: Sequence[Atoms]
    saddle: Atoms
    products: Sequence[Atoms] | None
    run: RunDirectory
    progress: bool

    def __post_init__(self) -> None:
        self._costs: list[Cost] = []

    def result(self, irc: IrcResult | None) -> RateConstantResult:
        """Do the work; `irc` is what was followed before, if it was."""
        settings = self.settings
        reactants, saddle, products = self._stage("stationary points", self._states)
        reasons = [*end_reasons(reactants, "reactant"), *saddle_reasons(saddle)]
        no_rate = "; ".join(reasons)
        reasons += [] if products is None else end_reasons(products, "product")
        irc, products, more = self._path(irc, reactants, saddle, products)
        reasons += more
        conditions, made = self._conditions(reactants, saddle, products), None
        reasons += self._held_reasons(conditions, [reactants, saddle, *([] if products is None else [products])])
        if not no_rate:
            try:
                made = self._rates(reactants, saddle, products, conditions)
                self._note_low_barrier(made.table)
            except InputError as error:
                if error.code != "symmetry-not-found":
                    raise
                no_rate = f"no path degeneracy is known: {error}"
                reasons.append(no_rate)
        members = None
        if made is not None and settings.members != "none":
            members = self._stage("committee", lambda: self._members(reactants, saddle, products, conditions))
            own = self._costs.pop()
            if members is not None:  # they have calculators of their own
                calls = own.force_calls + members.force_calls, own.hessian_calls + members.hessian_calls
                self._costs.append(own._replace(force_calls=calls[0], hessian_calls=calls[1]))
        spread = self._force_spread(irc, reactants, products)
        reasons += committee_reasons(
            spread, settings.trust_eV_A, members, self._log10_std(members, conditions), settings.trust_log10
        )
        return RateConstantResult(
            converged=not reasons,
            cause="FAIL: " + "; ".join(reasons) if reasons else "",
            reasons=tuple(reasons),
            temperature_K=settings.temperature_K,
            conditions=conditions,
            reactants=reactants.parts,
            saddle=saddle.parts[0],
            products=() if products is None else products.parts,
            irc=irc,
            table=None if made is None else made.table,
            no_rate=no_rate,
            tunnelling_words="" if made is None else made.words,
            paths=None if made is None else made.paths,
            isotopes=settings.isotopes,
            heavy=None if made is None else made.heavy,
            members=members,
            force_spread_eV_A=spread,
            costs=tuple(self._costs),
        )

    def _stage(self, name: str, work: Callable[[], Anything]) -> Anything:
        """Do a part of the work, and note what it costs."""
        with counted(self.saddle.calc) as counter:
            done = work()
        self._costs.append(counter.cost(name))
        cost = self._costs[-1]
        self.run.log(f"{name}: {cost.force_calls} forces, {cost.hessian_calls} Hessians, {cost.seconds:.1f} s")
        return done

    def _states(self) -> tuple[State, State, State | None]:
        calc, fmax, relax = self.saddle.calc, self.settings.fmax, self.settings.relax
        reactants = self._with_spin(stationary_state(self.reactants, calc, fmax, relax=relax))
        products = None
        if self.products is not None:
            products = self._with_spin(stationary_state(self.products, calc, fmax, relax=relax))
        return reactants, self._with_spin(stationary_state([self.saddle], calc, fmax, relax=False)), products

    def _with_spin(self, state: State) -> State:
        """Give the modes the multiplicity that was asked for, where their electrons can have it."""
        if (spin := self.settings.spin_multiplicity) is None:
            return state
        for part in state.parts:
            electron_multiplicity(part.atoms, spin)
        return State(tuple(replace(part, gas=part.gas._replace(spin_multiplicity=spin)) for part in state.parts))

    def _path(
        self, irc: IrcResult | None, reactants: State, saddle: State, products: State | None
    ) -> tuple[IrcResult | None, State | None, list[str]]:
        """Follow the reaction coordinate where it was not yet, find the product at its end, and see what it joins."""
        if irc is None and not saddle.is_saddle:
            return None, products, ["the reaction coordinate was not followed: it needs a transition state"]
        if irc is None and not self.settings.follow_path:
            return (
                None,
                products,
                [
                    "the reaction coordinate was not followed (follow_path=False): which minima the "
                    "transition state joins is not known"
                ],
            )
        if irc is None:
            irc = self._stage(
                "reaction coordinate",
                lambda: follow_irc(saddle.parts[0].atoms, self.saddle.calc, progress=self.progress),
            )
        if words := _other_saddle(irc, saddle):
            return irc, products, [words]
        start = _evaluated(reactants)
        reasons = path_reasons(irc, start, None if products is None else _evaluated(products))
        if reasons and products is not None and irc.converged:
            reasons = self._reasons_at_rest(irc, start, _evaluated(products), reasons)
        if not reasons and products is not None and len(start) == len(products.parts) == 1:
            for sentence in course_notes(irc, start[0], products.parts[0].atoms):
                self.run.note(sentence)
        if products is None and not reasons:
            end = irc.reactant if mismatch(irc.reactant, start, "reactant") else irc.product
            calc, fmax = self.saddle.calc, self.settings.fmax
            products = self._with_spin(self._stage("product", lambda: stationary_state([end], calc, fmax, relax=True)))
            reasons = end_reasons(products, "product")
        return irc, products, reasons

    def _reasons_at_rest(
        self, irc: IrcResult, reactants: Sequence[Atoms], products: Sequence[Atoms], reasons: list[str]
    ) -> list[str]:
        """Compare the ends again with soft motions at rest, where that may show them to be the same."""
        if not len(reactants) == len(products) == 1 or not can_settle(irc, reactants[0], products[0]):
            return reasons
        calc = self.saddle.calc
        again = self._stage("ends at rest", lambda: reasons_at_rest(irc, reactants[0], products[0], calc))
        if again == []:
            self.run.note(
                f"the ends of the reaction coordinate are those given once all are relaxed to {AT_REST_EV_A:g} "
                f"eV/Angstrom; before, soft motions set them apart: {reasons[0]}"
            )
        return reasons if again is None else again

    def _conditions(self, reactants: State, saddle: State, products: State | None) -> Conditions:
        settings = self.settings
        even = even_temperatures(settings.temperature_min_K, settings.temperature_max_K, settings.temperature_step_K)
        temperatures = np.unique([*even, settings.temperature_K])
        method = settings.thermo
        if method == "auto":
            states = [reactants, saddle, *([] if products is None else [products])]
            method = "ideal-gas" if all(state.is_gas for state in states) else "harmonic"
        return Conditions(temperatures, settings.pressure_bar, method, settings.tunnelling)

    def _held_reasons(self, conditions: Conditions, states: Sequence[State]) -> list[str]:
        """Say which molecule that is alone in space does not turn freely: harmonic vibrations are wrong for it then."""
        if self.settings.thermo != "auto" or conditions.method != "harmonic":
            return []
        parts = [part for state in states for part in state.parts]
        if any(part.atoms.pbc.any() or part.atoms.constraints for part in parts):
            return []
        return [
            f"{part.atoms.get_chemical_formula()} ({part.verdict}) is alone in space and does not turn freely "
            f"({part.rigid.words}), so that harmonic vibrations were counted: the forces are too noisy for its modes; "
            "converge the calculator further, or ask for thermo='harmonic' where that is meant"
            for part in parts
            if not part.is_free_molecule
        ]

    def _rates(self, reactants: State, saddle: State, products: State | None, conditions: Conditions) -> Computed:
        """Compute the table, and that of other isotopes, whose symmetries may be others, too."""
        if products is not None and not products.is_minimum:
            products = None

        def table(*states: State | None) -> tuple[Rates, str, Degeneracy]:
            start, top, end = states
            assert start is not None
            assert top is not None
            gas = conditions.method != "harmonic"
            paths = degeneracy(start, top, end, self.settings.path_degeneracy, gas=gas)
            return *rates(start, top, end, conditions, paths), paths

        found, words, paths = table(reactants, saddle, products)
        heavy = None
        if self.settings.isotopes:
            weighed = [state and state.with_isotopes(self.settings.isotopes) for state in (reactants, saddle, products)]
            heavy = table(*weighed)[0]
        return Computed(found, words, paths, heavy)

    def _note_low_barrier(self, table: Rates) -> None:
        """Say that a saddle point below the reactants is no bottleneck by itself."""
        if table.ground_barrier_eV <= 0:
            self.run.note(
                f"with zero-point energies the transition state lies {-table.ground_barrier_eV:.4f} eV below the "
                "reactants: what limits the rate may be their approach, which this theory does not see"
            )

    def _members(
        self, reactants: State, saddle: State, products: State | None, conditions: Conditions
    ) -> MemberRates | None:
        def structures(state: State) -> list[Atoms]:
            return [part.atoms for part in state.parts]

        def start(calculator: Any) -> Start:
            ends, top = structures(reactants), saddle.parts[0].atoms.copy()
            top.arrays[TANGENT] = saddle.parts[0].modes[0]  # the search follows the mode of the mean
            others = [] if products is None else structures(products)
            if self.settings.members == "path" and len(ends) == len(others) == 1:
                band = find_path(ends[0], others[0], calculator, progress=False)
                return [band.images[0].copy()], band.highest, [band.images[-1].copy()]
            return ends, top, others

        def compute(one: State, top: State, end: State | None) -> Rates:
            own = [state and self._with_spin(state) for state in (one, top, end)]
            assert own[0] is not None
            assert own[1] is not None
            return self._rates(own[0], own[1], own[2], conditions).table

        return member_rates(start, self.saddle.calc, self.settings.fmax, compute, self.run.log)

    def _force_spread(self, irc: IrcResult | None, reactants: State, products: State | None) -> float | None:
        """Largest spread of a committee's forces over all stationary points and the reaction coordinate."""
        ends = [*_evaluated(reactants), *([] if products is None else _evaluated(products))]
        # Each end by itself: two molecules of a side have other atoms.
        groups = [[self.saddle, *([] if irc is None else irc.images)], *([one] for one in ends)]
        spreads = [largest_force_spread(group, self.saddle.calc) for group in groups]
        known = [spread for spread in spreads if spread is not None]
        return max(known) if known else None

    def _log10_std(self, members: MemberRates | None, conditions: Conditions) -> float | None:
        std = None if members is None else members.std("log10_rates")
        if std is None:
            return None
        return float(std[int(np.argmin(np.abs(conditions.temperatures_K - self.settings.temperature_K)))])


def _evaluated(state: State) -> list[Atoms]:
    """Structures of a state with their energies."""
    found = []
    for part in state.parts:
        atoms = part.atoms.copy()
        atoms.calc = SinglePointCalculator(atoms, energy=part.energy_eV)
        found.append(atoms)
    return found


def _other_saddle(irc: IrcResult, saddle: State) -> str:
    """Say that a reaction coordinate does not begin at the transition state; empty where it does."""
    top = irc.images[irc.saddle_index]
    words = mismatch(top, _evaluated(saddle), "transition state")
    return (
        f"the reaction coordinate given does not begin at the transition state: its saddle point {words}"
        if words
        else ""
    )
