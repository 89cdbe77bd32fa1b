"""The ends of a path beside those that were expected."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ase import Atoms

from dp_sim.errors import InputError
from dp_sim.recipes.inputs.structures import check_structure
from dp_sim.recipes.paths.matching import Comparison, same_structure
from dp_sim.structures.reading.named import split_name
from dp_sim.structures.reading.read import read_file


def read_expected(given: Any, name: str, start: Atoms) -> Atoms | None:
    """Take an expected end: a structure, or FILE or FILE@INDEX with one; None where none is given.

    Raises
    ------
    InputError
        `file-missing`, `index-malformed`, `structures-too-many`, or what `read_file` refuses; `ends-differ`: it holds
        other atoms than the saddle point.
    """
    if given is None:
        return None
    found = given
    if isinstance(given, (str, os.PathLike)):
        found = _read(os.fspath(given), name)
    atoms = check_structure(found, f"the {name}")
    if sorted(atoms.numbers) != sorted(start.numbers):
        raise InputError(
            "ends-differ",
            f"the {name} is {atoms.get_chemical_formula()} and the saddle point {start.get_chemical_formula()}; give "
            "an end of the same atoms",
        )
    atoms.set_constraint(start.constraints)
    return atoms


def _read(given: str, name: str) -> Atoms:
    file, index = split_name(given, "-1")
    if not file.is_file():
        raise InputError("file-missing", f"{name}: there is no structure file {file}; give the path of one")
    found = read_file(file, index)
    if len(found) != 1:
        raise InputError(
            "structures-too-many", f"{name}: {given} names {len(found)} structures; give FILE@INDEX with one number"
        )
    return found[0]


@dataclass(frozen=True)
class EndComparison:
    """An end of the path beside the one expected.

    Attributes
    ----------
    same
        Whether they are one structure: same bonds, and near each other.
    same_bonds
        Whether they have the same bonds.
    rmsd_A
        Root-mean-square distance of the atoms with the best relabelling, Angstrom.
    relabelled
        Whether like atoms had to change their numbers for it.
    """

    same: bool
    same_bonds: bool
    rmsd_A: float
    relabelled: bool

    @property
    def words(self) -> str:
        """What was found, as a phrase."""
        bonds = "the same bonds" if self.same_bonds else "other bonds"
        relabelled = ", with like atoms exchanged" if self.relabelled else ""
        return f"{bonds}, {self.rmsd_A:.3f} Angstrom apart{relabelled}"


def compared(end: Atoms, expected: Atoms) -> EndComparison:
    """Compare an end of the path with the one that is expected there."""
    found: Comparison = same_structure(end, expected)
    moved = bool((found.permutation != range(len(end))).any())
    return EndComparison(found.same, found.same_bonds, found.rmsd_A, moved)


def is_swapped(ends: tuple[Atoms, Atoms], reactant: Atoms | None, product: Atoms | None) -> bool | None:
    """Tell whether the second of the ends is the reactant, by what fits better; None where nothing is expected."""
    if reactant is None and product is None:
        return None

    def misfit(order: tuple[Atoms, Atoms]) -> tuple[int, float]:
        pairs = [compared(end, one) for end, one in zip(order, (reactant, product), strict=True) if one is not None]
        return sum(not one.same_bonds for one in pairs), sum(one.rmsd_A for one in pairs)

    return misfit((ends[1], ends[0])) < misfit(ends)
