"""Energies and forces of several structures on one calculator: in batches where a dp-sim model is behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixSymmetry
from numpy.typing import NDArray

from dp_sim.errors import InputError, first_line
from dp_sim.recipes.inputs.calculators import only_model
from dp_sim.recipes.inputs.failed_evaluations import EvaluationError, check_converged, is_failure


def energies_and_forces(
    structures: Sequence[Atoms], calculator: Any, names: Sequence[str] | None = None
) -> Iterator[tuple[float, NDArray[np.float64]]]:
    """Yield potential energy, eV, and forces (N, 3), eV/Angstrom, of each structure in turn, without constraints.

    Parameters
    ----------
    structures
        Any number of structures.
    calculator
        An ASE calculator.
    names
        What messages of errors call the structures; by default "structure 0" and so on.

    Raises
    ------
    EvaluationError
        The calculator fails at one of them, which is named, or says that its numbers there are not converged.
    """
    model = only_model(calculator)
    if model is None:
        for number, atoms in enumerate(structures):
            try:
                energy, forces = calculator.get_potential_energy(atoms), calculator.get_forces(atoms)
                check_converged(calculator)
            except Exception as error:
                if not is_failure(error):
                    raise
                name = names[number] if names else f"structure {number}"
                raise EvaluationError("evaluation-failed", f"{name}: {first_line(error)}") from error
            yield energy, forces
        return
    for output in model.evaluate_each(structures, names=names):
        assert output.forces is not None
        yield output.energy.item(), output.forces.cpu().numpy()


def largest_force(atoms: Atoms) -> float:
    """Compute the largest force on an atom, eV/Angstrom, the constraints taken into account."""
    return float(np.linalg.norm(atoms.get_forces(), axis=1).max())


def mobile_atoms(atoms: Atoms, *, but_symmetry: bool = False) -> NDArray[np.intp]:
    """Find the indices of the atoms that may move.

    Parameters
    ----------
    atoms
        The structure.
    but_symmetry
        Leave `FixSymmetry` out of account: it holds no atom by itself.

    Raises
    ------
    InputError
        A constraint other than `FixAtoms`, or no atom that may move.
    """
    fixed: set[int] = set()
    for constraint in atoms.constraints:
        if but_symmetry and isinstance(constraint, FixSymmetry):
            continue
        if not isinstance(constraint, FixAtoms):
            raise InputError(
                "constraint-unsupported",
                "normal modes are computed with whole atoms fixed (FixAtoms) or none, "
                f"got {type(constraint).__name__}; remove that constraint",
            )
        fixed.update(int(index) for index in constraint.index)
    mobile = np.array([index for index in range(len(atoms)) if index not in fixed], dtype=np.intp)
    if not len(mobile):
        raise InputError("atoms-all-fixed", "every atom is fixed, so there are no normal modes; free at least one")
    return mobile
