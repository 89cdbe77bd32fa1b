"""What reacts: the molecules of a side, apart or together, and whether all structures hold the same matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from dp_sim.errors import InputError
from dp_sim.recipes.paths.fragments import fragments, gap_words, molecules
from dp_sim.recipes.paths.same_cell import check_same_cell
from dp_sim.structures.stated import stated_charge


class Molecules(NamedTuple):
    """One side of a reaction: structures that are apart, and notes on how they were chosen."""

    structures: tuple[Atoms, ...]
    notes: tuple[str, ...] = ()


def reacting_molecules(given: Any, molecularity: str, name: str = "the reactant") -> Molecules:
    """Tell which molecules a side consists of.

    Parameters
    ----------
    given
        One structure, or two that are apart.
    molecularity
        `auto`, `unimolecular` or `bimolecular`.
    name
        What messages call it.

    Raises
    ------
    InputError
        `reactant-fragments`: fragments that do not touch, or more than one where one is asked for;
        `reactant-number`: not one or two structures, or one where two are asked for.
    """
    structures = (given,) if isinstance(given, Atoms) else tuple(given) if isinstance(given, Sequence) else ()
    if not 1 <= len(structures) <= 2 or not all(isinstance(one, Atoms) for one in structures):
        raise InputError(
            "reactant-number",
            f"{name} must be an ase.Atoms, or two of them that are apart, got "
            f"{len(structures) or type(given).__name__}",
        )
    if len(structures) == 2:
        if molecularity == "unimolecular":
            raise InputError(
                "reactant-number", f"molecularity='unimolecular' was asked for, and {name} is two structures; give one"
            )
        return Molecules(structures)
    atoms = structures[0]
    if atoms.pbc.any() or atoms.constraints:
        if molecularity == "bimolecular":
            raise InputError(
                "reactant-number",
                f"molecularity='bimolecular' is for molecules of a gas, and {name} is periodic or has fixed atoms; "
                "give two molecules, each by itself",
            )
        return Molecules(structures)
    return _of_one_structure(atoms, molecularity, name)


def _of_one_structure(atoms: Atoms, molecularity: str, name: str) -> Molecules:
    parts = molecules(atoms)
    formulas = " and ".join(atoms[part].get_chemical_formula() for part in parts)
    if molecularity == "bimolecular":
        if len(parts) != 2:
            raise InputError(
                "reactant-number",
                f"molecularity='bimolecular' was asked for, and {name} consists of {len(parts)} molecule(s) "
                f"({formulas}); give two",
            )
        _refuse_charged(atoms, name)
        return Molecules(
            tuple(atoms[part] for part in parts), (f"{name} is taken apart: {formulas}, each relaxed alone",)
        )
    if len(parts) == 1:
        return Molecules((atoms,))
    if molecularity == "unimolecular":
        raise InputError(
            "reactant-fragments",
            f"molecularity='unimolecular' was asked for, and {name} consists of {len(parts)} fragments ({formulas}); "
            "give one molecule, or leave it at 'auto' to take a complex as it is",
        )
    if len(apart := fragments(atoms)) > 1:
        raise InputError(
            "reactant-fragments",
            f"{name} consists of {len(apart)} fragments that do not touch ({gap_words(atoms, apart)}): together they "
            f"are no minimum with vibrations of its own; {_apart_advice(name)}",
        )
    return Molecules(
        (atoms,),
        (
            f"{name} is a complex of {formulas}: the rate constant is that of the complex, in 1/s; "
            "molecularity='bimolecular' gives that of its molecules",
        ),
    )


def _apart_advice(name: str) -> str:
    """Say what to do about fragments; `molecularity` is that of the reactant."""
    if name == "the reactant":
        return "give each by itself, as a list, or molecularity='bimolecular'"
    return "give each by itself, as a list (rate_constant in Python), or the complex in which they touch"


def _refuse_charged(atoms: Atoms, name: str) -> None:
    if stated_charge(atoms, name):
        raise InputError(
            "charge-ambiguous",
            f"{name} states a charge, and which of its fragments has it is not known; give each fragment by itself, "
            "with its charge",
        )


def check_same_matter(
    reactants: Sequence[Atoms],
    saddle: Atoms,
    products: Sequence[Atoms] | None,
    saddle_name: str = "the transition state",
) -> None:
    """Refuse sides of a reaction that are not the same atoms, cell and charge as the transition state.

    Parameters
    ----------
    reactants, products
        The molecules of each side; None: not known.
    saddle
        What they are compared with.
    saddle_name
        What messages call it.

    Raises
    ------
    InputError
        `ends-differ`, `charge-differs`.
    """
    for structures, name in ((reactants, "the reactant"), (products, "the product")):
        if structures is None:
            continue
        numbers = np.concatenate([atoms.numbers for atoms in structures])
        if sorted(numbers) != sorted(saddle.numbers):
            theirs = Atoms(numbers).get_chemical_formula()
            raise InputError(
                "ends-differ",
                f"{name} is {theirs} and {saddle_name} {saddle.get_chemical_formula()}; give the same atoms",
            )
        for atoms in structures:
            check_same_cell(atoms, saddle, (name, saddle_name), "a rate constant needs one cell")
        charges = [sum(stated_charge(one) or 0.0 for one in side) for side in (structures, [saddle])]
        if charges[0] != charges[1]:
            raise InputError(
                "charge-differs",
                f"{name} states a charge of {charges[0]:g} and {saddle_name} {charges[1]:g}; give all the same",
            )
