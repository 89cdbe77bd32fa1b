"""Structures for recipes: checked, copied, with a calculator that has been seen to evaluate them."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.geometry import complete_cell
from ase.neighborlist import primitive_neighbor_list

from dp_sim.errors import InputError
from dp_sim.recipes.inputs.calculators import as_calculator
from dp_sim.recipes.inputs.charges import accept_state
from dp_sim.recipes.inputs.failed_evaluations import check_converged, is_failure
from dp_sim.structures import checks as structure
from dp_sim.structures.comment_lines import refuse_unread
from dp_sim.structures.constraints import restore_constraints
from dp_sim.structures.stated import check_occupancy

#: Cutoff of an ordinary potential (Angstrom), with which neighbours are counted where no model is known yet.
ORDINARY_CUTOFF = 6.0
#: Atoms nearer than this times the sum of their covalent radii are in no matter: at 1 TPa it is 0.5.
TOO_NEAR = 0.2
#: What calculators raise for elements that they do not know, beside what `is_failure` tells.
_UNKNOWN_STRUCTURE = (NotImplementedError, KeyError, ValueError, TypeError)


def check_structure(atoms: Any, name: str = "the structure") -> Atoms:
    """Check a structure; return a copy without calculator, with the constraints that a file of dp-sim holds for it.

    Raises
    ------
    InputError
        Not an `ase.Atoms`, or one that `dp_sim.structures.checks` refuses: no atoms, positions or cell not finite,
        periodic axes that span no volume, two atoms on one spot, or so many in so small a cell that no memory holds
        the pairs. Sites that are filled in part or by several elements; the placeholder of PDB files for a cell.
        Constraints on atoms that it does not have.
    """
    if not isinstance(atoms, Atoms):
        raise InputError(
            "structure-kind", f"{name} must be an ase.Atoms, got {type(atoms).__name__}; read a file with ase.io.read"
        )
    check_occupancy(atoms, name)
    refuse_unread(atoms, name)
    _refuse_placeholder_cell(atoms, name)
    structure.check_density(structure.check_structures([atoms], name), ORDINARY_CUTOFF, name)
    cell = complete_cell(np.where(atoms.pbc[:, None], atoms.cell, 0.0))
    reach = 2 * TOO_NEAR * float(covalent_radii[atoms.numbers].max())
    center, neighbor, distances = primitive_neighbor_list("ijd", atoms.pbc, cell, atoms.positions, reach)
    structure.check_distances(distances, center, neighbor, name)
    _refuse_nanometres(atoms, center, neighbor, distances, name)
    copy = atoms.copy()
    restore_constraints(copy)
    _check_constraints(copy, name)
    return copy


def _refuse_nanometres(atoms: Atoms, center: Any, neighbor: Any, distances: Any, name: str) -> None:
    """Refuse a structure all of whose atoms have neighbours far inside a bond: in nm, bonds are a tenth as long.

    Two atoms alone may be anywhere on a dimer's curve.
    """
    if len(atoms) < 3:
        return
    bonds = covalent_radii[atoms.numbers]
    near = distances < TOO_NEAR * (bonds[center] + bonds[neighbor])
    if len(np.unique(center[near])) == len(atoms):
        raise InputError(
            "units-unsupported",
            f"{name}: every atom has a neighbour within {TOO_NEAR:g} of the length of a bond (the nearest two are "
            f"{distances.min():.3g} Angstrom apart), as if positions were in nm; write them in Angstrom",
        )


def _check_constraints(atoms: Atoms, name: str) -> None:
    """Refuse constraints on atoms that the structure does not have."""
    for one in atoms.constraints:
        try:
            indices = np.asarray(one.get_indices())
        except (AttributeError, NotImplementedError, TypeError):  # a constraint that names no atoms
            continue
        if indices.dtype.kind == "i" and ((indices >= len(atoms)) | (indices < -len(atoms))).any():
            outside = indices[(indices >= len(atoms)) | (indices < -len(atoms))]
            raise InputError(
                "constraint-index",
                f"{name} has {len(atoms)} atoms, numbered from 0, and its constraint {type(one).__name__} names atom "
                f"{outside[0]}; correct the constraint",
            )


def _refuse_placeholder_cell(atoms: Atoms, name: str) -> None:
    """Refuse a cell of 1 x 1 x 1 Angstrom, which PDB files give where there is none; ASE's reader takes it for one."""
    if len(atoms) > 1 and atoms.pbc.all() and np.array_equal(atoms.cell, np.eye(3)):
        raise InputError(
            "cell-placeholder",
            f"{name} is periodic in a cell of 1 x 1 x 1 Angstrom, the placeholder of PDB files for 'no cell'; set "
            f"atoms.cell = None and atoms.pbc = False, or give the true cell",
        )


def prepare_atoms(atoms: Any, calc: Any, name: str = "the structure") -> Atoms:
    """Check a structure, attach a calculator to a copy, and evaluate it once.

    The evaluation shows, before a recipe writes anything, that the calculator knows these elements. ASE calculators
    keep the result, so that the recipe does not compute it again.

    Parameters
    ----------
    atoms
        The structure.
    calc
        As for `as_calculator`.
    name
        What messages of errors call the structure.

    Raises
    ------
    InputError
        From `check_structure`, `as_calculator` and `accept_state`; the calculator cannot evaluate the structure or
        returns NaN.
    """
    atoms = check_structure(atoms, name)
    atoms.calc = as_calculator(calc)
    accept_state(atoms, atoms.calc, name)
    evaluate_once(atoms, name)
    return atoms


def evaluate_once(atoms: Atoms, name: str = "the structure") -> None:
    """Let the calculator of `atoms` show that it knows the structure, before a recipe writes anything.

    Raises
    ------
    InputError
        It cannot evaluate it, or returns NaN.
    """
    calculator = type(atoms.calc).__name__
    try:
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        check_converged(atoms.calc)
    except InputError:
        raise
    except Exception as error:
        if not (is_failure(error) or isinstance(error, _UNKNOWN_STRUCTURE)):
            raise
        raise InputError(
            "calculator-failed",
            f"{name} ({atoms.get_chemical_formula()}): the calculator {calculator} cannot evaluate it "
            f"({type(error).__name__}: {error}); check its elements and the calculator's settings",
        ) from error
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        raise InputError(
            "calculator-not-finite",
            f"{name}: the calculator {calculator} returns energies or forces that are not finite",
        )
