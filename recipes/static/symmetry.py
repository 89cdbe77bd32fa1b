"""Point group and symmetry number of a molecule, by libmsym (package pymsym, extra `symmetry`)."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ase import Atoms

from dp_sim.errors import InputError, import_optional

#: How far a relaxed structure may be from a symmetry that it is then said to have, relative to its size: an
#: optimisation to 0.01 eV/Angstrom leaves a few thousandths, other shapes of a molecule differ by more than tenths.
TOLERANCE = 0.02
#: Where the operations found within it make no group, as of fragments of which one alone has a high symmetry, there is
#: none that wide: it is looked for within these shares of it, down to what an optimisation leaves.
SHARES = (1.0, 0.5, 0.25)
#: libmsym's words for a molecule without any symmetry.
_NONE_FOUND = "no primary"
#: Its names of the groups of linear molecules.
_LINEAR = {"C0v": "Cinfv", "D0h": "Dinfh"}
#: Order of the group of rotations, where the name does not hold it.
_ROTATIONS = {"T": 12, "O": 24, "I": 60, "Cinfv": 1, "Dinfh": 2, "Kh": 1}


class Symmetry(NamedTuple):
    """Symmetry of a molecule.

    Attributes
    ----------
    point_group
        Schoenflies symbol; `Cinfv` and `Dinfh` of linear molecules, `Kh` of an atom.
    number
        Rotations that map the molecule onto itself: the symmetry number of its rotational partition function.
    """

    point_group: str
    number: int


def molecular_symmetry(atoms: Atoms) -> Symmetry:
    """Find the symmetry of a molecule; isotopes, by their masses, are different atoms.

    Raises
    ------
    MissingPackageError
        pymsym is not installed.
    InputError
        libmsym cannot tell; give the symmetry number by hand.
    """
    if len(atoms) == 1:
        return Symmetry("Kh", 1)
    pymsym = import_optional(
        "pymsym", extra="symmetry", purpose="the symmetry number (unless it is given: symmetry_number)"
    )
    elements = [
        pymsym.Element(name=symbol, coordinates=place, mass=float(mass))
        for symbol, place, mass in zip(atoms.symbols, atoms.positions, atoms.get_masses(), strict=True)
    ]
    failure: Exception | None = None
    for share in SHARES:
        try:
            group = _point_group(pymsym, elements, share * TOLERANCE)
            break
        except pymsym.Error as error:
            if _NONE_FOUND in str(error):
                return Symmetry("C1", 1)
            failure = error
    else:
        raise InputError(
            "symmetry-not-found",
            f"the point group of {atoms.get_chemical_formula()} cannot be found (libmsym: {failure}); "
            "give symmetry_number by hand",
        ) from failure
    group = _LINEAR.get(group, group)
    return Symmetry(group, rotations_of(group))


def _point_group(pymsym: Any, elements: list[Any], tolerance: float) -> str:
    """Ask libmsym for the point group within a tolerance, in its own name."""
    names = ("zero", "geometry", "angle", "equivalence", "permutation", "eigfact")
    with pymsym.Context(elements=elements) as context:
        context.set_thresholds(**dict.fromkeys(names, tolerance))
        return str(context.find_symmetry())


def rotations_of(point_group: str) -> int:
    """Count the rotations in a point group: n of Cn, Cnv, Cnh and S2n, 2n of Dn, Dnh and Dnd."""
    if point_group in _ROTATIONS:
        return _ROTATIONS[point_group]
    letter, order = re.fullmatch(r"([CDSTOI])(\d*).*", point_group).groups()  # type: ignore[union-attr]
    if letter in "TOI":
        return _ROTATIONS[letter]
    size = int(order or 1)  # Cs and Ci have the identity alone
    return {"C": size, "D": 2 * size, "S": size // 2}[letter]
