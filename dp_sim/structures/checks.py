"""Structures for the core: what it needs of one, and checks for what no model or calculator can evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from dp_sim.errors import InputError


class Structure(Protocol):
    """The attributes of a structure that the core needs; an ase.Atoms has them."""

    @property
    def numbers(self) -> Any:
        """(N,) atomic numbers."""
        ...

    @property
    def positions(self) -> Any:
        """(N, 3) positions, Angstrom."""
        ...

    @property
    def cell(self) -> Any:
        """(3, 3) lattice vectors in rows, Angstrom."""
        ...

    @property
    def pbc(self) -> Any:
        """(3,) bool, which axes are periodic."""
        ...


#: Two atoms closer than this (Angstrom) are taken for one atom written twice.
COINCIDENT_ANGSTROM = 1e-2
#: One millimetre (in Angstrom): atoms farther out have flown off, and float64 no longer resolves their bonds well.
FARTHEST_ANGSTROM = 1e7
#: More neighbours than an atom has in any matter: hydrogen at r_s = 1 (over 1 TPa) has 1,460 within 6 Angstrom.
MOST_NEIGHBORS = 10_000


@dataclass(frozen=True)
class StructureArrays:
    """Arrays of one or more structures; atoms of one structure are contiguous."""

    numbers: np.ndarray  # (N,) int64
    positions: np.ndarray  # (N, 3) Angstrom; a copy
    cell: np.ndarray  # (S, 3, 3) Angstrom; a copy
    pbc: np.ndarray  # (S, 3) bool
    sizes: np.ndarray  # (S,) atoms of each
    first: np.ndarray  # (S,) where the atoms of each begin
    system: np.ndarray  # (N,) int64, which structure an atom belongs to

    @cached_property
    def lattices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Extents (S, 3) and directions (S, 3, 3) of the lattices, and which are open (S, 3); open ones come last.

        The product of the extents is the volume, area or length that the periodic vectors span; along open directions
        it is 1.
        """
        _, extents, directions = np.linalg.svd(self.cell * self.pbc[:, :, None])
        is_open = np.sort(~self.pbc, axis=1)
        return np.where(is_open, 1.0, extents), directions, is_open


def check_numbers(numbers: Any, name: str = "structure") -> None:
    """Refuse atomic numbers that are no element (0 is ASE's placeholder X).

    Parameters
    ----------
    numbers
        (N,) atomic numbers.
    name
        What messages call the structure.

    Raises
    ------
    InputError
        `element-invalid`: names the first such atom.
    """
    numbers = np.asarray(numbers)
    bad = (numbers < 1) | (numbers > 118)
    if bad.any():
        atom = int(bad.argmax())
        raise InputError(
            "element-invalid",
            f"{name}: atom {atom} has the atomic number {numbers[atom]}, which is no element; expected 1 to 118 "
            f"(0 is X, a dummy or ghost atom: delete it)",
        )


def check_structures(structures: Sequence[Structure], name: str = "structure") -> StructureArrays:
    """Refuse structures that no model can evaluate.

    Messages speak of one structure; to learn which of several is wrong, check each alone.

    Parameters
    ----------
    structures
        The structures.
    name
        What messages call them.

    Returns
    -------
    StructureArrays
        Their arrays, joined.

    Raises
    ------
    InputError
        There are no atoms or no positions; an atomic number is no element; a position is NaN, infinite or over a
        millimetre away; the periodic axes span no volume.
    """
    arrays = joined(structures, name)
    check_numbers(arrays.numbers, name)
    _check_positions(arrays, name)
    finite = np.isfinite(arrays.cell).all(axis=(1, 2))
    if not finite.all():
        cell = arrays.cell[finite.argmin()]
        raise InputError("cell-not-finite", f"{name}: the cell holds {cell.tolist()}; give finite lattice vectors")
    if arrays.pbc.any():
        _check_lattices(arrays, name)
    return arrays


def joined(structures: Sequence[Structure], name: str = "structure") -> StructureArrays:
    """Join the arrays of structures; what is no structure, or has arrays of other shapes, is refused."""
    for s in structures:
        if not all(hasattr(s, field) for field in ("numbers", "positions", "cell", "pbc")):
            raise InputError(
                "structure-kind",
                f"{name} must be an ase.Atoms or the like, got {type(s).__name__}; read a file with ase.io",
            )
        z = np.asarray(s.numbers)
        if z.dtype.kind not in "iu" and not np.array_equal(z, z.astype(np.int64)):
            raise InputError("element-invalid", f"{name}: atomic numbers must be integers, got {z[:5].tolist()}")
    positions = [np.asarray(s.positions, dtype=np.float64) for s in structures]
    numbers = [np.asarray(s.numbers, dtype=np.int64) for s in structures]
    cells = [np.asarray(s.cell, dtype=np.float64) for s in structures]
    pbc = [np.asarray(s.pbc, dtype=bool) for s in structures]
    for x, z, cell, periodic in zip(positions, numbers, cells, pbc, strict=True):
        if len(x) == 0:
            raise InputError("atoms-missing", f"{name} has no atoms; give at least one")
        if x.shape != (len(z), 3):
            raise InputError("positions-shape", f"{name}: positions must be ({len(z)}, 3), got {x.shape}")
        if (cell.shape, periodic.shape) != ((3, 3), (3,)):
            raise InputError(
                "cell-shape", f"{name}: cell must be (3, 3) and pbc (3,), got {cell.shape} and {periodic.shape}"
            )
    sizes = np.array([len(z) for z in numbers])
    return StructureArrays(
        np.concatenate(numbers),
        np.concatenate(positions),
        np.stack(cells),
        np.stack(pbc),
        sizes,
        np.cumsum(sizes) - sizes,
        np.repeat(np.arange(len(sizes)), sizes),
    )


