"""A crystal and its symmetry: conventional and primitive cell, moved onto the symmetry that spglib finds.

Cells are in the standard setting and orientation of spglib (International Tables): a along x, b in the xy plane.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.constraints import FixSymmetry
from numpy.typing import NDArray

from dp_sim.errors import InputError, import_optional
from dp_sim.structures.stated import stated_charge, stated_multiplicity

Array = NDArray[np.float64]


class Crystal(NamedTuple):
    """A periodic structure on its symmetry.

    Attributes
    ----------
    conventional, primitive
        Its cells, without calculator.
    multiples
        (3, 3) whole numbers: lattice vectors of the conventional cell in those of the primitive one.
    symbol, number
        Space group in Hermann-Mauguin notation, and its number.
    rotations
        (R, 3, 3) rotations of the point group, Cartesian, in the orientation of the cells.
    kinds
        (n,) of the primitive cell's atoms: equal where element, mass, charge and magnetic moment are.
    moved_A
        The farthest that an atom was moved relative to the cell.
    strained
        The largest relative change of a length in the cell.
    """

    conventional: Atoms
    primitive: Atoms
    multiples: NDArray[np.intp]
    symbol: str
    number: int
    rotations: Array
    kinds: NDArray[np.intp]
    moved_A: float
    strained: float

    @property
    def plain(self) -> bool:
        """Whether atoms of an element are all alike: then programs that look at elements alone see its symmetry."""
        return len(set(self.kinds.tolist())) == len(set(self.primitive.numbers.tolist()))

    @property
    def formula_units(self) -> int:
        """Formula units in the primitive cell."""
        counts = np.unique(self.primitive.numbers, return_counts=True)[1]
        return int(np.gcd.reduce(counts))


def with_primitive(crystal: Crystal, primitive: Atoms) -> Crystal:
    """Replace the primitive cell by one with the same atoms that symmetry has kept: relaxed, or at another volume."""
    bare = primitive.copy()
    bare.set_constraint()
    return crystal._replace(primitive=bare, conventional=make_supercell(bare, crystal.multiples))


def check_crystal(atoms: Atoms) -> None:
    """Refuse what is no crystal, or says what a supercell of it cannot keep.

    Raises
    ------
    InputError
        Not periodic along all three axes; fixed atoms or other constraints but `FixSymmetry`; a total charge, a spin,
        or magnetic moments that are vectors.
    """
    if not atoms.pbc.all():
        raise InputError(
            "periodicity-unsupported",
            f"a crystal is periodic along all three axes, got pbc={atoms.pbc.tolist()}; give the cell and set pbc, or "
            "use vib for a molecule",
        )
    # These recipes keep the symmetry by themselves.
    if others := [one for one in atoms.constraints if not isinstance(one, FixSymmetry)]:
        kinds = ", ".join(sorted({type(one).__name__ for one in others}))
        raise InputError(
            "constraint-unsupported",
            f"the structure has constraints ({kinds}), which break the symmetry of the crystal; remove them",
        )
    if stated_charge(atoms):
        raise InputError(
            "charge-unsupported",
            f"the structure states a charge of {stated_charge(atoms):+g}, which a supercell would multiply; delete it",
        )
    if (stated_multiplicity(atoms) or 1) != 1:
        raise InputError(
            "spin-unsupported", "the structure states a spin multiplicity, which no supercell can keep; delete it"
        )
    if atoms.get_initial_magnetic_moments().ndim > 1:
        raise InputError(
            "magnetic-moments-unsupported", "magnetic moments that are vectors are not kept; give one number an atom"
        )


def find_crystal(atoms: Atoms, symprec_A: float) -> Crystal:
    """Find the symmetry of a structure, and move atoms and cell onto it.

    Parameters
    ----------
    atoms
        Periodic along all three axes.
    symprec_A
        Tolerance of spglib, Angstrom.

    Raises
    ------
    InputError
        spglib finds no symmetry: atoms nearer to one another than the tolerance, say.
    MissingPackageError
        spglib is not installed.
    """
    spglib = import_optional("spglib", extra="phonons", purpose="the symmetry of a crystal")
    kinds = kinds_of(atoms)
    given = (atoms.cell.array, atoms.get_scaled_positions(), kinds)
    found = _dataset(spglib, given, symprec_A)
    primitive = _standard(spglib, given, symprec_A, atoms, kinds)
    multiples = np.rint(found.std_lattice @ np.linalg.inv(primitive.cell.array)).astype(np.intp)
    idealised = (primitive.cell.array, primitive.get_scaled_positions(), kinds_of(primitive))
    operations = _dataset(spglib, idealised, min(symprec_A, 1e-3)).rotations
    lattice = primitive.cell.array.T
    rotations = np.unique(operations, axis=0)
    return Crystal(
        conventional=make_supercell(primitive, multiples),
        primitive=primitive,
        multiples=multiples,
        symbol=found.international,
        number=int(found.number),
        rotations=np.array([lattice @ one @ np.linalg.inv(lattice) for one in rotations]),
        kinds=kinds_of(primitive),
        moved_A=_farthest_move(found, given),
        strained=_strain(found, given[0]),
    )


class PointGroup(NamedTuple):
    """The rotations of a crystal in its own orientation.

    Attributes
    ----------
    symbol
        Space group in Hermann-Mauguin notation.
    lattice
        (3, 3) vectors of a primitive cell in rows, in the axes of the structure, Angstrom.
    operations
        (R, 3, 3) rotations in fractions of these vectors: x -> W x, whole numbers.
    """

    symbol: str
    lattice: Array
    operations: NDArray[np.intp]


def find_point_group(atoms: Atoms, symprec_A: float) -> PointGroup:
    """Find the rotations of a crystal, of any cell and supercell, without turning or moving it.

    Parameters
    ----------
    atoms
        Periodic along all three axes.
    symprec_A
        Tolerance of spglib, Angstrom.

    Raises
    ------
    InputError
        spglib finds no symmetry.
    MissingPackageError
        spglib is not installed.
    """
    spglib = import_optional("spglib", extra="symmetry", purpose="the symmetry of a crystal")
    given = (atoms.cell.array, atoms.get_scaled_positions(), kinds_of(atoms))
    symbol = _dataset(spglib, given, symprec_A).international
    with quiet_spglib():
        primitive = spglib.standardize_cell(given, to_primitive=True, no_idealize=True, symprec=symprec_A)
    if primitive is None:
        raise _no_symmetry(symprec_A, "it gives no primitive cell")
    operations = np.unique(_dataset(spglib, primitive, symprec_A).rotations, axis=0)
    return PointGroup(symbol, np.array(primitive[0]), operations.astype(np.intp))


def kinds_of(atoms: Atoms) -> NDArray[np.intp]:
    """Give each atom the number of its kind, from 1: element, mass, charge and magnetic moment make a kind."""
    columns = (
        atoms.numbers, atoms.get_masses(), atoms.get_initial_charges(), atoms.get_initial_magnetic_moments()
    )  # fmt: skip
    return np.asarray(np.unique(np.column_stack(columns), axis=0, return_inverse=True)[1].ravel() + 1)


@contextmanager
def quiet_spglib() -> Iterator[None]:
    """Silence spglib on how it will tell of failures in later versions: both ways are understood here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Set OLD_ERROR_HANDLING", DeprecationWarning)
        yield


