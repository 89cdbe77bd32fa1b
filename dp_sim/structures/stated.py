"""Statements of a structure beyond atoms and cell: occupancies, charge, spin, and notes on how it was read.

A Deep Potential takes positions, elements and cell. Anything else that a structure states must be refused or reported,
never ignored: a mixed crystal run as a pure one, or an ion run neutral, gives a number that looks like any other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dp_sim.errors import InputError, shown
from dp_sim.structures.comment_lines import refuse_unread
from dp_sim.structures.words import stated_in_words

#: Key of `Atoms.info` for notes of the readers on what they did with a file, one sentence a line.
NOTES = "dp_sim_notes"
#: Names of the total charge (e) in files of programs, in lower case.
CHARGE_KEYS = ("charge", "total_charge", "net_charge", "tot_charge", "totalcharge", "molecular_charge", "q")
#: Names of the spin multiplicity, 2 S + 1.
MULTIPLICITY_KEYS = ("multiplicity", "mult", "spin_multiplicity")
#: Names of a spin, which programs write as 2 S + 1, 2 S (unpaired electrons) or S.
SPIN_KEYS = ("spin", "total_spin")
#: Names of the number of unpaired electrons, 2 S.
UNPAIRED_KEYS = ("uhf", "unpaired", "unpaired_electrons", "magmom", "magmoms", "total_magmom", "tot_magnetization")
#: Names of an electric field, in lower case; after `ref_` too.
FIELD_KEYS = ("electric_field", "external_field", "external_electric_field", "efield", "e_field")
#: Arrays of an ase.Atoms that state something of each atom which no model takes, and their names in words.
ATOMIC_STATE = {"initial_charges": "charges", "initial_magmoms": "magnetic moments"}
#: Arrays that `refuse_state` reads, and those.
READ_ARRAYS = ("numbers", *ATOMIC_STATE, "occupancy")
#: A site with a lower occupancy is not always filled.
FULL_OCCUPANCY = 0.99
#: Sums of charges within this (e) of a whole number are taken as that number: files round partial charges.
CHARGE_ROUNDING = 0.05


def add_note(atoms: Any, sentence: str) -> None:
    """Add a note to an ase.Atoms. Every run that starts from it shows the note in its log and on its page."""
    atoms.info[NOTES] = "\n".join([*notes_of(atoms), sentence])


def notes_of(atoms: Any) -> list[str]:
    """Return the notes that readers left on a structure."""
    return [line for line in str(atoms.info.get(NOTES, "")).splitlines() if line]


def check_occupancy(atoms: Any, name: str = "structure") -> None:
    """Refuse sites that are shared by several elements or only partly filled.

    Parameters
    ----------
    atoms
        An ase.Atoms with `info["occupancy"]` from ASE's CIF reader, or `arrays["occupancy"]` from a reader of PDB.
    name
        What messages call the structure.

    Raises
    ------
    InputError
        `occupancy-partial`: names the sites.
    """
    partial = [*_mixed_sites(atoms.info.get("occupancy")), *_partial_atoms(atoms)]
    if partial:
        shown = "; ".join(partial[:5]) + (f"; and {len(partial) - 5} more" if len(partial) > 5 else "")
        raise InputError(
            "occupancy-partial",
            f"{name} has sites that are not filled by one whole atom ({shown}): one structure cannot stand for such "
            f"an average; choose which atoms are there (an ordered supercell), then give every site occupancy 1 or "
            f"delete the occupancies",
        )


def _mixed_sites(occupancy: Any) -> list[str]:
    """Describe the sites of a CIF, {kind: {symbol: occupancy}}, that are not one whole atom."""
    if not isinstance(occupancy, dict):
        return []
    found = []
    for kind, content in occupancy.items():
        if isinstance(content, dict) and (len(content) > 1 or min(content.values(), default=1) < FULL_OCCUPANCY):
            found.append(f"site {kind}: " + " + ".join(f"{share:g} {symbol}" for symbol, share in content.items()))
    return found


def _partial_atoms(atoms: Any) -> list[str]:
    """Describe the atoms with partial occupancies; if all are 0, the column was never filled in."""
    values = atoms.arrays.get("occupancy")
    if values is None or np.asarray(values).dtype.kind not in "fiu":
        return []
    partial = np.flatnonzero((values > 0) & (values < FULL_OCCUPANCY))
    return [f"atom {i} ({atoms.symbols[i]}): {values[i]:g}" for i in partial]


def stated_charge(atoms: Any, name: str = "structure") -> float | None:
    """Find the total charge that a structure states in its comment line (`info`) or by its initial charges.

    Partial charges count only if they sum to a whole number other than 0.

    Parameters
    ----------
    atoms
        An ase.Atoms.
    name
        What messages call the structure.

    Returns
    -------
    float or None
        Charge (e); None where none is stated.

    Raises
    ------
    InputError
        `charge-ambiguous`: two statements differ; `charge-unreadable`: a value that is no number.
    """
    stated = {key: _number(value, key, name) for key, value in _entries(atoms, CHARGE_KEYS).items()}
    total = float(atoms.arrays["initial_charges"].sum()) if "initial_charges" in atoms.arrays else 0.0
    if round(total) and abs(total - round(total)) <= CHARGE_ROUNDING:
        stated["the sum of initial charges"] = float(round(total))
    if len(set(stated.values())) > 1:
        listed = ", ".join(f"{key}: {value:g}" for key, value in stated.items())
        raise InputError("charge-ambiguous", f"{name} states its charge twice and differently ({listed}); keep one")
    return next(iter(stated.values()), None)


def stated_multiplicity(atoms: Any, name: str = "structure") -> int | None:
    """Find the spin multiplicity 2 S + 1 that a structure states in its comment line.

    `spin` is read as 2 S + 1, 2 S or S: the lowest that is possible with the number of electrons. So 1 is a singlet for
    an even number of electrons and a doublet for an odd one.

    Parameters
    ----------
    atoms
        An ase.Atoms.
    name
        What messages call the structure.

    Returns
    -------
    int or None
        None where no spin is stated.

    Raises
    ------
    InputError
        `spin-impossible`: a multiplicity that this number of electrons cannot have; `spin-ambiguous`: two statements
        differ; `charge-unreadable`: a value that is no number.
    """
    charge = stated_charge(atoms, name) or 0.0
    electrons = int(atoms.numbers.sum()) - round(charge)
    found: dict[str, int] = {}
    for key, value in _entries(atoms, MULTIPLICITY_KEYS).items():
        found[key] = round(_number(value, key, name))
    for key, value in _entries(atoms, UNPAIRED_KEYS).items():
        found[key] = round(abs(_number(np.sum(value), key, name))) + 1
    for key, value in _entries(atoms, SPIN_KEYS).items():
        spin = abs(_number(value, key, name))
        possible = [m for m in (spin, spin + 1, 2 * spin + 1) if m >= 1 and m == int(m) and (electrons + m) % 2 == 1]
        if not possible:
            raise InputError("spin-impossible", f"{name} has {key}={value}, which {electrons} electrons cannot have")
        found[key] = int(possible[0])
    for key, multiplicity in found.items():
        if multiplicity < 1 or (electrons + multiplicity) % 2 == 0:
            raise InputError(
                "spin-impossible",
                f"{name} has {key}={atoms.info.get(key)}, a multiplicity of {multiplicity}, which {electrons} "
                f"electrons cannot have; correct it or the charge ({charge:g})",
            )
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{key}={atoms.info.get(key)}" for key in found)
        raise InputError("spin-ambiguous", f"{name} states its spin twice and differently ({listed}); keep one")
    return next(iter(found.values()), None)


def stated_field(atoms: Any) -> str:
    """Return the name of an electric field other than zero that a structure states; empty for none."""
    for key, value in atoms.info.items():
        if str(key).lower().removeprefix("ref_") in FIELD_KEYS and not isinstance(value, (bool, np.bool_)):
            try:
                there = bool(np.asarray(value, dtype=float).any())
            except (TypeError, ValueError):
                there = True
            if there:
                return str(key)
    return ""


def lowest_multiplicity(atoms: Any) -> int:
    """Compute the lowest multiplicity: 1 for an even number of electrons, 2 for an odd one."""
    return 1 + (int(atoms.numbers.sum()) - round(stated_charge(atoms) or 0.0)) % 2


def refuse_state(atoms: Any, name: str = "structure") -> None:
    """Refuse what a Deep Potential cannot take into account: a charge, a spin, sites that are not one whole atom.

    Parameters
    ----------
    atoms
        An ase.Atoms.
    name
        What messages call the structure.

    Raises
    ------
    InputError
        `charge-unsupported`; `spin-unsupported`: a multiplicity that is not the lowest; `field-unsupported`;
        `occupancy-partial`; and from `refuse_unread`.
    """
    if not atoms.info and "initial_charges" not in atoms.arrays and "occupancy" not in atoms.arrays:
        return
    check_occupancy(atoms, name)
    refuse_unread(atoms, name)
    if field := stated_field(atoms):
        raise InputError(
            "field-unsupported",
            f"{name} states an electric field ({field}), and a Deep Potential knows none; delete it where the model "
            "was trained in just this field",
        )
    if charge := stated_charge(atoms, name):
        raise InputError(
            "charge-unsupported",
            f"{name} states a charge of {charge:+g}, and a Deep Potential knows no charges: it would be evaluated as "
            f"if it were neutral; use a calculator that takes a charge, or delete the charge where the model was "
            f"trained on just this ion",
        )
    multiplicity = stated_multiplicity(atoms, name)
    if multiplicity is not None and multiplicity != lowest_multiplicity(atoms):
        raise InputError(
            "spin-unsupported",
            f"{name} states a spin multiplicity of {multiplicity}, and a Deep Potential knows no spin; use a "
            f"calculator that takes one, or delete it where the model was trained on just this state",
        )


def _entries(atoms: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the entries of the comment line whose names, in lower case, are among `keys`; `charge -1` counts too."""
    words = {what: value for what, value in stated_in_words(atoms.info).items() if what in keys}
    return words | {
        key: value
        for key, value in atoms.info.items()
        if str(key).lower() in keys and value is not None and not isinstance(value, (bool, np.bool_))
    }


def _number(value: Any, key: str, name: str) -> float:
    try:
        number = float(value.replace("−", "-") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise InputError(
            "charge-unreadable", f"{name} has {key}={shown(value)}, which is no number; correct or delete it"
        )
    return number
