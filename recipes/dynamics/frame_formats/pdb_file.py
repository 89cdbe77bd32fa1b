"""A structure as a PDB file (format 3.3) that OpenMM, MDTraj and MDAnalysis read alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.recipes.dynamics.frame_formats.frame import turned
from dp_sim.recipes.dynamics.frame_formats.residues import Residue, find_residues

#: Numbers that fit into the columns of atoms and residues.
LAST_SERIAL, LAST_RESIDUE = 99_999, 9_999
#: Bonds of an atom in one CONECT record.
BONDS_A_LINE = 4
CHAINS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def pdb_text(atoms: Atoms) -> str:
    """Write a structure with its cell, residues, elements and bonds.

    The cell stands as lengths and angles, so the structure is turned: a along x, b in the xy plane.
    A new chain begins after 9,999 residues. Serial numbers of more than 99,999 atoms begin again from 1, and CONECT
    records, which would point to several atoms then, are left out, with a remark in the file.
    """
    residues, bonds, positions = find_residues(atoms)
    lines = ["REMARK   1 WRITTEN BY DP-SIM. RESIDUES ARE MOLECULES FOUND BY DISTANCE."]
    if len(atoms) > LAST_SERIAL:
        lines.append("REMARK   1 MORE THAN 99999 ATOMS: SERIAL NUMBERS BEGIN AGAIN, BONDS LEFT OUT.")
    whole = atoms.copy()
    whole.set_constraint()
    whole.positions = positions
    frame = turned(whole)
    if frame.lengths_A is not None and frame.angles_deg is not None:
        (a, b, c), (alpha, beta, gamma) = frame.lengths_A, frame.angles_deg
        lines.append(f"CRYST1{a:9.3f}{b:9.3f}{c:9.3f}{alpha:7.2f}{beta:7.2f}{gamma:7.2f} P 1           1")
    lines += _atom_lines(atoms, residues, frame.positions_A)
    if len(atoms) <= LAST_SERIAL:
        lines += _bond_lines(bonds)
    return "\n".join([*lines, "END"]) + "\n"


def _atom_lines(atoms: Atoms, residues: list[Residue], positions: NDArray[np.float64]) -> Iterator[str]:
    symbols = list(atoms.symbols)
    for number, residue in enumerate(residues):
        chain = CHAINS[number // LAST_RESIDUE % len(CHAINS)]
        for atom, name in zip(residue.atoms, residue.atom_names, strict=True):
            symbol = symbols[atom]
            # The symbol ends in the second of the name's four columns, unless the name needs them all.
            columns = name if len(name) == 4 or len(symbol) == 2 else f" {name}"
            yield (
                f"HETATM{atom % LAST_SERIAL + 1:5d} {columns:<4} {residue.name:>3} {chain}"
                f"{number % LAST_RESIDUE + 1:4d}    {_coordinates(positions[atom])}  1.00  0.00          "
                f"{symbol.upper():>2}  "
            )


def _coordinates(position: NDArray[np.float64]) -> str:
    """Fill eight columns for each coordinate, with fewer decimals where it is far out."""
    return "".join(
        f"{value:8.3f}" if -999.9995 < value < 9999.9995 else f"{value:.6g}"[:8].rjust(8) for value in position
    )


def _bond_lines(bonds: NDArray[np.int_]) -> Iterator[str]:
    """Write each bond from both of its atoms, as the format asks for."""
    partners: dict[int, list[int]] = defaultdict(list)
    for first, second in bonds.tolist():
        partners[first].append(second)
        partners[second].append(first)
    for atom in sorted(partners):
        others = sorted(partners[atom])
        for start in range(0, len(others), BONDS_A_LINE):
            yield f"CONECT{atom + 1:5d}" + "".join(f"{other + 1:5d}" for other in others[start : start + BONDS_A_LINE])
