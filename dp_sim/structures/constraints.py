"""Constraints that travel with a structure through extended XYZ, which keeps fixed atoms and coordinates only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ase.constraints import FixAtoms, dict2constraint
from ase.io.jsonio import decode, encode

from dp_sim.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

#: Key of `Atoms.info` that holds, in files of dp-sim, the constraints that the format has no place for.
CONSTRAINTS = "dp_sim_constraints"


def with_constraints_written(atoms: Atoms) -> Atoms:
    """The structure for a file in extended XYZ: as it is, or a copy whose `info` holds what would be lost.

    The copy shares the calculator. Constraints that have no form on paper are left out: `not_writable` names them.
    """
    kept = [constraint for constraint in atoms.constraints if _written(constraint) is not None]
    if not kept or (len(kept) == 1 and type(kept[0]) is FixAtoms):
        return atoms
    copy = atoms.copy()
    copy.calc = atoms.calc
    copy.info[CONSTRAINTS] = [_written(constraint) for constraint in kept]
    return copy


def restore_constraints(atoms: Atoms) -> None:
    """Put the constraints that a file of dp-sim holds back on the structure.

    Raises
    ------
    InputError
        `constraint-unreadable`: the entry is damaged, or of a kind that this version of ASE does not have.
    """
    stored = atoms.info.pop(CONSTRAINTS, None)
    if stored is None:
        return
    try:
        entries = json.loads(stored) if isinstance(stored, str) else stored
        atoms.set_constraint([dict2constraint(decode(json.dumps(entry))) for entry in entries])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            "constraint-unreadable",
            f"the constraints in the comment line ({CONSTRAINTS}) cannot be read ({error}); delete that entry and set "
            f"them again",
        ) from error


def not_writable(atoms: Atoms) -> list[str]:
    """Kinds of constraints on the structure that no file can hold."""
    return sorted({type(one).__name__ for one in atoms.constraints if _written(one) is None})


def _written(constraint: Any) -> dict[str, Any] | None:
    """A constraint as plain JSON from which ASE makes it again; None where there is no such form."""
    try:
        entry = json.loads(encode(constraint.todict()))
        dict2constraint(decode(json.dumps(entry)))
    except Exception:  # a constraint of any kind, made by anyone
        return None
    return entry
