"""PDB files: elements, cell, alternate locations, formal charges and models as the format defines them.

ASE's reader takes alternate locations for additional atoms, the placeholder cell for a cell, and " CA " without an
element for calcium. It gives the cell of a trajectory only to the first model, and appends an empty structure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.cell import Cell
from ase.data import atomic_numbers

from dp_sim.errors import InputError
from dp_sim.structures.reading.deuterium import ISOTOPES, name_isotopes
from dp_sim.structures.reading.element_names import elements_of, is_site, site_error
from dp_sim.structures.stated import add_note


@dataclass
class _Model:
    """The lines of one model, and the cell (Angstrom and degrees) and space group given before them."""

    cell: list[float] | None
    space_group: str = ""
    lines: list[str] = field(default_factory=list)


def read_pdb(file: Path) -> list[Atoms]:
    """Read all models of a PDB file.

    Raises
    ------
    InputError
        `locations-alternate`: atoms with two positions; `sites-massless`; `elements-ambiguous`; `file-unreadable`: a
        line without coordinates.
    """
    return [_structure(model, f"{file}, model {number}") for number, model in enumerate(_models(file))]


def _models(file: Path) -> list[_Model]:
    """Collect the models that have atoms; the cell is given once for all of them, or before each."""
    models = [_Model(None)]
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("CRYST1"):
            numbers = line[6:54]
            values = [numbers[:9], numbers[9:18], numbers[18:27], numbers[27:34], numbers[34:41], numbers[41:48]]
            try:
                models[-1].cell = [float(value) for value in values]
                models[-1].space_group = line[55:66].strip()
            except ValueError:
                raise InputError("file-unreadable", f"{file}: the cell in '{line.strip()}' cannot be read") from None
        elif line.startswith(("ATOM", "HETATM")):
            models[-1].lines.append(line.rstrip("\n").ljust(80))
        elif line.startswith(("END", "MODEL")) and models[-1].lines:  # CP2K and VMD end frames with END
            models.append(_Model(models[-1].cell, models[-1].space_group))
    return [model for model in models if model.lines]


def _structure(model: _Model, name: str) -> Atoms:
    _refuse_alternates(model.lines, name)
    try:
        positions = np.array([[float(line[i : i + 8]) for i in (30, 38, 46)] for line in model.lines])
    except ValueError:
        raise InputError("file-unreadable", f"{name}: a line has no coordinates in columns 31 to 54") from None
    names = [line[12:16].strip() for line in model.lines]
    residues = [line[17:21].strip() for line in model.lines]
    symbols, note = _symbols(model.lines, names, residues, name)
    atoms = Atoms(
        numbers=[ISOTOPES[s][1] if s in ISOTOPES else atomic_numbers[s] for s in symbols], positions=positions
    )
    atoms.set_array("atomtypes", np.array(names))
    atoms.set_array("residuenames", np.array(residues))
    atoms.set_array("residuenumbers", np.array([_integer(line[22:26], 1) for line in model.lines]))
    atoms.set_array("occupancy", np.array([_decimal(line[54:60], 1.0) for line in model.lines]))
    name_isotopes(atoms)
    if note:
        add_note(atoms, note)
    _set_cell(atoms, model.cell, model.space_group)
    charge = sum(_formal_charge(line[78:80]) for line in model.lines)
    if charge:
        atoms.info["charge"] = charge
        add_note(atoms, f"the formal charges in columns 79-80 sum to {charge:+d}")
    if (atoms.arrays["occupancy"] == 0).any() and not (atoms.arrays["occupancy"] == 0).all():
        add_note(atoms, f"{(atoms.arrays['occupancy'] == 0).sum()} atoms have occupancy 0 and are taken as there")
    return atoms


def _refuse_alternates(lines: list[str], name: str) -> None:
    """Refuse alternate locations (column 17) of an atom: several positions with one atom name in one residue."""
    seen: dict[tuple[str, ...], set[str]] = {}
    for line in lines:
        seen.setdefault((line[21], line[22:27], line[12:16]), set()).add(line[16])
    twice = {key: letters for key, letters in seen.items() if len(letters) > 1}
    if twice:
        residues = dict.fromkeys(f"{line[17:21].strip()} {line[21]}{line[22:27].strip()}"
                                 for line in lines if (line[21], line[22:27], line[12:16]) in twice)  # fmt: skip
        letters = sorted(set().union(*twice.values()) - {" "})
        raise InputError(
            "locations-alternate",
            f"{name} gives {len(twice)} atoms at alternate locations {', '.join(letters)} (residues "
            f"{', '.join(list(residues)[:6])}{', ...' if len(residues) > 6 else ''}; atoms "
            f"{', '.join(list(dict.fromkeys(key[2].strip() for key in twice))[:6])}): they are not there together; "
            f"keep one location of each (pdb_selaltloc, pdbfixer) and set its occupancy to 1.00",
        )


def _symbols(lines: list[str], names: list[str], residues: list[str], name: str) -> tuple[list[str], str]:
    """Read the element columns (77-78); where these are empty or no element, take the names."""
    found: list[str | None] = []
    for number, line in enumerate(lines):
        symbol = line[76:78].strip().capitalize()
        if symbol.upper() in ("EP", "X", "M", "LP", "VS") and is_site(names[number] or symbol, "HOH"):
            raise site_error(f"{name}: atom {number} (residue {residues[number]})", names[number])
        found.append(symbol if (symbol in atomic_numbers and symbol != "X") or symbol in ISOTOPES else None)
    missing = [number for number, symbol in enumerate(found) if symbol is None]
    from_names, note = elements_of(((names[n], residues[n]) for n in missing), name)
    for number, symbol in zip(missing, from_names, strict=True):
        found[number] = symbol
    return [str(symbol) for symbol in found], note


def _set_cell(atoms: Atoms, cell: list[float] | None, space_group: str) -> None:
    """Set the cell, unless it is the format's placeholder for structures without one (as from NMR)."""
    if cell is None:
        return
    if all(length <= 1.0 for length in cell[:3]):
        lengths = " x ".join(f"{length:g}" for length in cell[:3])
        add_note(atoms, f"its CRYST1 of {lengths} Angstrom is a placeholder for 'no cell': not periodic")
        return
    atoms.set_cell(Cell.new(cell))
    atoms.pbc = True
    if space_group.replace(" ", "") not in ("", "1", "P1"):
        add_note(
            atoms,
            f"its CRYST1 names the space group '{space_group}': no copies by symmetry are made, its atoms are taken as "
            f"all of the cell",
        )


def _formal_charge(text: str) -> int:
    """Read a charge such as "2+", "+2" or "1-"; 0 for anything else."""
    match = re.fullmatch(r"(\d)([+-])|([+-])(\d)", text.strip())
    if match is None:
        return 0
    digit, sign = (match[1], match[2]) if match[1] else (match[4], match[3])
    return int(digit) * (-1 if sign == "-" else 1)


def _integer(text: str, default: int) -> int:
    return int(text) if re.fullmatch(r"\s*-?\d+\s*", text) else default


def _decimal(text: str, default: float) -> float:
    try:
        return float(text)
    except ValueError:
        return default
