"""The identity of a run's structures: hashes of all that they say, part by part, so that a difference has a name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.io.jsonio import encode

from dp_sim.recipes.inputs.charges import stated_state


def _floats(values: Any) -> bytes:
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def _constraints(atoms: Atoms) -> bytes:
    """Describe each constraint by its content, or by its kind where it has no `todict`."""
    entries = []
    for constraint in atoms.constraints:
        try:
            entries.append(encode(constraint.todict()))
        except (AttributeError, TypeError, NotImplementedError):
            entries.append(type(constraint).__qualname__)
    return json.dumps(entries).encode()


#: What a run depends on -> its bytes. The names stand in the refusals of `--resume`.
PARTS: dict[str, Callable[[Atoms], bytes]] = {
    "elements": lambda atoms: np.ascontiguousarray(atoms.numbers, dtype="<i8").tobytes(),
    "positions": lambda atoms: _floats(atoms.positions),
    "cell": lambda atoms: _floats(atoms.cell),
    "periodicity": lambda atoms: bytes(atoms.pbc.tolist()),
    "momenta": lambda atoms: _floats(atoms.get_momenta()),
    "masses": lambda atoms: _floats(atoms.get_masses()),
    "charges on atoms": lambda atoms: _floats(atoms.get_initial_charges()),
    "magnetic moments": lambda atoms: _floats(atoms.get_initial_magnetic_moments()),
    "total charge or spin": lambda atoms: json.dumps(stated_state(atoms), default=str).encode(),
    "constraints": _constraints,
}


def structure_parts(structures: Sequence[Atoms]) -> dict[str, str]:
    """Hash each part over all structures (SHA-256, shortened), and count them."""
    hashes = {
        name: hashlib.sha256(b"|".join(content(atoms) for atoms in structures)).hexdigest()[:16]
        for name, content in PARTS.items()
    }
    return {"number of structures": str(len(structures)), **hashes}


def structures_sha256(structures: Sequence[Atoms]) -> str:
    """Hash all that a run depends on (`PARTS`): equal structures have equal hashes."""
    return hashlib.sha256(json.dumps(structure_parts(structures)).encode()).hexdigest()
