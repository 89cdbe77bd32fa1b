"""Units given with labels in a file (`energy-unit=hartree`), in eV and Angstrom."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from ase import units as ase_units

from dp_sim.datasets.label_reading.label_names import plain_name
from dp_sim.errors import InputError

#: Name of a unit, lower case -> (its size in eV and Angstrom, powers of energy and of length).
_UNITS: dict[str, tuple[float, int, int]] = {
    **dict.fromkeys(("ev", "electronvolt"), (1.0, 1, 0)),
    "mev": (1e-3, 1, 0),
    **dict.fromkeys(("hartree", "ha", "eh", "hartrees", "au", "a.u."), (ase_units.Hartree, 1, 0)),
    **dict.fromkeys(("rydberg", "ry"), (ase_units.Rydberg, 1, 0)),
    "kcal": (ase_units.kcal, 1, 0),
    "kj": (ase_units.kJ, 1, 0),
    "mol": (ase_units.mol, 0, 0),
    **dict.fromkeys(("angstrom", "angstroms", "ang", "a", "å"), (1.0, 0, 1)),
    **dict.fromkeys(("bohr", "a0", "bohrs"), (ase_units.Bohr, 0, 1)),
    "nm": (10.0, 0, 1),
    "gpa": (ase_units.GPa, 1, -3),
    "mpa": (1e-3 * ase_units.GPa, 1, -3),
    "pa": (ase_units.Pascal, 1, -3),
    "kbar": (1e3 * ase_units.bar, 1, -3),
    "bar": (ase_units.bar, 1, -3),
}
#: What atomic units are where no more is said.
_ATOMIC_UNITS = {"forces": "hartree/bohr", "stress": "hartree/bohr^3", "length": "bohr"}
#: Powers of energy and length of each label.
_DIMENSIONS = {"energy": (1, 0), "forces": (1, -1), "virial": (1, 0), "stress": (1, -3), "length": (0, 1)}
_UNIT_KEY = re.compile(r"^(?:ref|dft)?(energy|forces?|virials?|stress(?:es)?|lengths?|positions?|coord|pos)units?$")
_POWER = re.compile(r"([-+]?\d+)?")
_LABEL_OF = {"force": "forces", "virials": "virial", "stresses": "stress"}


@functools.lru_cache(maxsize=4096)
def unit_label(key: str) -> str | None:
    """Find the label whose unit a name such as `energy-unit` gives (`length` for positions); None for other names."""
    match = _UNIT_KEY.match(plain_name(key))
    if match is None:
        return None
    word = match.group(1)
    return "length" if word.startswith(("length", "pos", "coord")) else _LABEL_OF.get(word, word)


def scales(found: Mapping[str, Any], name: str) -> tuple[dict[str, float], list[str]]:
    """Compute the factors that convert labels to eV and Angstrom, from the units in their frame.

    Parameters
    ----------
    found
        Values in the frame, by name.
    name
        What messages call the frame.

    Returns
    -------
    dict
        Label -> factor, for labels whose unit is given.
    list of str
        Sentences about units other than eV and Angstrom.

    Raises
    ------
    InputError
        A unit that is unknown, of another quantity or contradicted by another, or positions not in Angstrom.
    """
    factors: dict[str, float] = {}
    decisions = []
    for key, unit in found.items():
        label = unit_label(key)
        if label is None:
            continue
        factor = in_ev_and_angstrom(str(unit), label, f"{name}: {key}={unit}")
        if label == "length" and abs(factor - 1.0) > 1e-9:
            raise InputError("unit-of-positions", f"{name}: {key}={unit}: positions must be in Angstrom; convert them")
        if factors.setdefault(label, factor) != factor:
            raise InputError("units-conflict", f"{name}: {key}={unit} differs from another unit of the {label}")
        if label != "length" and abs(factor - 1.0) > 1e-9:
            decisions.append(f"{label} is converted from {unit} ({key})")
    return factors, decisions


def in_ev_and_angstrom(unit: str, label: str, what: str) -> float:
    """Compute the size of a unit such as `kcal/mol/A` or `Ha/bohr^3` in eV and Angstrom.

    Parameters
    ----------
    unit
        Its name.
    label
        energy, forces, virial, stress or length.
    what
        What messages call it.

    Raises
    ------
    InputError
        The unit is unknown, or not one of `label`.
    """
    size, powers = 1.0, [0, 0]
    atomic = unit.strip().lower() in ("au", "a.u.") and label in _ATOMIC_UNITS
    for sign, factor in _factors(_ATOMIC_UNITS[label] if atomic else unit):
        word, _, power = factor.partition("^")
        known = _UNITS.get(word.lower())
        if known is None or not _POWER.fullmatch(power):
            raise InputError(
                "unit-unknown",
                f"{what}: the unit '{factor}' is not known; known are {', '.join(_UNITS)}; convert the labels to eV "
                "and Angstrom, or correct the name of the unit",
            )
        exponent = sign * int(power or 1)
        size *= known[0] ** exponent
        powers = [powers[0] + exponent * known[1], powers[1] + exponent * known[2]]
    if tuple(powers) != _DIMENSIONS[label]:
        raise InputError("unit-of-another-quantity", f"{what}: '{unit}' is no unit of {label}; correct it")
    return size


def is_other_energy_unit(word: str) -> bool:
    """Tell whether a word names a unit of energy other than eV: `kcal/mol`, `Hartree`, `a.u.`; `Au` is gold."""
    if word == "Au":
        return False
    try:
        return abs(in_ev_and_angstrom(word, "energy", word) - 1.0) > 1e-9
    except InputError:
        return False


def _factors(unit: str) -> list[tuple[int, str]]:
    """Split `kcal/mol/A**2` into [(1, kcal), (-1, mol), (-1, A^2)]; in `eV/(mol*A)` both mol and A are divisors."""
    text = unit.replace("**", "^").replace("³", "^3").replace("²", "^2").replace(" ", "")
    text = re.sub(r"\(([^()]*)\)", lambda match: match.group(1).replace("*", "/"), text)
    parts = [_with_power(part) for part in re.split(r"([*/])", text)]
    signs = [1, *(-1 if sign == "/" else 1 for sign in parts[1::2])]
    return list(zip(signs, parts[::2], strict=True))


def _with_power(word: str) -> str:
    """Rewrite `A3` as `A^3`, but not a0, which is Bohr's radius."""
    match = re.fullmatch(r"([A-Za-zÅå]+)(\d)", word)
    return word if match is None or word.lower() in _UNITS else f"{match.group(1)}^{match.group(2)}"


