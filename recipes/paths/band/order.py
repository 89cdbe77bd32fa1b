"""The same atoms at both ends, in the same order: checked, and like atoms relabelled where that is asked for."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from dp_sim.errors import InputError
from dp_sim.recipes.paths.matching.comparison import SAME_A
from dp_sim.recipes.paths.matching.relabelling import MOST_ATOMS, Matching, best_matching, given_matching
from dp_sim.recipes.paths.same_cell import check_same_cell

#: A relabelling is worth a word where it saves a bond, or this share of the way at least.
WORTH = 0.8
#: Ways shorter than this, Angstrom (root mean square), are not looked at.
SHORT_A = 0.1


def check_same_atoms(reactant: Atoms, product: Atoms) -> None:
    """Check that both ends hold the same atoms, in any order, in the same cell.

    Raises
    ------
    InputError
        `ends-differ`: numbers of atoms, elements, periodicity or cell.
    """
    if len(reactant) != len(product):
        raise InputError(
            "ends-differ", f"the reactant has {len(reactant)} atoms and the product {len(product)}; give the same atoms"
        )
    if sorted(reactant.numbers) != sorted(product.numbers):
        first = np.flatnonzero(reactant.numbers != product.numbers)[0]
        raise InputError(
            "ends-differ",
            f"the reactant is {reactant.get_chemical_formula()} and the product {product.get_chemical_formula()} (atom "
            f"{first} is {reactant.symbols[first]} in the reactant and {product.symbols[first]} in the product); "
            "give the same atoms",
        )
    need = "a path needs one cell: relax both ends in the same one"
    check_same_cell(reactant, product, ("the reactant", "the product"), need)


def ordered_product(reactant: Atoms, product: Atoms, *, match: bool) -> tuple[Atoms, str]:
    """Bring the atoms of the product into the order of the reactant.

    Parameters
    ----------
    reactant, product
        The same atoms, as `check_same_atoms` tells.
    match
        Find the best relabelling of like atoms and take it; False: say where there is a better one.

    Returns
    -------
    product : Atoms
        Relabelled, with the calculator that it had.
    note : str
        For the page; empty where there is nothing to say.

    Raises
    ------
    InputError
        `ends-order`: the elements stand in another order, and `match` is false; `ends-equal`: relabelled, the product
        is the reactant; `matching-too-large`.
    """
    differing = np.flatnonzero(reactant.numbers != product.numbers)
    if len(differing) and not match:
        first = differing[0]
        raise InputError(
            "ends-order",
            f"atom {first} is {reactant.symbols[first]} in the reactant and {product.symbols[first]} in the product; "
            "they hold the same atoms in another order: reorder the product, or let match_atoms (--match-atoms) do it",
        )
    if not match and max(np.bincount(reactant.numbers)) > MOST_ATOMS:
        return product, ""
    given = None if len(differing) else given_matching(reactant, product)
    if given is not None and not match and given.rmsd_A < SHORT_A:
        return product, ""
    best = best_matching(reactant, product)
    if not match:
        assert given is not None
        return product, _hint(reactant, given, best)
    if given is not None and not _is_worth_it(given, best):
        return product, "match_atoms: the order of the atoms is the best one found"
    if best.n_changed_bonds == 0 and best.rmsd_A < SAME_A:
        raise InputError(
            "ends-equal",
            f"with like atoms exchanged, the product is the reactant (to {best.rmsd_A:.2g} Angstrom): match_atoms "
            "leaves no path; for a reaction that exchanges like atoms give both in the same order and leave it out",
        )
    relabelled = product[best.permutation]
    relabelled.calc = product.calc
    return relabelled, f"match_atoms: {_words(given, best)}; {_exchanges(best)}"


def check_same_masses(reactant: Atoms, product: Atoms) -> None:
    """Refuse ends whose atoms weigh differently: a path has one set of masses.

    Raises
    ------
    InputError
        `masses-differ`.
    """
    masses = (reactant.get_masses(), product.get_masses())
    differing = np.flatnonzero(np.abs(masses[0] - masses[1]) > 1e-4)
    if len(differing):
        k = differing[0]
        raise InputError(
            "masses-differ",
            f"atom {k} ({reactant.symbols[k]}) weighs {masses[0][k]:g} amu in the reactant and {masses[1][k]:g} amu "
            "in the product; give both ends the same isotopes",
        )


def _is_worth_it(given: Matching, best: Matching) -> bool:
    if best.n_changed_bonds != given.n_changed_bonds:
        return best.n_changed_bonds < given.n_changed_bonds
    return best.rmsd_A < WORTH * given.rmsd_A and given.rmsd_A > SHORT_A


def _hint(reactant: Atoms, given: Matching, best: Matching) -> str:
    if best.n_changed_bonds == 0 and best.rmsd_A < SAME_A:
        return "the product is the reactant with like atoms exchanged: the path is that of this exchange"
    if not _is_worth_it(given, best):
        return ""
    return (
        f"another order of like atoms fits better: {_words(given, best)}; {_exchanges(best)}; if it is "
        "meant, match_atoms (--match-atoms) takes it"
    )


def _words(given: Matching | None, best: Matching) -> str:
    now = f"{best.n_changed_bonds} bonds change and atoms move by {best.rmsd_A:.2f} Angstrom (root mean square)"
    if given is None:
        return now
    return f"{now}, instead of {given.n_changed_bonds} bonds and {given.rmsd_A:.2f} Angstrom"


def _exchanges(best: Matching) -> str:
    moved = np.flatnonzero(best.permutation != np.arange(len(best.permutation)))
    pairs = ", ".join(f"{best.permutation[k]} as {k}" for k in moved[:8])
    return f"atoms of the product taken for those of the reactant: {pairs}{', ...' if len(moved) > 8 else ''}"
