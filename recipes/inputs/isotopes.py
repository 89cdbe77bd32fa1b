"""Isotopes by name or by mass: which atoms weigh something else than the element does on average."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from dp_sim.errors import InputError, nearest_name

#: Masses (amu) of isotopes that experiments label with: AME2020, W. J. Huang et al., Chinese Phys. C 45, 030002 (2021).
MASSES = {
    "1H": 1.00782503, "2H": 2.01410178, "D": 2.01410178, "3H": 3.01604928, "T": 3.01604928, "6Li": 6.01512289,
    "7Li": 7.01600343, "10B": 10.01293695, "11B": 11.00930517, "12C": 12.0, "13C": 13.00335484, "14C": 14.00324199,
    "14N": 14.00307400, "15N": 15.00010890, "16O": 15.99491462, "17O": 16.99913176, "18O": 17.99915961,
    "28Si": 27.97692653, "29Si": 28.97649466, "30Si": 29.97377014, "32S": 31.97207117, "33S": 32.97145891,
    "34S": 33.96786701, "35Cl": 34.96885269, "37Cl": 36.96590257, "79Br": 78.91833758, "81Br": 80.91628974,
}  # fmt: skip
#: A mass may differ by this factor from the element's: between hydrogen and tritium there are 3.
_FARTHEST = 3.5


def with_isotopes(atoms: Atoms, isotopes: Sequence[str]) -> Atoms:
    """Copy a structure with other masses.

    Parameters
    ----------
    atoms
        The structure.
    isotopes
        `WHICH=WHAT` each: WHICH is an element or the index of an atom (from 0), WHAT a name (`D`, `13C`, `18O`) or a
        mass in amu. Later ones override earlier ones: `H=D`, `3=1H`.

    Raises
    ------
    InputError
        An atom that the structure has not, a name that is not known or belongs to another element, or no mass of it.
    """
    heavier = atoms.copy()
    masses = heavier.get_masses()
    for entry in isotopes:
        which, equals, what = (part.strip() for part in entry.partition("="))
        if not equals:
            raise InputError(
                "isotope-unknown", f"isotopes: '{entry}' is not WHICH=WHAT, an element or index and an isotope or mass"
            )
        chosen = _chosen(atoms, which)
        masses[chosen] = _mass(what, atoms.symbols[chosen[0]], entry)
    if len(isotopes):
        heavier.set_masses(masses)
    return heavier


def _chosen(atoms: Atoms, which: str) -> list[int]:
    if which.isdecimal():
        if int(which) < len(atoms):
            return [int(which)]
        raise InputError(
            "isotope-unknown", f"isotopes: there is no atom {which}; the structure has atoms 0 to {len(atoms) - 1}"
        )
    chosen = [index for index, symbol in enumerate(atoms.symbols) if symbol == which]
    if not chosen:
        there = sorted(set(atoms.symbols))
        raise InputError(
            "isotope-unknown",
            f"isotopes: there is no {which} in {atoms.get_chemical_formula()}; it has {', '.join(there)}"
            + nearest_name(which, there),
        )
    return chosen


def _mass(what: str, symbol: str, entry: str) -> float:
    names = [name for name in MASSES if _element(name) == symbol]
    if what in names:
        return MASSES[what]
    try:
        mass = float(what)
    except ValueError:
        known = f"known: {', '.join(names)}; " if names else ""
        raise InputError(
            "isotope-unknown",
            f"isotopes: '{entry}': no isotope of {symbol} is called '{what}'; {known}or give its mass",
        ) from None
    usual = float(atomic_masses[atomic_numbers[symbol]])
    if not (math.isfinite(mass) and usual / _FARTHEST < mass < usual * _FARTHEST):
        raise InputError(
            "isotope-unknown",
            f"isotopes: '{entry}': {what} amu is no mass of {symbol}, which has about {usual:.3f} amu",
        )
    return mass


def _element(name: str) -> str:
    return {"D": "H", "T": "H"}.get(name, name.lstrip("0123456789"))
