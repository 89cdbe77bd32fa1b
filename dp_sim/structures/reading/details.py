"""Details that ASE's readers skip, by format: total charges, isotopes, types that are no elements."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms

from dp_sim.errors import InputError
from dp_sim.structures.reading.deuterium import isotope_mass, set_masses
from dp_sim.structures.reading.skipped import SKIPPED
from dp_sim.structures.stated import add_note
from dp_sim.structures.words import unread_pair

#: Formats whose files may state a total charge in a line of its own, which ASE skips -> pattern of that line.
_CHARGE_LINES = {
    "espresso-in": r"^\s*tot_charge\s*=\s*([-+.\deEdD]+)",
    "nwchem-in": r"^\s*charge\s+([-+.\d]+)",
    "gaussian-in": r"^\s*([-+]?\d+)[\s,]+\d+\s*$",
}
#: Pattern of the line with the spin multiplicity.
_MULTIPLICITY_LINES = {"gaussian-in": r"^\s*[-+]?\d+[\s,]+(\d+)\s*$"}
#: Charges in the atom block of an MDL file: code -> e. Code 4 is a radical.
_MDL_CODES = {1: 3, 2: 2, 3: 1, 5: -1, 6: -2, 7: -3}


def complete(structures: list[Atoms], file: Path, kind: str) -> None:
    """Add to structures what their file states and ASE's reader for the format `kind` skips.

    Parameters
    ----------
    structures
        As ASE read them; changed in place.
    file
        The file.
    kind
        ASE's name of the format.

    Raises
    ------
    InputError
        `elements-ambiguous`: a file of LAMMPS whose types are numbers without elements; what `skipped` refuses.
    """
    if kind in _CHARGE_LINES:
        _add_stated_state(structures, _text(file), kind)
    for atoms in structures:
        if pair := unread_pair(atoms.info):
            charge, multiplicity = pair.split()
            add_note(
                atoms,
                f"its comment line '{pair}' is not read; if it is a charge and a multiplicity, write charge={charge} "
                f"multiplicity={multiplicity}",
            )
    for one_kind, complete_one in _OWN.items():
        if one_kind == kind:
            complete_one(structures, _text(file), str(file))


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _add_stated_state(structures: list[Atoms], text: str, kind: str) -> None:
    for key, patterns in (("charge", _CHARGE_LINES), ("multiplicity", _MULTIPLICITY_LINES)):
        match = re.search(patterns.get(kind, r"(?!)"), text, re.MULTILINE | re.IGNORECASE)
        if match is None:
            continue
        value = float(re.sub("[dD]", "e", match[1]))
        for atoms in structures:
            atoms.info[key] = int(value) if value == int(value) else value


def _complete_mdl(structures: list[Atoms], text: str, name: str) -> None:
    """Add charges (M  CHG, or the codes of the atom block) and isotopes (M  ISO) of an MDL molfile V2000."""
    lines = text.splitlines()
    for atoms in structures[:1]:
        rows = lines[4 : 4 + len(atoms)]
        charges = [_MDL_CODES.get(int(row[36:39]), 0) if row[36:39].strip().isdigit() else 0 for row in rows]
        properties = _mdl_properties(lines)
        charge = sum(properties["CHG"].values()) if properties["CHG"] else sum(charges)
        if charge:
            atoms.info["charge"] = charge
            add_note(atoms, f"the charges of its atoms sum to {charge:+d}")
        masses = np.full(len(atoms), np.nan)
        for index, number in properties["ISO"].items():
            masses[index] = isotope_mass(atoms.symbols[index], number)
        set_masses(atoms, masses)
        if properties["ISO"]:
            add_note(atoms, f"{len(properties['ISO'])} atoms have the mass number of an isotope (M  ISO)")


def _mdl_properties(lines: list[str]) -> dict[str, dict[int, int]]:
    """Read CHG and ISO of the first record: index of an atom -> value."""
    found: dict[str, dict[int, int]] = {"CHG": {}, "ISO": {}}
    for line in lines:
        if line.startswith(("M  END", "$$$$")):
            break
        if line[:6] in ("M  CHG", "M  ISO"):
            fields = [int(field) for field in line[9:].split()]
            found[line[3:6]].update({atom - 1: value for atom, value in zip(fields[::2], fields[1::2], strict=True)})
    return found


def _refuse_types(structures: list[Atoms], text: str, name: str) -> None:
    """Refuse numbered types of LAMMPS without elements or masses, of which ASE would read type 1 as hydrogen."""
    has_elements = re.search(r"^ITEM: ATOMS.*\belement\b|^\s*Masses\b|^\s*Atom Type Labels\b", text, re.MULTILINE)
    if not has_elements:
        raise InputError(
            "elements-ambiguous",
            f"{name} gives types (1, 2, ...) and no elements; write it with elements (dump_modify element O H, with "
            f"`element` among the columns) or, in a data file, with a Masses section",
        )


_OWN: dict[str, Callable[[list[Atoms], str, str], None]] = {
    "sdf": _complete_mdl,
    "mol": _complete_mdl,
    "lammps-data": _refuse_types,
    "lammps-dump-text": _refuse_types,
    **SKIPPED,
}
