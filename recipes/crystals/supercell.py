"""The supercell in which force constants are computed: its size, the memory that it takes, phonopy's object of it."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.errors import InputError, import_optional
from dp_sim.recipes.crystals.crystal import Crystal
from dp_sim.recipes.inputs import memory
from dp_sim.recipes.inputs.calculators import loaded_model

#: Smallest height of a supercell (Angstrom) where no cutoff is known.
ORDINARY_LENGTH_A = 12.0
#: Larger supercells are displaced without symmetry: phonopy's search in them takes minutes (2048 atoms: 85 s, 3 GB).
MOST_SYMMETRIC_ATOMS = 500

Matrix = NDArray[np.intp]


def supercell_matrix(crystal: Crystal, calculator: Any, supercell: str | None, length_A: float | None) -> Matrix:
    """Find the multiples of the conventional cell, (3, 3): as given, else the fewest whose heights reach a length."""
    if supercell is not None:
        return parse_supercell(supercell)
    length = length_A or default_length(calculator)
    # The height over a face is the inverse of the reciprocal vector's length.
    heights = 1 / np.linalg.norm(np.linalg.inv(crystal.conventional.cell.array), axis=0)
    return np.diag(np.ceil(length / heights - 1e-6).astype(np.intp))


def default_length(calculator: Any) -> float:
    """Give the smallest height of a supercell: twice the cutoff of a Deep Potential, else `ORDINARY_LENGTH_A`."""
    model = loaded_model(calculator)
    return ORDINARY_LENGTH_A if model is None else 2 * max(member.cutoff for member in model.members)


def parse_supercell(text: str) -> Matrix:
    """Read `3`, `3x3x2`, `3 3 2` or the nine numbers of a matrix, row by row.

    Raises
    ------
    InputError
        Another number of numbers, or a matrix without volume.
    """
    words = [word for word in re.split(r"[x×,;\s\[\]()]+", text.strip()) if word]
    numbers = [int(word) for word in words if re.fullmatch(r"[+-]?\d+", word)]
    if len(numbers) != len(words) or len(numbers) not in (1, 3, 9):
        raise InputError(
            "supercell-invalid", f"supercell must be one, three or nine whole numbers (3, 3x3x2), got '{text}'"
        )
    matrix = np.diag(numbers * 3) if len(numbers) == 1 else np.diag(numbers) if len(numbers) == 3 else None
    matrix = np.array(numbers).reshape(3, 3) if matrix is None else matrix
    if len(numbers) < 9 and min(numbers) < 1:
        raise InputError("supercell-invalid", f"supercell must be of at least 1 along each axis, got '{text}'")
    if round(np.linalg.det(matrix)) < 1:
        raise InputError(
            "supercell-invalid", f"the supercell matrix '{text}' has the determinant {np.linalg.det(matrix):.0f}; "
            "expected 1 or more"
        )  # fmt: skip
    return np.asarray(matrix, dtype=np.intp)


def uses_symmetry(crystal: Crystal, atoms: int) -> bool:
    """Whether symmetry saves displacements: phonopy looks at elements alone, and must be done in seconds."""
    return crystal.plain and atoms <= MOST_SYMMETRIC_ATOMS


def check_memory(crystal: Crystal, matrix: Matrix, n_members: int) -> int:
    """Check that phonopy's arrays of the supercell fit into the memory that is free; return its number of atoms.

    Raises
    ------
    InputError
        `memory-too-small`.
    """
    atoms, n = len(crystal.conventional) * round(np.linalg.det(matrix)), len(crystal.primitive)
    operations = len(crystal.rotations) * atoms / n if uses_symmetry(crystal, atoms) else 0
    # Force constants of members, mean and copies, displaced supercells; translations (atoms/n x atoms); symmetry.
    needed = atoms * (n * 72 * (6 + n_members) + 6 * n * 150 + 16 * atoms / n + 16 * operations)
    memory.check_memory(
        needed,
        f"a supercell of {atoms:,} atoms, with {n} atoms in the primitive cell,",
        "take a smaller supercell (supercell, length_A)",
    )
    return atoms


def make_phonon(crystal: Crystal, matrix: Matrix) -> Any:
    """Make phonopy's object of the crystal, without force constants."""
    phonopy = import_optional("phonopy", extra="phonons", purpose="phonons")
    structure = import_optional("phonopy.structure.atoms", extra="phonons", purpose="phonons")
    cell = crystal.conventional
    moments = cell.get_initial_magnetic_moments()
    unit = structure.PhonopyAtoms(
        numbers=cell.numbers,
        cell=cell.cell.array,
        scaled_positions=cell.get_scaled_positions(),
        masses=cell.get_masses(),
        magnetic_moments=moments if moments.any() else None,
    )
    atoms = len(cell) * round(np.linalg.det(matrix))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Warning: Point group symmetries", UserWarning)  # `keeps_symmetry` tells
        return phonopy.Phonopy(
            unit,
            matrix,
            primitive_matrix=np.linalg.inv(crystal.multiples).T,
            symprec=1e-5,
            is_symmetry=uses_symmetry(crystal, atoms),
        )


def keeps_symmetry(phonon: Any) -> bool:
    """Whether the supercell has the point group of the crystal; one of other proportions may lack some of it."""
    return len(phonon.symmetry.pointgroup_operations) == len(phonon.primitive_symmetry.pointgroup_operations)


def as_ase(crystal: Crystal, phonon: Any, displaced: Any = None) -> Atoms:
    """Convert phonopy's supercell, or a displaced one, with all that the atoms of the crystal have."""
    cell = phonon.supercell if displaced is None else displaced
    origin = np.array([phonon.supercell.u2u_map[index] for index in phonon.supercell.s2u_map])
    atoms = crystal.conventional[origin]
    atoms.set_cell(cell.cell)
    atoms.set_positions(cell.positions)
    return atoms
