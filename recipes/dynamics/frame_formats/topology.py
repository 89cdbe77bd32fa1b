"""Atoms, residues and bonds of a structure, as MDTraj keeps them."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from dp_sim.errors import import_optional
from dp_sim.files import atomic_path
from dp_sim.recipes.dynamics.engines.molecules import find_molecules
from dp_sim.recipes.dynamics.frame_formats.frame import TurnedFrame
from dp_sim.units import ANGSTROM_IN_NM


def topology(atoms: Atoms) -> dict[str, Any]:
    """Return the topology in the form of MDTraj's HDF5 files.

    A molecule is a residue, with names that are unique in it. MDTraj numbers atoms as residues list them: of a
    molecule whose atoms do not follow one another in the structure, each piece that does is a residue.
    """
    bonds, _ = find_molecules(atoms)
    pairs = np.array(bonds, dtype=int).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(atoms), len(atoms)))
    _, molecules = connected_components(graph, directed=False)
    pieces = [list(members) for _, members in groupby(range(len(atoms)), key=lambda atom: int(molecules[atom]))]
    residues = [_residue(atoms, number, members) for number, members in enumerate(pieces)]
    return {"chains": [{"index": 0, "residues": residues}], "bonds": [[int(i), int(j)] for i, j in bonds]}


def _residue(atoms: Atoms, number: int, members: list[int]) -> dict[str, Any]:
    counts: dict[str, int] = {}
    entries = []
    for atom in members:
        symbol = atoms.symbols[atom]
        counts[symbol] = counts.get(symbol, 0) + 1
        entries.append({"index": atom, "name": f"{symbol}{counts[symbol]}", "element": symbol})
    return {"index": number, "name": "MOL", "resSeq": number + 1, "segmentID": "", "atoms": entries}


def write_pdb(frame: TurnedFrame, file: Path) -> None:
    """Write a PDB file that gives a DCD file its atoms, residues and bonds.

    Raises
    ------
    MissingPackageError
        MDTraj is not installed.
    """
    mdtraj = import_optional("mdtraj", extra="openmm", purpose="the topology beside a DCD trajectory")
    made = mdtraj.Topology()
    chain = made.add_chain()
    for residue in topology(frame.atoms)["chains"][0]["residues"]:
        added = made.add_residue(residue["name"], chain, resSeq=residue["resSeq"])
        for atom in residue["atoms"]:
            made.add_atom(atom["name"], mdtraj.element.get_by_symbol(atom["element"]), added)
    atoms = list(made.atoms)
    for first, second in topology(frame.atoms)["bonds"]:
        made.add_bond(atoms[first], atoms[second])
    lengths = None if frame.lengths_A is None else frame.lengths_A[None] * ANGSTROM_IN_NM
    angles = None if frame.angles_deg is None else frame.angles_deg[None]
    trajectory = mdtraj.Trajectory(
        frame.positions_A[None] * ANGSTROM_IN_NM, made, unitcell_lengths=lengths, unitcell_angles=angles
    )
    with atomic_path(file) as temporary:
        trajectory.save_pdb(str(temporary))
