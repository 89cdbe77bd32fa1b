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
    for symbol, (mass, number) in ISOTOPES.items():
        chosen = atoms.numbers == number
        if chosen.any():
            atoms.numbers[chosen] = 1
            set_masses(atoms, chosen, mass)
            add_note(atoms, f"{chosen.sum()} atoms '{symbol}' are hydrogen of mass {mass:.3f} amu")


def set_masses(atoms: Atoms, chosen: np.ndarray, mass: float) -> None:
    """Give the chosen atoms a mass (amu), unless the file gave masses."""
    given = atoms.arrays.get("masses")
    if given is not None and (given[chosen] > 0).all():
        return
    known = np.where(atoms.numbers > 118, 1, atoms.numbers)  # an isotope not yet named
    masses = type(atoms)(numbers=known).get_masses() if given is None else given.copy()
    masses[chosen] = mass
    atoms.set_masses(masses)
