"""Constraints saved with a structure in extended XYZ, a format that keeps only fixed atoms and coordinates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.constraints import FixAtoms, dict2constraint
from ase.io.jsonio import decode, encode

from dp_sim.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

#: Key of `Atoms.info` that holds, in files of dp-sim, the constraints that the format cannot hold.
CONSTRAINTS = "dp_sim_constraints"


def with_constraints_written(atoms: Atoms) -> Atoms:
    """Put constraints that extended XYZ has no column for into the comment line (`info`).

    Constraints that cannot be written as JSON are left out: `not_writable` names them.

    Returns
    -------
    Atoms
        The structure itself, or a copy (with the same calculator) whose `info` holds constraints that would be lost.
    """
    kept = [constraint for constraint in atoms.constraints if _written(constraint) is not None]
    if not kept or (len(kept) == 1 and type(kept[0]) is FixAtoms):
        return atoms
    copy = atoms.copy()
    copy.calc = atoms.calc
    copy.info[CONSTRAINTS] = [_written(constraint) for constraint in kept]
    return copy


def restore_constraints(atoms: Atoms) -> None:
    """Restore the constraints that a file of dp-sim holds.

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
    """List the kinds of constraints on the structure that cannot be written to a file."""
    return sorted({type(one).__name__ for one in atoms.constraints if _written(one) is None})


def _written(constraint: Any) -> dict[str, Any] | None:
    """Write a constraint as plain JSON from which ASE can restore it; None if it cannot."""
    try:
        entry = json.loads(encode(constraint.todict()))
        dict2constraint(decode(json.dumps(entry)))
    except Exception:  # a constraint of any kind, made by anyone
        return None
    return entry


def obeying(atoms: Atoms) -> tuple[Atoms, float]:
    """Move a structure to where its constraints hold: an optimiser's first step does so, whatever the forces.

    Returns
    -------
    atoms
        A copy without a calculator.
    shift
        How far the atom moves that moves most, Angstrom: 0 where the structure obeys them already.
    """
    moved = atoms.copy()
    moved.set_positions(atoms.positions)
    return moved, float(np.linalg.norm(moved.positions - atoms.positions, axis=1).max(initial=0.0))
