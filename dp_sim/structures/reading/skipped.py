"""Statements of input files and columns that ASE's readers pass over: acted on, noted or refused."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from ase import Atoms

from dp_sim.errors import InputError
from dp_sim.structures.reading.deuterium import isotope_mass, set_masses
from dp_sim.structures.stated import add_note

#: Columns of extended XYZ under names of other programs -> the name that ASE reads, what they state.
_COLUMNS = {
    "mass": ("masses", "masses"),
    **dict.fromkeys(("vel", "velo", "velocity", "velocities"), ("momenta", "velocities")),
    **dict.fromkeys(("fixed", "fix", "frozen", "selective_dynamics"), ("move_mask", "fixed atoms")),
}
#: A mass further than this share from the element's is one that somebody meant.
_MASS_TOLERANCE = 0.005


def note_columns(structures: list[Atoms], text: str, name: str) -> None:
    """Note columns of extended XYZ that state masses, velocities or fixed atoms under names that ASE does not read."""
    for atoms in structures:
        for column in atoms.arrays:
            if column.lower() in _COLUMNS:
                known, meaning = _COLUMNS[column.lower()]
                add_note(atoms, f"its column '{column}' is not read: {meaning} are read from a column '{known}'")


def complete_gaussian(structures: list[Atoms], text: str, name: str) -> None:
    """Take isotopes (`H(Iso=2)`) of a Gaussian input; refuse coordinates in bohr (`units=au`)."""
    if re.search(r"^\s*#[^\n]*\bunits\s*=?\s*\(?[^)\n]*\b(au|bohr)\b", text, re.MULTILINE | re.IGNORECASE):
        raise InputError(
            "units-unsupported", f"{name} states units=au, and positions are read in Angstrom; convert them"
        )
    rows = text.splitlines()
    start = next((i for i, row in enumerate(rows) if re.fullmatch(r"\s*[-+]?\d+([\s,]+[-+]?\d+)+\s*", row)), len(rows))
    for atoms in structures:
        masses = np.full(len(atoms), np.nan)
        for index, row in enumerate(rows[start + 1 : start + 1 + len(atoms)]):
            if found := re.search(r"\biso\s*=\s*([\d.]+)", row, re.IGNORECASE):
                masses[index] = isotope_mass(atoms.symbols[index], float(found[1]))
        _set_masses(atoms, masses, "Iso=")


def complete_espresso(structures: list[Atoms], text: str, name: str) -> None:
    """Take the masses of ATOMIC_SPECIES, which Quantum ESPRESSO moves its atoms with, and its `tot_magnetization`."""
    stated = [row[:2] for row in _card(text, "ATOMIC_SPECIES", r"([A-Za-z]\w*)\s+([\d.]+(?:[eE][-+]?\d+)?)\s+\S+")]
    labels = [row[0] for row in _card(text, "ATOMIC_POSITIONS", r"([A-Za-z]\w*)((?:\s+[-+\d.]\S*){3,6})")]
    spin = re.search(r"\btot_magnetization\s*=\s*([\d.]+)", text, re.IGNORECASE)
    for atoms in structures:
        usual, masses = Atoms(numbers=atoms.numbers).get_masses(), np.full(len(atoms), np.nan)
        for label, mass in ((label, float(mass)) for label, mass in stated):
            chosen = np.array([one == label for one in labels[: len(atoms)]])
            if len(chosen) == len(atoms) and mass > 0:
                masses[chosen & (abs(usual - mass) > _MASS_TOLERANCE * usual)] = mass
        _set_masses(atoms, masses, "ATOMIC_SPECIES")
        if spin and float(spin[1]):
            atoms.info["tot_magnetization"] = float(spin[1])


def _card(text: str, name: str, pattern: str) -> list[tuple[str, ...]]:
    """Return the rows of a card of Quantum ESPRESSO, until the first that does not look like one."""
    _, *rows = re.split(rf"^\s*{name}\b.*$", text, maxsplit=1, flags=re.MULTILINE | re.IGNORECASE)
    found: list[tuple[str, ...]] = []
    for row in "".join(rows).splitlines():
        bare = re.split("[!#]", row)[0].strip()
        fields = re.fullmatch(pattern, bare)
        if fields is not None:
            found.append(fields.groups())
        elif bare:
            break
    return found


def complete_turbomole(structures: list[Atoms], text: str, name: str) -> None:
    """Take charge and unpaired electrons (`$eht`) of a coord file; refuse periodic cells and units other than bohr."""
    if found := re.search(r"^\s*\$coord[ \t]+(angs|frac)\w*", text, re.MULTILINE | re.IGNORECASE):
        raise InputError(
            "units-unsupported", f"{name} states '{found[0].strip()}', and a coord file is read in bohr; convert it"
        )
    if found := re.search(r"^\s*\$(periodic[ \t]+[123]|lattice|cell)\b", text, re.MULTILINE | re.IGNORECASE):
        raise InputError(
            "cell-unread",
            f"{name} has a cell ('{found[0].strip()}'), which is not read: it would be evaluated as a cluster; convert "
            f"it to extended XYZ",
        )
    line = re.search(r"^\s*\$eht\b.*$", text, re.MULTILINE | re.IGNORECASE)
    for key in ("charge", "unpaired"):
        if line and (found := re.search(rf"\b{key}\s*=\s*([-+]?\d+)", line[0], re.IGNORECASE)):
            for atoms in structures:
                atoms.info[key] = int(found[1])


def complete_shelx(structures: list[Atoms], text: str, name: str) -> None:
    """Take occupancies of a SHELX file; refuse one that leaves atoms to symmetry (LATT, SYMM)."""
    lattice = re.search(r"^\s*LATT\s+([-+]?\d+)", text, re.MULTILINE | re.IGNORECASE)
    if re.search(r"^\s*SYMM\b", text, re.MULTILINE | re.IGNORECASE) or (lattice and int(lattice[1]) != -1):
        raise InputError(
            "symmetry-unread",
            f"{name} leaves atoms to symmetry (LATT, SYMM), which is not read: they would be missing; convert it to a "
            f"CIF",
        )
    body = re.split(r"^\s*SFAC\b.*$", text, maxsplit=1, flags=re.MULTILINE)[-1]
    shares = re.findall(r"^\s*\w+\s+\d+\s+(?:[-\d.]+\s+){3}([-\d.]+)", body, re.MULTILINE)
    for atoms in structures:
        if len(shares) == len(atoms):  # 11 is an occupancy of 1 that a refinement holds
            values = np.array([float(share) for share in shares])
            occupancy = np.where(values >= 10, values - 10, values)
            if (occupancy != 1).any():
                atoms.set_array("occupancy", occupancy)


def refuse_held_lattice(structures: list[Atoms], text: str, name: str) -> None:
    """Refuse `constrain_relaxation` under a lattice vector of FHI-aims: ASE fixes another atom in its place."""
    owner = ""
    for row in text.splitlines():
        word = (row.split("#")[0].split() or [""])[0]
        if word in ("lattice_vector", "atom", "atom_frac"):
            owner = word
        elif word == "constrain_relaxation" and owner == "lattice_vector":
            raise InputError(
                "constraint-unread",
                f"{name} holds a lattice vector (constrain_relaxation), which is not read; delete that line, and hold "
                f"the cell with --cell-mask, or not relax it",
            )


def _set_masses(atoms: Atoms, masses: np.ndarray, where: str) -> None:
    """Set masses (amu; NaN: that of the element) that a file states, with a note of where."""
    chosen = np.flatnonzero(np.isfinite(masses))
    if len(chosen):
        set_masses(atoms, masses)
        listed = ", ".join(sorted({f"{atoms.symbols[index]} {masses[index]:g}" for index in chosen}))
        add_note(atoms, f"{len(chosen)} atoms have the mass that the file states ({where}: {listed} amu)")


#: ASE's name of a format -> what to do with its structures, the text of the file and its name.
SKIPPED: dict[str, Callable[[list[Atoms], str, str], None]] = {
    "extxyz": note_columns,
    "gaussian-in": complete_gaussian,
    "espresso-in": complete_espresso,
    "turbomole": complete_turbomole,
    "res": complete_shelx,
    "aims": refuse_held_lattice,
}
