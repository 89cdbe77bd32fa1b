"""GRO files: several frames, any precision, elements from the names of atoms and residues.

ASE's reader takes the first or last letter of a name as the element: it reads CL as carbon, NA as nitrogen, and the
massless site MW of four-site water as tungsten.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers

from dp_sim.errors import InputError
from dp_sim.structures.reading.deuterium import ISOTOPES, name_isotopes
from dp_sim.structures.reading.element_names import elements_of
from dp_sim.structures.stated import add_note

#: One nm/ps in ASE's unit of velocity.
_VELOCITY = units.nm / (1000.0 * units.fs)


def read_gro(file: Path) -> list[Atoms]:
    """Read all frames of a GRO file.

    Raises
    ------
    InputError
        `file-unreadable`: fewer lines than the file says, or no coordinates; `sites-massless`; `elements-ambiguous`.
    """
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    frames: list[Atoms] = []
    while lines:
        name = f"{file}, frame {len(frames)}"
        try:
            count = int(lines[1])
            if len(lines) < count + 3:
                raise IndexError
        except (IndexError, ValueError):
            raise InputError(
                "file-unreadable", f"{name}: a title, the number of atoms, that many lines and the box were expected"
            ) from None
        frames.append(_frame(lines[2 : 2 + count], lines[2 + count], name))
        del lines[: count + 3]
    return frames


def _frame(lines: list[str], box: str, name: str) -> Atoms:
    names = [line[10:15].strip() for line in lines]
    residues = [line[5:10].strip() for line in lines]
    symbols, note = elements_of(zip(names, residues, strict=True), name)
    numbers = [_numbers(line, name) for line in lines]
    atoms = Atoms(
        numbers=[ISOTOPES[s][1] if s in ISOTOPES else atomic_numbers[s] for s in symbols],
        positions=np.array([row[:3] for row in numbers]).reshape(-1, 3) * 10.0,
    )
    atoms.set_array("atomtypes", np.array(names))
    atoms.set_array("residuenames", np.array(residues))
    atoms.set_array("residuenumbers", np.array([int(line[:5]) for line in lines]))
    name_isotopes(atoms)
    if note:
        add_note(atoms, note)
    if numbers and all(len(row) == 6 for row in numbers):
        atoms.set_velocities(np.array([row[3:] for row in numbers]) * _VELOCITY)
    _set_box(atoms, box, name)
    return atoms


def _numbers(line: str, name: str) -> list[float]:
    """Read position (nm) and velocity (nm/ps), if any; the distance between decimal points is the width of a column."""
    rest = line[20:]
    points = [place for place, character in enumerate(rest) if character == "."]
    try:
        width = points[1] - points[0]
        fields = [rest[column * width : (column + 1) * width] for column in range(6)]
        return [float(field) for number, field in enumerate(fields) if number < 3 or field.strip()]
    except (IndexError, ValueError):
        raise InputError("file-unreadable", f"{name}: '{line.strip()}' has no coordinates from column 21 on") from None


def _set_box(atoms: Atoms, box: str, name: str) -> None:
    """Set the cell from box vectors in nm: v1x v2y v3z v1y v1z v2x v2z v3x v3y; three zeros mean no box."""
    try:
        values = [float(field) for field in box.split()]
        if len(values) not in (3, 9):
            raise ValueError
    except ValueError:
        raise InputError("file-unreadable", f"{name}: the box '{box.strip()}' has not 3 or 9 numbers") from None
    if not any(values[:3]):
        add_note(atoms, "its box is 0 0 0: not periodic")
        return
    cell = np.diag(values[:3])
    if len(values) == 9:
        cell.flat[[1, 2, 3, 5, 6, 7]] = values[3:]
    atoms.set_cell(cell * 10.0)
    atoms.pbc = True
