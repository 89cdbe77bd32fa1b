"""Residues of a structure, for files that must have them: one molecule each, its atoms named by element and number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from ase import Atoms
from ase.symbols import Symbols
from numpy.typing import NDArray

from dp_sim.recipes.dynamics.molecules import components, find_bonds, find_molecules

#: Columns of an atom's name, and of a residue's.
NAME_WIDTH, RESIDUE_WIDTH = 4, 3


@dataclass(frozen=True)
class Residue:
    """Atoms that follow one another in the structure.

    Attributes
    ----------
    name
        Up to three letters.
    atoms
        Indices of the atoms.
    atom_names
        Name of each; no two are alike.
    """

    name: str
    atoms: list[int]
    atom_names: list[str]


def find_residues(atoms: Atoms) -> tuple[list[Residue], NDArray[np.int_], NDArray[np.float64]]:
    """Divide a structure into residues, in the order of its atoms.

    A finite molecule is a residue; so is each atom of a network that meets its own periodic image (a crystal, a polymer
    through the box). Where the atoms of a molecule do not follow one another, each run of them is a residue. One with
    more atoms of an element than four columns can number is continued in the next residue.

    Returns
    -------
    residues
        Each with all its atoms.
    bonds
        (M, 2) atoms of each bond.
    positions
        (N, 3) of whole molecules, Angstrom.
    """
    tree, positions = find_molecules(atoms)
    molecule = components(len(atoms), tree)
    symbols = list(atoms.symbols)
    names = _residue_names(symbols, molecule)
    residues = [
        Residue(names[molecule[part[0]]], part, atom_names([symbols[atom] for atom in part]))
        for run in _runs(molecule)
        for part in _parts(run, symbols)
    ]
    return residues, find_bonds(atoms), positions


def _runs(molecule: NDArray[np.int_]) -> Iterator[list[int]]:
    """Give the atoms of each run of one molecule."""
    cuts = np.flatnonzero(np.diff(molecule)) + 1
    for run in np.split(np.arange(len(molecule)), cuts):
        yield run.tolist()


def _parts(run: list[int], symbols: list[str]) -> Iterator[list[int]]:
    """Cut a run where the numbers of an element no longer fit beside its symbol."""
    part: list[int] = []
    counts: dict[str, int] = defaultdict(int)
    for atom in run:
        if counts[symbols[atom]] == 10 ** (NAME_WIDTH - len(symbols[atom])) - 1:
            yield part
            part, counts = [], defaultdict(int)
        part.append(atom)
        counts[symbols[atom]] += 1
    yield part


def atom_names(symbols: list[str]) -> list[str]:
    """Name atoms by element and number, H1, H2, ...; an element that comes once has no number."""
    counts: dict[str, int] = defaultdict(int)
    names = []
    for symbol in symbols:
        counts[symbol] += 1
        names.append(f"{symbol.upper()}{counts[symbol]}")
    return [symbol.upper() if counts[symbol] == 1 else name for symbol, name in zip(symbols, names, strict=True)]


def _residue_names(symbols: list[str], molecule: NDArray[np.int_]) -> dict[int, str]:
    """Name each molecule by its kind: HOH, the formula where it is short enough, else M01, M02, ... by appearance."""
    members: dict[int, list[int]] = defaultdict(list)
    for atom, number in enumerate(molecule.tolist()):
        members[number].append(atom)
    kinds: dict[str, str] = {"H2O": "HOH"}
    names = {}
    for number, indices in members.items():
        formula = _formula(tuple(sorted(symbols[atom] for atom in indices)))
        if formula not in kinds:
            long = sum(name.startswith("M") and name[1:].isdigit() for name in kinds.values())
            kinds[formula] = formula.upper() if len(formula) <= RESIDUE_WIDTH else f"M{long + 1:02d}"[:RESIDUE_WIDTH]
        names[number] = kinds[formula]
    return names


@cache
def _formula(symbols: tuple[str, ...]) -> str:
    return str(Symbols.fromsymbols(list(symbols)).get_chemical_formula("hill"))
