"""Elements from the names of atoms and residues, for formats (GRO, older PDB) without a column for elements."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ase.data import atomic_numbers

from dp_sim.errors import InputError

#: Names of water residues in force fields and programs.
WATERS = frozenset(
    """HOH WAT SOL H2O DOD TIP TIP3 TIP4 TIP5 TP3 TP4 TP5 T3P T4P T5P TIP3P TIP4P TIP5P SPC SPCE OPC OPC3
    """.split()  # noqa: SIM905 (one name a line is no clearer)
)
#: Amino acids (with their protonation states and ends) and nucleotides: their names begin with a one-letter element.
BIOPOLYMERS = frozenset(
    """ALA ARG ASH ASN ASP CYM CYS CYX GLH GLN GLU GLY HID HIE HIP HIS HSD HSE HSP ILE LEU LYN LYS MET PHE PRO SER THR
    TRP TYR VAL ACE NME NMA NH2 FOR DA DC DG DT DU A C G T U ADE CYT GUA THY URA RA RC RG RU
    """.split()  # noqa: SIM905
)
#: Names of ions (residue or atom) that differ from their element's symbol.
IONS = {"SOD": "Na", "CLA": "Cl", "POT": "K", "CAL": "Ca", "CES": "Cs", "LIT": "Li", "RUB": "Rb", "BAR": "Ba"}
#: Two-letter names that may be an element or a one-letter element with a position (C alpha, N epsilon, ...).
AMBIGUOUS = frozenset(
    """BA BE BI CA CD CO CR CS CU FE HF HG IN IR NA NB NE NI OS PB PD PT SB SC SE SI SN SR
    """.split()  # noqa: SIM905
)
#: Massless sites of force fields: the M of four-site water, lone pairs, extra points; and ghost atoms.
_SITE = re.compile(r"(MW?\d*|I?W|EPW?\d*|LP\w?\d*|L[12]|VS\d*|DUM?\d*)$")


def is_site(name: str, residue: str = "") -> bool:
    """Tell whether an atom's name is that of a massless site (MW, EP, LP1, ...), given the name of its residue."""
    match = _SITE.match(name.upper())
    if match is None:
        return False
    return residue.upper() in WATERS or name.upper().startswith(("MW", "EP", "LP", "VS", "DU"))


def site_error(where: str, name: str) -> InputError:
    """Make the error that refuses a structure with massless sites."""
    return InputError(
        "sites-massless",
        f"{where} is '{name}', a massless site of a force field (the M of four-site water, a lone pair, an extra "
        f"point) or a dummy, and no atom; delete these lines: a model has atoms only",
    )


def element_from_name(name: str, residue: str) -> str | None:
    """Find the element of an atom from its name and its residue.

    Parameters
    ----------
    name
        Name of the atom, such as CA or 1HB.
    residue
        Name of its residue, such as ALA or SOL; may be empty.

    Returns
    -------
    str or None
        Chemical symbol, or D; None if the name fits several elements or none.
    """
    letters = re.sub(r"^[\d'\"*]+", "", name)
    run = re.match(r"[A-Za-z]+", letters)
    if run is None:
        return None
    word, upper, home = run[0], run[0].upper(), residue.strip("+-0123456789").upper()
    if upper in (home, *IONS) and (home in IONS or upper in IONS or home in (upper, "ION", "IONS")):
        if upper in IONS:
            return IONS[upper]
        if upper.capitalize() in atomic_numbers:
            return upper.capitalize()
    if home == "ION" and upper.capitalize() in atomic_numbers:
        return upper.capitalize()
    if residue.upper() == "MSE" and upper.startswith("SE"):
        return "Se"
    if residue.upper() in WATERS or home in BIOPOLYMERS or residue.upper() in BIOPOLYMERS or _is_terminal(residue):
        return upper[0] if upper[0] in "HDCNOSP" else None
    if len(word) > 1 and word[1].islower() and word[:2].capitalize() in atomic_numbers:
        return word[:2].capitalize()  # "Cl1", "Na": written as an element
    if upper[:2] in ("CL", "BR"):
        return upper[:2].capitalize()
    if upper[:2] in AMBIGUOUS:
        return None
    if upper[0] in atomic_numbers or upper[0] == "D":
        return upper[0]
    return upper[:2].capitalize() if upper[:2].capitalize() in atomic_numbers else None


def _is_terminal(residue: str) -> bool:
    """Tell whether a residue is at the end of a chain, in Amber's names: NALA, CVAL, DA5."""
    upper = residue.upper()
    return (upper[1:] in BIOPOLYMERS and upper[0] in "NC") or (upper[:-1] in BIOPOLYMERS and upper[-1] in "35N")


def elements_of(names: Iterable[tuple[str, str]], file: str) -> tuple[list[str], str]:
    """Find the elements of atoms from their names.

    Parameters
    ----------
    names
        Names of atom and residue, for each atom.
    file
        The file, for messages.

    Returns
    -------
    list of str
        Chemical symbols (or D).
    str
        A sentence on how each kind of name was read; empty if all names are symbols.

    Raises
    ------
    InputError
        `sites-massless`; `elements-ambiguous`: names that fit two elements, or none.
    """
    symbols: list[str] = []
    read_as: dict[tuple[str, str], str] = {}
    unclear: dict[str, None] = {}
    for number, (name, residue) in enumerate(names):
        if is_site(name, residue):
            raise site_error(f"{file}: atom {number} (residue {residue})", name)
        element = element_from_name(name, residue)
        if element is None:
            unclear[f"{name} in {residue or 'no residue'}"] = None
            continue
        symbols.append(element)
        read_as[(re.sub(r"\d+", "", name), element)] = element
    if unclear:
        raise InputError(
            "elements-ambiguous",
            f"{file} gives no elements, and these names do not tell theirs: {', '.join(list(unclear)[:8])} "
            f"(CA: calcium, or an alpha carbon?); give a file with elements, such as a PDB with columns 77-78 or XYZ",
        )
    shown = ", ".join(f"{name} as {element}" for name, element in list(read_as)[:12] if name != element)
    more = ", ..." if len(read_as) > 12 else ""
    return symbols, f"the file gives no elements: taken from the names of atoms ({shown}{more})" if shown else ""
