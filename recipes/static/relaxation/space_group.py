"""The space group of a crystal: which it is, and a relaxation that keeps it."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCom, FixSymmetry
from ase.spacegroup.symmetrize import symmetrize_rank2
from numpy.typing import NDArray

from dp_sim.errors import InputError, import_optional
from dp_sim.recipes.static.relaxation.optimizers import quiet
from dp_sim.recipes.static.relaxation.strain import COMPONENTS, StrainSpace

#: Tolerance in which atoms and cell are said to have a symmetry, Angstrom.
SYMPREC_A = 0.01


def space_group(atoms: Atoms, symprec_A: float = SYMPREC_A) -> str:
    """Name the space group of a structure, with its number: `Fm-3m (225)`.

    Raises
    ------
    InputError
        `symmetry-not-found`: the cell has no volume, or spglib finds no symmetry within the tolerance.
    MissingPackageError
        spglib is not installed.
    """
    spglib = import_optional("spglib", extra="symmetry", purpose="the space group")
    if atoms.cell.rank < 3 or not atoms.pbc.any():
        raise InputError(
            "symmetry-not-found",
            f"a space group is the symmetry of a crystal, and this structure has pbc={atoms.pbc.tolist()} and "
            f"{atoms.cell.rank} of 3 vectors of the cell; leave out symmetry",
        )
    crystal = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    try:
        with quiet():  # spglib announces another way to tell failures
            found = spglib.get_symmetry_dataset(crystal, symprec=symprec_A)
    except Exception:  # spglib raises one class for every failure, versions before 2.7 return None
        found = None
    if found is None:
        raise InputError(
            "symmetry-not-found",
            f"spglib finds no symmetry of {atoms.get_chemical_formula()} within symprec_A={symprec_A:g} Angstrom; "
            "choose another, or leave out symmetry",
        )
    return f"{found.international} ({found.number})"


def keep_symmetry(atoms: Atoms, symprec_A: float = SYMPREC_A) -> float:
    """Move a structure onto its symmetry, and add the constraint that keeps it there.

    Returns
    -------
    float
        How far an atom was moved at most, Angstrom.

    Raises
    ------
    InputError
        `symmetry-constrained`: a constraint that treats atoms of one orbit differently; and from `space_group`.
    """
    space_group(atoms, symprec_A)
    others = [one for one in atoms.constraints if not isinstance(one, FixSymmetry)]
    for one in others:
        if not isinstance(one, (FixAtoms, FixCom)):
            raise InputError(
                "symmetry-constrained",
                f"symmetry is kept together with fixed atoms (FixAtoms) alone, got {type(one).__name__}; remove that "
                "constraint, or leave out symmetry",
            )
    before = atoms.get_scaled_positions(wrap=False)
    atoms.set_constraint()
    with quiet():
        symmetric = FixSymmetry(atoms, symprec=symprec_A)
    for one in others:
        if isinstance(one, FixAtoms):
            _check_whole_orbits(one, symmetric)
    atoms.set_constraint([*others, symmetric])
    moved = (atoms.get_scaled_positions(wrap=False) - before) @ atoms.cell.array
    return float(np.linalg.norm(moved, axis=1).max())


def _check_whole_orbits(fixed: FixAtoms, symmetric: FixSymmetry) -> None:
    indices = {int(index) for index in fixed.index}
    for mapping in symmetric.symm_map:
        for index in sorted(indices):
            if int(mapping[index]) not in indices:
                raise InputError(
                    "symmetry-constrained",
                    f"atom {index} is fixed and atom {int(mapping[index])}, which the symmetry maps it onto, is not; "
                    "fix both or neither, or leave out symmetry",
                )


def symmetric_strains(space: StrainSpace, atoms: Atoms) -> StrainSpace:
    """Find those strains of a space that keep the symmetry of a structure with `FixSymmetry` on it.

    Raises
    ------
    InputError
        `cell-not-free`: there are none.
    """
    kept = [one for one in atoms.constraints if isinstance(one, FixSymmetry)]
    if not kept:
        return space
    units = _unit_strains()

    def project(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        for one in kept:
            matrix = symmetrize_rank2(atoms.cell.array, atoms.cell.reciprocal().T, matrix, one.rotations)
        return matrix

    # What both projections leave as it is: the eigenvectors of their mean with the eigenvalue 1.
    mean = [[np.sum(one * (project(two) + space.project(two))) / 2 for two in units] for one in units]
    values, vectors = np.linalg.eigh((np.array(mean) + np.transpose(mean)) / 2)
    common = vectors[:, values > 1 - 1e-8]
    if not common.size:
        raise InputError(
            "cell-not-free",
            f"no change of the cell in {', '.join(space.components)} keeps its symmetry and what else is to be kept; "
            "free more components, or leave out symmetry or cell",
        )
    return StrainSpace(space.components, np.tensordot(common.T, np.array(units), axes=1))


def _unit_strains() -> list[Any]:
    units = []
    for row, column in COMPONENTS.values():
        matrix = np.zeros((3, 3))
        matrix[row, column] = matrix[column, row] = 1.0
        units.append(matrix / np.linalg.norm(matrix))
    return units