def _check_positions(arrays: StructureArrays, name: str) -> None:
    positions = arrays.positions
    farthest = np.maximum.reduceat(np.abs(positions).max(axis=1), arrays.first)  # (S,), NaN where a position is
    if ((farthest > 0) & (farthest <= FARTHEST_ANGSTROM)).all():
        return
    bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if len(bad):
        raise InputError(
            "position-not-finite",
            f"{name}: atom {bad[0]} has no finite position ({positions[bad[0]]}); correct or remove it",
        )
    far = np.flatnonzero((np.abs(positions) > FARTHEST_ANGSTROM).any(axis=1))
    if len(far):
        raise InputError(
            "position-too-far",
            f"{name}: atom {far[0]} lies at {positions[far[0]]} Angstrom, over a millimetre away; has it flown off?",
        )
    most = arrays.sizes[farthest == 0].max()  # one atom may lie at the origin
    if most > 1:
        raise InputError(
            "positions-missing", f"{name} has no positions: all {most} atoms lie at the origin; give their coordinates"
        )


def _check_lattices(arrays: StructureArrays, name: str) -> None:
    spanned = arrays.lattices[0].prod(axis=1)
    lengths = np.where(arrays.pbc, np.linalg.norm(arrays.cell, axis=2), 1.0)
    bad = (lengths.min(axis=1) < COINCIDENT_ANGSTROM) | (spanned <= 1e-6 * lengths.prod(axis=1))
    if bad.any():
        vectors = arrays.cell[bad.argmax()][arrays.pbc[bad.argmax()]]
        raise InputError(
            "cell-without-volume",
            f"{name}: the lattice vectors along its periodic axes span no volume ({vectors.tolist()}); "
            f"set the cell, or switch periodicity off (pbc = F F F)",
        )


def check_density(arrays: StructureArrays, cutoff: float, name: str = "structure") -> None:
    """Refuse a cell so small that its pairs would fill the memory, before they are searched.

    The estimate uses the mean density: N over the volume of the cell. Along an open axis, the extent of the atoms (at
    least the cutoff) replaces the lattice vector.

    Parameters
    ----------
    arrays
        The structures.
    cutoff
        Angstrom.
    name
        What messages call them.

    Raises
    ------
    InputError
        An atom would have more than MOST_NEIGHBORS neighbours within the cutoff.
    """
    extents, directions, is_open = arrays.lattices
    along = np.einsum("nk,nak->na", arrays.positions, directions[arrays.system])
    between = np.maximum.reduceat(along, arrays.first) - np.minimum.reduceat(along, arrays.first)
    volumes = np.where(is_open, np.maximum(between, cutoff), extents).prod(axis=1)
    expected = 4 * np.pi / 3 * cutoff**3 * arrays.sizes / volumes
    if expected.max() > MOST_NEIGHBORS:
        worst = expected.argmax()
        raise InputError(
            "atoms-too-dense",
            f"{name}: {arrays.sizes[worst]} atoms in {volumes[worst]:.3g} Angstrom^3 would have some "
            f"{expected[worst]:.2g} neighbours each within {cutoff:g} Angstrom, expected at most {MOST_NEIGHBORS}; "
            f"correct the cell and the positions (in Angstrom)",
        )


def check_distances(distances: Any, center: Any, neighbor: Any, name: str = "structure") -> None:
    """Refuse two atoms at the same position, where energy and forces are meaningless.

    Parameters
    ----------
    distances
        (P,) of the pairs, Angstrom; array or tensor.
    center, neighbor
        (P,) atoms of each pair.
    name
        What messages call the structure.

    Raises
    ------
    InputError
        Names the nearest pair and its distance.
    """
    if len(distances) == 0:
        return
    nearest = int(distances.argmin())
    if float(distances[nearest]) < COINCIDENT_ANGSTROM:
        raise InputError(
            "atoms-coincide",
            f"{name}: atoms {int(center[nearest])} and {int(neighbor[nearest])} lie on one spot "
            f"({float(distances[nearest]):.2g} Angstrom apart); remove one of them",
        )
