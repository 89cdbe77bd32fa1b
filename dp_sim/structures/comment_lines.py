"""Cells, columns and units that a comment line states in a form that ASE's reader of extended XYZ does not take."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from dp_sim.errors import InputError
from dp_sim.structures.words import free_text

#: Names of a cell, in lower case; ASE reads `Lattice` alone.
_CELL_KEYS = ("lattice", "cell", "box", "unit_cell", "unitcell", "cell_vectors", "lattice_vectors", "boxvectors")
#: i-PI: `# CELL(abcABC): 25 25 25 90 90 90 ... positions{atomic_unit} cell{atomic_unit}`.
_IPI_CELL = re.compile(r"CELL[(\[{]\w+[)\]}]")
#: ASE's reader drops the braces.
_IPI_UNIT = re.compile(r"(?<!\w)positions\{?(angstrom|atomic_unit|bohr|nanometer|picometer|micrometer)", re.IGNORECASE)


def refuse_unread(atoms: Any, name: str = "structure") -> None:
    """Refuse a structure whose comment line states a cell, columns or a unit that were not read.

    Without its cell a crystal would be evaluated as a cluster; without its columns it has no forces.

    Parameters
    ----------
    atoms
        An ase.Atoms, as ASE read it.
    name
        What messages call it.

    Raises
    ------
    InputError
        `cell-unread`, `columns-unread`, `units-unsupported`.
    """
    if not atoms.info:
        return
    text = free_text(atoms.info)
    unit = _IPI_UNIT.search(text)
    if unit is not None and unit[1].lower() != "angstrom":
        raise InputError(
            "units-unsupported", f"{name} states positions{{{unit[1]}}}, and they are read in Angstrom; convert them"
        )
    for key, value in atoms.info.items():
        lower = str(key).lower()
        if lower == "properties" and isinstance(value, str):
            raise InputError(
                "columns-unread",
                f"{name} names its columns in '{key}', which ASE does not read: forces would be lost; write it as "
                f"Properties={value}",
            )
        if lower in _CELL_KEYS and not atoms.cell.array.any() and _is_cell(value):
            raise _cell_unread(name, f"'{key}'")
    if _IPI_CELL.search(text) and not atoms.cell.array.any():
        raise _cell_unread(name, "its comment line (as i-PI does)")


def _is_cell(value: Any) -> bool:
    """Tell whether a value can be a cell: three lengths, six parameters or nine components."""
    try:
        numbers = np.asarray(value.split() if isinstance(value, str) else value, dtype=float).ravel()
    except (TypeError, ValueError):
        return False
    return numbers.size in (3, 6, 9) and bool(numbers.any())


def _cell_unread(name: str, where: str) -> InputError:
    return InputError(
        "cell-unread",
        f"{name} states a cell in {where}, which is not read: it would be evaluated as a cluster; write the three "
        f'vectors as Lattice="ax ay az bx by bz cx cy cz", or delete it where there is no cell',
    )
