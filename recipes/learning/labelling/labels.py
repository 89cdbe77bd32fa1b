"""Structures and labels as the journal holds them: exact, and known by a hash."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.jsonio import decode, encode
from ase.stress import voigt_6_to_full_3x3_stress

from dp_sim.datasets.frames import Frame
from dp_sim.recipes.inputs.identity import structures_sha256


def to_label(atoms: Atoms) -> Atoms:
    """Copy what a label depends on: without momenta, constraints and notes."""
    copy = atoms.copy()
    copy.set_constraint()
    copy.arrays.pop("momenta", None)
    copy.info = {key: value for key, value in atoms.info.items() if isinstance(value, (bool, int, float, str))}
    return copy


def structure_hash(atoms: Atoms) -> str:
    """Identify a structure: elements, positions, cell, and all else that a label depends on."""
    return structures_sha256([to_label(atoms)])[:32]


def pick(atoms: Atoms, *, step: int, spread: float | None) -> dict[str, Any]:
    """Describe a structure to be labelled, for a `paused` event.

    Parameters
    ----------
    atoms
        The structure.
    step
        Of dynamics.
    spread
        Its largest uncertainty (eV/Angstrom); None where there are no members yet.
    """
    bare = to_label(atoms)
    return {"hash": structure_hash(atoms), "step": step, "spread": spread, "structure": json.loads(encode(bare))}


def structure_of(entry: Mapping[str, Any]) -> Atoms:
    """Give back the structure of a pick."""
    atoms: Atoms = decode(json.dumps(entry["structure"]))
    return atoms


def frame(name: str, atoms: Atoms, label: Mapping[str, Any]) -> Frame:
    """Make a frame to train on.

    Parameters
    ----------
    name
        What messages call it.
    atoms
        The structure.
    label
        energy (eV), forces (N, 3) (eV/Angstrom), stress (6,) (eV/Angstrom^3) or None.
    """
    stress = label["stress"]
    bulk = stress is not None and bool(atoms.pbc.all())
    return Frame(
        name,
        atoms.numbers,
        atoms.positions,
        atoms.cell.array,
        atoms.pbc,
        energy=label["energy"],
        forces=np.array(label["forces"]),
        # W = -V stress: the signs of dp_sim.structures.batch and of ASE
        virial=-voigt_6_to_full_3x3_stress(np.array(stress)) * atoms.get_volume() if bulk else None,
    )


def labelled_structures(picks: Iterable[tuple[Atoms, Mapping[str, Any]]]) -> list[Atoms]:
    """Attach labels to copies of structures, as extended XYZ is written from."""
    structures = []
    for atoms, label in picks:
        copy = atoms.copy()
        results = {name: np.array(label[name]) for name in ("forces", "stress") if label[name] is not None}
        copy.calc = SinglePointCalculator(copy, energy=label["energy"], **results)
        structures.append(copy)
    return structures