def _dataset(spglib: Any, cell: tuple[Any, Any, Any], symprec_A: float) -> Any:
    try:
        with quiet_spglib():
            found = spglib.get_symmetry_dataset(cell, symprec=symprec_A)
    except Exception as error:  # spglib raises one class for every failure, versions before 2.7 return None
        raise _no_symmetry(symprec_A, str(error)) from error
    if found is None:
        raise _no_symmetry(symprec_A, "it returned nothing")
    return found


def _no_symmetry(symprec_A: float, words: str) -> InputError:
    return InputError(
        "symmetry-not-found",
        f"spglib finds no symmetry within {symprec_A:g} Angstrom ({words}): two atoms nearer than that, or a cell that "
        "is far from any lattice; correct the structure, or lower symprec_A (--symprec)",
    )


def _standard(
    spglib: Any, given: tuple[Any, Any, Any], symprec_A: float, atoms: Atoms, kinds: NDArray[np.intp]
) -> Atoms:
    """Make the standard primitive cell of the symmetry found, its atoms with all that their kind has."""
    with quiet_spglib():
        standard = spglib.standardize_cell(given, to_primitive=True, no_idealize=False, symprec=symprec_A)
    if standard is None:
        raise _no_symmetry(symprec_A, "it gives no standard cell")
    lattice, positions, types = standard
    example = np.array([np.flatnonzero(kinds == kind)[0] for kind in types])
    cell = Atoms(atoms.numbers[example], cell=lattice, scaled_positions=positions, pbc=True)
    cell.set_masses(atoms.get_masses()[example])
    for name in ("initial_charges", "initial_magmoms"):
        if name in atoms.arrays:
            cell.set_array(name, atoms.arrays[name][example])
    return cell


def _farthest_move(found: Any, given: tuple[Any, Any, Any]) -> float:
    """Measure how far atoms are from the places that the standard cell has for them, Angstrom."""
    places = given[1] @ found.transformation_matrix.T + found.origin_shift
    moves = []
    for place, kind in zip(places, given[2], strict=True):
        apart = found.std_positions[found.std_types == kind] - place
        apart -= np.rint(apart)
        moves.append(np.linalg.norm(apart @ found.std_lattice, axis=1).min())
    return float(max(moves))


def _strain(found: Any, cell: Array) -> float:
    """Compare the standard cell with the same cell of the lattice given: largest relative change of a length."""
    before = np.linalg.inv(found.transformation_matrix).T @ cell  # rows: a_s = a P^-1
    metric = np.linalg.solve(before @ before.T, found.std_lattice @ found.std_lattice.T)
    return float(np.abs(np.sqrt(np.abs(np.linalg.eigvals(metric))) - 1).max())
