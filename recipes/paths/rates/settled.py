"""Ends of a path that seem to be others than those given, compared again once soft motions are at rest.

A force that ends a relaxation may leave the molecules of a loose complex, or a soft torsion, some tenths of an Angstrom
from their minimum. Before two structures with the same bonds are called different, both are therefore relaxed on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from dp_sim.recipes.paths.irc.follow import IrcResult
from dp_sim.recipes.paths.matching import same_bonds
from dp_sim.recipes.paths.rates.verdict import path_reasons
from dp_sim.recipes.static.opt import optimize

#: Force that is left, eV/Angstrom, and most steps: at 0.01 eV/Angstrom^2, the softest of hydrogen bonds, 0.05 Angstrom.
AT_REST_EV_A, AT_REST_STEPS = 5e-4, 300


def can_settle(irc: IrcResult, reactant: Atoms, product: Atoms) -> bool:
    """Tell whether the ends of a path have the bonds of those given, one way round or the other."""
    ways = ((irc.reactant, irc.product), (irc.product, irc.reactant))
    return any(same_bonds(one, [reactant]) and same_bonds(two, [product]) for one, two in ways)


def reasons_at_rest(irc: IrcResult, reactant: Atoms, product: Atoms, calc: Any) -> list[str] | None:
    """Say why a reaction coordinate does not join the ends given, once all four structures are at rest.

    Parameters
    ----------
    irc
        Whose ends seem to be others.
    reactant, product
        As given and relaxed.
    calc
        With which all are relaxed on.

    Returns
    -------
    list of str or None
        As `path_reasons`; None where a structure does not come to rest.
    """
    four = [_at_rest(atoms, calc) for atoms in (irc.reactant, irc.product, reactant, product)]
    found: Sequence[Atoms] = [atoms for atoms in four if atoms is not None]
    if len(found) < len(four):
        return None
    return path_reasons(replace(irc, reactant=found[0], product=found[1]), [found[2]], [found[3]])


def _at_rest(atoms: Atoms, calc: Any) -> Atoms | None:
    result = optimize(atoms, calc, fmax=AT_REST_EV_A, steps=AT_REST_STEPS, progress=False)
    if not result.converged:
        return None
    moved = result.atoms.copy()
    moved.calc = SinglePointCalculator(moved, energy=result.energy_eV)
    return moved
