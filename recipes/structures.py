"""Structures as recipes want them: checked, copied, with a calculator that has shown that it can evaluate them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculatorError
from ase.geometry import complete_cell
from ase.io.jsonio import encode
from ase.neighborlist import primitive_neighbor_list
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.recipes.calculators import as_calculator

#: Two atoms closer than this (Angstrom) are taken for one that was written twice; no bond is a tenth as short.
COINCIDENT_A = 1e-2
#: A cell is flat when its volume is below this fraction of the product of its edges.
FLAT_CELL = 1e-6


def check_structure(atoms: Any, name: str = "the structure") -> Atoms:
    """A copy of `atoms` without its calculator.

    Raises
    ------
    InputError
        Not an `ase.Atoms`, no atoms, positions or cell not finite, a flat or missing cell vector along a periodic
        axis, or two atoms on one spot.
    """
    if not isinstance(atoms, Atoms):
        raise InputError(f"{name} must be an ase.Atoms, got {type(atoms).__name__}; read a file with ase.io.read")
    if len(atoms) == 0:
        raise InputError(f"{name} holds no atoms; give a structure with at least one")
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        raise InputError(f"{name}: the position of atom {bad[0]} is not finite ({atoms.positions[bad[0]]}); correct it")
    cell = _periodic_cell(atoms, name)
    first, second, distance = primitive_neighbor_list("ijd", atoms.pbc, cell, atoms.positions, COINCIDENT_A)
    if len(first):
        raise InputError(
            f"{name}: atoms {first[0]} and {second[0]} are {distance[0]:.1e} Angstrom apart, on one spot; remove one"
        )
    return atoms.copy()


def _periodic_cell(atoms: Atoms, name: str) -> NDArray[np.float64]:
    """The cell (3, 3) with the periodic vectors of `atoms`, checked, and unit vectors along the open axes."""
    cell = np.asarray(atoms.cell)
    if not np.isfinite(cell).all():
        raise InputError(f"{name}: the cell is not finite; correct it")
    lengths = np.linalg.norm(cell, axis=1)
    for axis in np.flatnonzero(atoms.pbc):
        if lengths[axis] == 0:
            raise InputError(
                f"{name}: periodic along cell vector {axis}, which has zero length; set the cell, or pbc to False"
            )
    completed: NDArray[np.float64] = complete_cell(np.where(atoms.pbc[:, None], cell, 0.0))
    if abs(np.linalg.det(completed)) < FLAT_CELL * np.linalg.norm(completed, axis=1).prod():
        raise InputError(f"{name}: the periodic cell vectors are not independent (zero volume); correct the cell")
    return completed


def prepare_atoms(atoms: Any, calc: Any, name: str = "the structure") -> Atoms:
    """A checked copy of `atoms` with a calculator attached that has evaluated it once.

    The evaluation shows, before a recipe writes anything, that the calculator knows these elements; ASE calculators
    keep it, so a recipe that starts with this structure does not pay for it again.

    Raises
    ------
    InputError
        From `check_structure` and `as_calculator`; the calculator cannot evaluate the structure or returns NaN.
    """
    atoms = check_structure(atoms, name)
    atoms.calc = as_calculator(calc)
    calculator = type(atoms.calc).__name__
    try:
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    except InputError:
        raise
    except (CalculatorError, NotImplementedError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{name} ({atoms.get_chemical_formula()}): the calculator {calculator} cannot evaluate it "
            f"({type(error).__name__}: {error}); check its elements and the calculator's settings"
        ) from error
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        raise InputError(f"{name}: the calculator {calculator} returns energies or forces that are not finite")
    return atoms


def structures_sha256(structures: Sequence[Atoms]) -> str:
    """SHA-256 over species, positions, cell, periodicity, momenta and constraints: equal structures, equal hash."""
    digest = hashlib.sha256()
    for atoms in structures:
        digest.update(np.ascontiguousarray(atoms.numbers, dtype="<i8").tobytes())
        for array in (atoms.positions, np.asarray(atoms.cell), atoms.get_momenta()):
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        digest.update(bytes(atoms.pbc.tolist()))
        digest.update(encode([constraint.todict() for constraint in atoms.constraints]).encode())
    return digest.hexdigest()
