"""Energies of all minima and transition states of a row of steps, above the reactant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

from dp_sim.recipes.paths.rates.chain.combined import at_temperature, log10_volume
from dp_sim.recipes.paths.rates.result import RateConstantResult
from dp_sim.recipes.paths.rates.theory.states import State

Array = NDArray[np.float64]


class Profile(NamedTuple):
    """2 n + 1 points of n steps: reactant, transition state, intermediate, ..., product.

    Attributes
    ----------
    names
        Of the points.
    energies_eV, ground_eV
        (2 n + 1,) potential energies, and with zero-point energies.
    gibbs_eV
        (2 n + 1,) free energies at the pressure, with symmetries and path degeneracies, without tunnelling; None where
        a step has no rate constants.
    """

    names: tuple[str, ...]
    energies_eV: Array
    ground_eV: Array
    gibbs_eV: Array | None


def profile_of(steps: Sequence[RateConstantResult], temperature_K: float) -> Profile:
    """Collect the points of steps in a row."""
    states, names = [State(steps[0].reactants)], ["reactant"]
    for number, step in enumerate(steps, 1):
        last = number == len(steps)
        states += [State((step.saddle,)), State(step.products)]
        names += [f"TS {number}", "product" if last else f"intermediate {number}"]
    energies, ground = (
        np.array([getattr(state, name) for state in states]) - getattr(states[0], name)
        for name in ("energy_eV", "ground_eV")
    )
    return Profile(tuple(names), energies, ground, _gibbs(steps, temperature_K))


def _gibbs(steps: Sequence[RateConstantResult], temperature_K: float) -> Array | None:
    """Add up the steps: G of activation of each, and -k T ln K."""
    kT_ln10 = units.kB * temperature_K * float(np.log(10))
    volume = log10_volume(steps)
    levels = [0.0]
    for number, step in enumerate(steps):
        if step.table is None or step.table.log10_equilibrium is None:
            return None
        ratio = step.table.log10_equilibrium - (volume if number == 0 else 0.0)
        rise = float(at_temperature(step.table.gibbs_eV, step.conditions, temperature_K))
        fall = -kT_ln10 * float(at_temperature(ratio, step.conditions, temperature_K))
        levels += [levels[-1] + rise, levels[-1] + fall]
    return np.array(levels)