def scale_of(label: str, factors: Mapping[str, float], key: str, name: str) -> tuple[float, str | None]:
    """Find the factor that converts a label to eV and Angstrom.

    A virial without a unit has that of the energy. Any other label without a unit, in a frame with units other than eV
    and Angstrom, could be in either.

    Parameters
    ----------
    label
        energy, forces, virial or stress.
    factors
        Factors of the labels whose unit is given in the frame, from `scales`.
    key
        Name of the label in the frame.
    name
        What messages call the frame.

    Returns
    -------
    float
        The factor.
    str or None
        A sentence, where a unit was assumed.

    Raises
    ------
    InputError
        `unit-missing`: the label has no unit, and another label has one that is not eV and Angstrom.
    """
    if label in factors or all(abs(factor - 1.0) < 1e-9 for factor in factors.values()):
        return factors.get(label, 1.0), None
    if label == "virial" and "energy" in factors:
        return factors["energy"], f"'{key}' is converted as the energy is: it has no unit of its own"
    others = ", ".join(sorted(factors))
    raise InputError(
        "unit-missing",
        f"{name}: units are given of {others} and not of '{key}', which could be in theirs or in eV and Angstrom; "
        f"write {label.removesuffix('s') if label == 'forces' else label}-unit beside it",
    )
