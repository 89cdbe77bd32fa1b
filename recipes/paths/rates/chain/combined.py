"""The rate of a whole reaction from the rates of its elementary steps, each found and judged by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

from dp_sim.recipes.paths.rates.members import MemberRates
from dp_sim.recipes.paths.rates.result import RateConstantResult
from dp_sim.recipes.paths.rates.theory.eyring import BAR_EV_CM3, PLANCK_EV_S, Conditions, Rates
from dp_sim.recipes.paths.rates.theory.states import State
from dp_sim.recipes.paths.rates.theory.steady_state import SteadyState, steady_state

Array = NDArray[np.float64]
#: For one molecule of the reactant so many may wait in the minima between: the rate constant is off by a factor of 2.
MOST_WAITING = 1.0
#: From here on it is said.
NOTED_WAITING = 0.1


class Combined(NamedTuple):
    """Rate constants of the whole.

    Attributes
    ----------
    table, heavy
        Over the temperatures, and with other isotopes.
    state, reverse
        The steady state forward and, seen from the product, back; what waits is counted for one molecule of the
        reactant, or of the product, at the pressure of the conditions.
    """

    table: Rates
    heavy: Rates | None
    state: SteadyState
    reverse: SteadyState


def log10_volume(steps: Sequence[RateConstantResult]) -> Array | float:
    """Return the logarithm of the volume of a molecule, cm^3 (T,), where the first step is one of two; else 0."""
    if len(steps[0].reactants) == 1:
        return 0.0
    conditions = steps[0].conditions
    return np.asarray(np.log10(units.kB * conditions.temperatures_K / (conditions.pressure_bar * BAR_EV_CM3)))


def combined(steps: Sequence[RateConstantResult]) -> Combined | None:
    """Combine the tables of steps in a row; None where one has none, or they count free energies in other ways."""
    tables = [step.table for step in steps]
    known = [one for one in tables if one is not None and one.log10_equilibrium is not None]
    if len(known) < len(steps) or len({step.conditions.method for step in steps}) > 1:
        return None
    heavy_tables = [step.heavy for step in steps if step.heavy is not None]
    volume = log10_volume(steps)
    table, state, reverse = _whole(known, steps, volume)
    heavy = _whole(heavy_tables, steps, volume)[0] if len(heavy_tables) == len(steps) else None
    return Combined(table, heavy, state, reverse)


def _whole(
    tables: Sequence[Rates], steps: Sequence[RateConstantResult], log10_volume: Array | float
) -> tuple[Rates, SteadyState, SteadyState]:
    forward, kappa, equilibrium = (
        np.array([getattr(one, name) for one in tables])
        for name in ("log10_forward", "log10_transmission", "log10_equilibrium")
    )
    # Of two reactants all has the unit of the first step, cm^3/s: over the volume of a molecule it is of one, 1/s.
    forward[0] -= log10_volume
    equilibrium[0] -= log10_volume
    state = steady_state(forward, equilibrium)
    reverse = steady_state((forward - equilibrium)[::-1], -equilibrium[::-1])
    over = steady_state(forward - kappa, equilibrium).log10_rate
    temperatures = tables[0].temperatures_K
    kT = units.kB * temperatures
    total = state.log10_rate + log10_volume
    whole_equilibrium = state.log10_equilibrium + log10_volume
    start = State(steps[0].reactants)
    tops = [State((step.saddle,)) for step in steps]
    table = Rates(
        temperatures,
        total,
        total - whole_equilibrium,
        whole_equilibrium,
        state.log10_rate - over,
        kT * (np.log(kT / PLANCK_EV_S) - over * np.log(10)),
        max(top.energy_eV for top in tops) - start.energy_eV,
        max(top.ground_eV for top in tops) - start.ground_eV,
        max(tops, key=lambda top: top.energy_eV).imaginary_cm1,
    )
    return table, state, reverse


def at_temperature(values: Array, conditions: Conditions, temperature_K: float) -> Array:
    """Pick the values (..., T) at a temperature of the table."""
    return np.asarray(values[..., int(np.argmin(np.abs(conditions.temperatures_K - temperature_K)))])


def combined_members(steps: Sequence[RateConstantResult], leading: int) -> MemberRates | None:
    """Combine what each member of a committee found of every step; None where one of them lacks a step.

    Parameters
    ----------
    steps
        In order.
    leading
        Whose saddle point stands for all of them: its height above the reactant, and its frequency.
    """
    found = [step.members for step in steps if step.members is not None]
    if len(found) < len(steps) or any(one.failures or one.log10_equilibria is None for one in found):
        return None
    reactions = np.array([one.reaction_energies_eV for one in found])
    state = steady_state(
        *(np.array([getattr(one, name) for one in found]) for name in ("log10_rates", "log10_equilibria"))
    )
    return MemberRates(
        barriers_eV=found[leading].barriers_eV + reactions[:leading].sum(axis=0),
        reaction_energies_eV=reactions.sum(axis=0),
        frequencies_cm1=found[leading].frequencies_cm1,
        log10_rates=state.log10_rate,
        failures=(),
        force_calls=sum(one.force_calls for one in found),
        hessian_calls=sum(one.hessian_calls for one in found),
        log10_equilibria=state.log10_equilibrium,
        worth=found[leading].worth,
    )


def steady_reasons(state: SteadyState, conditions: Conditions, temperature_K: float) -> list[str]:
    """Say why the steady state gives no rate constant: more waits between than there is of the reactant."""
    waiting = at_temperature(10 ** np.minimum(state.log10_waiting, 300), conditions, temperature_K)
    if waiting.sum() <= MOST_WAITING:
        return []
    worst = int(np.argmax(waiting))
    return [
        f"there is no one rate constant at {temperature_K:g} K: intermediate {worst + 1} fills up before the product "
        f"appears ({waiting[worst]:.2g} molecules wait there for each of the reactant, at most {MOST_WAITING:g} are "
        "allowed in all); take the rate constants of the steps, or start from that intermediate"
    ]
