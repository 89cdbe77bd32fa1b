"""PASS or FAIL: what must hold before a rate constant is believed, each in a sentence where it does not."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from dp_sim.recipes.paths.irc.follow import IrcResult
from dp_sim.recipes.paths.matching import SAME_DISTANCES_A, courses, difference, same_change, same_hands
from dp_sim.recipes.paths.rates.joined import mismatch
from dp_sim.recipes.paths.rates.members import MemberRates
from dp_sim.recipes.paths.rates.theory.states import State
from dp_sim.recipes.static.verdict import MINIMUM, NOT_RELAXED, imaginary

PASS, FAIL = "PASS", "FAIL"


def end_reasons(state: State, name: str) -> list[str]:
    """Say why an end is no minimum."""
    reasons = []
    for number, part in enumerate(state.parts, 1):
        which = f"the {name}" if len(state.parts) == 1 else f"{name} {number} ({part.atoms.get_chemical_formula()})"
        if part.verdict == NOT_RELAXED:
            reasons.append(f"{which} is not relaxed: its largest force is {part.fmax_eV_A:.3g} eV/Angstrom")
        elif part.verdict != MINIMUM:
            below = ", ".join(f"{value:.0f}" for value in imaginary(part.frequencies_cm1)[:3])
            reasons.append(f"{which} is no minimum, but a {part.verdict} (imaginary: {below} cm^-1)")
    return reasons


def saddle_reasons(saddle: State) -> list[str]:
    """Say why a structure is no transition state."""
    part = saddle.parts[0]
    if part.verdict == NOT_RELAXED:
        return [f"the transition state is not stationary: its largest force is {part.fmax_eV_A:.3g} eV/Angstrom"]
    if part.verdict == MINIMUM:
        lowest = f" (lowest: {part.frequencies_cm1[0]:.0f} cm^-1)" if len(part.frequencies_cm1) else ""
        return [f"the transition state has no imaginary mode: it is a minimum{lowest}"]
    if not saddle.is_saddle:
        below = ", ".join(f"{value:.0f}" for value in imaginary(part.frequencies_cm1)[:4])
        return [f"the transition state has {part.n_imaginary} imaginary modes ({below} cm^-1): it is a {part.verdict}"]
    return []


def path_reasons(irc: IrcResult, reactants: Sequence[Atoms], products: Sequence[Atoms] | None) -> list[str]:
    """Say why a reaction coordinate does not join the ends given, structures with their energies."""
    reasons = [] if irc.converged else [f"the reaction coordinate did not come to its ends: {irc.cause}"]
    found = (irc.reactant, irc.product)
    if products is None:
        either = [mismatch(end, reactants, "reactant") for end in found]
        if all(either):
            reasons.append(
                f"the reaction coordinate does not start at the reactant: one end {either[0]}, the other {either[1]}"
            )
        return reasons
    ways = []
    for one, two in (found, found[::-1]):
        pairs = ((one, reactants, "reactant"), (two, products, "product"))
        clauses = [
            f"the end at the {name} {words}" for end, given, name in pairs if (words := mismatch(end, given, name))
        ]
        if not clauses and len(reactants) == len(products) == 1:
            given = [reactants[0], products[0]]
            apart = difference([one, two], given)
            # Each end is the one given. Where bonds change and these are the same, what differs is which like atom of
            # a methyl group or a water lies where in an end, which says nothing about the way there.
            if apart > SAME_DISTANCES_A and not same_change([one, two], given):
                clauses = [
                    f"its ends are like those given, but other atoms move between them (distances differ by up to "
                    f"{apart:.2f} Angstrom): it is another rearrangement"
                ]
            elif not (one.pbc.any() or same_hands([one, two], given)):
                clauses = [
                    "one of its ends is the mirror image of what was given there, with a stereocentre of the other hand"
                ]
        ways.append(clauses)
    if all(ways):
        fewest = min(ways, key=len)
        reasons.append("the reaction coordinate does not join the ends given: " + " and ".join(fewest))
    return reasons


def course_notes(irc: IrcResult, reactant: Atoms, product: Atoms) -> list[str]:
    """Say where a reaction coordinate keeps or inverts an atom otherwise than the ends given, numbered as they are, do.

    Where the neighbours of that atom are alike, both lead to the same molecules.
    """
    if reactant.pbc.any():
        return []
    found, given = courses([irc.reactant, irc.product]), courses([reactant, product])
    words = {1: "retention", -1: "inversion"}
    return [
        f"the reaction coordinate exchanges a bond of {element} with {words[turned]}, which the ends given, as their "
        "atoms are numbered, do not: like atoms beside it have other places, and the molecules are the same"
        for element, turned in found - given
        if turned
    ]


def committee_reasons(
    spread_eV_A: float | None,
    trust_eV_A: float,
    members: MemberRates | None,
    log10_std: float | None,
    trust_log10: float,
) -> list[str]:
    """Say why a committee does not know the reaction."""
    reasons = []
    if spread_eV_A is not None and spread_eV_A > trust_eV_A:
        reasons.append(
            f"the committee does not know the path: its forces there spread by up to {spread_eV_A:.3g} eV/Angstrom, "
            f"{trust_eV_A:g} is trusted (trust_eV_A)"
        )
    if members is None:
        return reasons
    if members.failures:
        reasons.append("not every member of the committee has the reaction: " + "; ".join(members.failures))
    if log10_std is not None and log10_std > trust_log10:
        reasons.append(
            f"the committee does not know the rate: its log10 spreads by {log10_std:.2g}, {trust_log10:g} is trusted "
            "(trust_log10)"
        )
    return reasons
