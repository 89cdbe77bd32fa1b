"""Isotopes by name or by mass: which atoms weigh something else than the element does on average."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from dp_sim.errors import InputError, nearest_name
from dp_sim.recipes.inputs.isotope_masses import MASSES

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
        if "," in what or "=" in what:
            apart = [part.strip() for part in entry.split(",")]
            raise InputError(
                "isotope-unknown",
                f"isotopes: '{entry}' is more than one; give each by itself: isotopes={apart}, or "
                + " ".join(f"--isotope {part}" for part in apart),
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
