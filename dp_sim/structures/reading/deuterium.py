"""Deuterium and tritium: hydrogen with another mass, whose symbols ASE's readers do not know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers

from dp_sim.structures.stated import add_note

if TYPE_CHECKING:
    from ase import Atoms

#: Symbol -> mass (amu; AME2020), and a temporary atomic number while a file is read, which no element has.
ISOTOPES = {"D": (2.01410178, 119), "T": (3.01604928, 120)}


@contextmanager
def isotopes_known() -> Iterator[None]:
    """Let ASE's readers accept D and T as symbols; `name_isotopes` turns them into hydrogen afterwards."""
    added = {symbol: number for symbol, (_, number) in ISOTOPES.items() if symbol not in atomic_numbers}
    atomic_numbers.update(added)
    try:
        yield
    finally:
        for symbol in added:
            del atomic_numbers[symbol]


def name_isotopes(atoms: Atoms) -> None:
    """Turn D and T into hydrogen of mass 2.014 and 3.016 amu, with a note; a mass given in the file is kept."""
    masses = np.full(len(atoms), np.nan)
    for symbol, (mass, number) in ISOTOPES.items():
        chosen = atoms.numbers == number
        if chosen.any():
            atoms.numbers[chosen] = 1
            masses[chosen] = mass
            add_note(atoms, f"{chosen.sum()} atoms '{symbol}' are hydrogen of mass {mass:.3f} amu")
    set_masses(atoms, masses)


def isotope_mass(symbol: str, number: float) -> float:
    """Return the mass (amu) of an isotope that a file gives by its mass number; a mass is returned as it is."""
    return {("H", 2.0): ISOTOPES["D"][0], ("H", 3.0): ISOTOPES["T"][0]}.get((symbol, number), number)


def set_masses(atoms: Atoms, masses: np.ndarray) -> None:
    """Set the masses of atoms, unless the file gave masses of all of them in a form that ASE reads.

    Parameters
    ----------
    atoms
        Changed in place.
    masses
        (N,) in amu; NaN where the mass of the element stays.
    """
    chosen = np.isfinite(masses)
    given = atoms.arrays.get("masses")
    if not chosen.any() or (given is not None and (given[chosen] > 0).all()):
        return
    known = np.where(atoms.numbers > 118, 1, atoms.numbers)  # an isotope not yet named
    others = type(atoms)(numbers=known).get_masses() if given is None else given
    atoms.set_masses(np.where(chosen, masses, others))
