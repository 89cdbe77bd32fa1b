"""Atoms, residues and bonds of a structure, as MDTraj keeps them."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from dp_sim.recipes.dynamics.frame_formats.residues import find_residues


def topology(atoms: Atoms) -> dict[str, Any]:
    """Return the topology in the form of MDTraj's HDF5 files.

    A molecule is a residue, with names that are unique in it. MDTraj numbers atoms as residues list them: of a
    molecule whose atoms do not follow one another in the structure, each piece that does is a residue.
    """
    residues, bonds, _ = find_residues(atoms)
    entries = [
        {
            "index": number,
            "name": residue.name,
            "resSeq": number + 1,
            "segmentID": "",
            "atoms": [
                {"index": atom, "name": name, "element": str(atoms.symbols[atom])}
                for atom, name in zip(residue.atoms, residue.atom_names, strict=True)
            ],
        }
        for number, residue in enumerate(residues)
    ]
    return {"chains": [{"index": 0, "residues": entries}], "bonds": bonds.tolist()}
