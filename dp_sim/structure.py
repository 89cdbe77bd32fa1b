"""Structures as they come in: what the core needs of one, and what no model or calculator can evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from dp_sim.errors import InputError


class Structure(Protocol):
    """What the core needs of a structure: an ase.Atoms has it."""

    @property
    def numbers(self) -> Any: ...  # (N,) atomic numbers
    @property
    def positions(self) -> Any: ...  # (N, 3) Angstrom
    @property
    def cell(self) -> Any: ...  # (3, 3) Angstrom
    @property
    def pbc(self) -> Any: ...  # (3,) bool


#: Two atoms nearer than this (Angstrom) are taken for one written twice.
COINCIDENT_ANGSTROM = 1e-2
#: One millimetre (in Angstrom): atoms farther out have flown away, and float64 no longer resolves their bonds well.
FARTHEST_ANGSTROM = 1e7
#: Neighbours of one atom that no matter comes near: hydrogen at r_s = 1 (over 1 TPa) has 1,460 in 6 Angstrom.
MOST_NEIGHBORS = 10_000


class StructureArrays(NamedTuple):
    """Several structures, their atoms one after another."""

    numbers: np.ndarray  # (N,) int64
    positions: np.ndarray  # (N, 3) float64, Angstrom; a copy
    cell: np.ndarray  # (S, 3, 3) float64, Angstrom; a copy
    pbc: np.ndarray  # (S, 3) bool
    first: np.ndarray  # (S,) int64, where the atoms of each begin
    system: np.ndarray  # (N,) int64, which structure an atom belongs to


def check_numbers(numbers: Any, name: str = "structure") -> None:
    """Refuse atomic numbers that are no element (0 is ASE's placeholder X)."""
    numbers = np.asarray(numbers)
    bad = np.flatnonzero((numbers < 1) | (numbers > 118))
    if len(bad):
        raise InputError(
            f"{name}: atom {bad[0]} has the atomic number {numbers[bad[0]]}, which is no element; expected 1 to 118"
        )


def check_structures(structures: Sequence[Structure], name: str = "structure") -> StructureArrays:
    """Refuse what no model can evaluate. What is said of it fits one structure alone: ask again for each of several.

    Raises
    ------
    InputError
        No atoms, no elements, NaN, infinite or absurdly far positions, or periodic axes that span no volume.
    """
    arrays = _arrays(structures, name)
    check_numbers(arrays.numbers, name)
    _check_positions(arrays, name)
    if not np.isfinite(arrays.cell).all():
        bad = arrays.cell[~np.isfinite(arrays.cell).all(axis=(1, 2))][0]
        raise InputError(f"{name}: the cell holds {bad.tolist()}; give finite lattice vectors")
    if arrays.pbc.any():
        _check_lattices(arrays, name)
    return arrays


def _arrays(structures: Sequence[Structure], name: str) -> StructureArrays:
    positions = [np.asarray(s.positions, dtype=np.float64) for s in structures]
    numbers = [np.asarray(s.numbers, dtype=np.int64) for s in structures]
    for x, z in zip(positions, numbers, strict=True):
        if len(x) == 0:
            raise InputError(f"{name} has no atoms; give at least one")
        if x.shape != (len(z), 3):
            raise InputError(f"{name}: positions must be ({len(z)}, 3), got {x.shape}")
    sizes = np.array([len(z) for z in numbers])
    return StructureArrays(
        np.concatenate(numbers),
        np.concatenate(positions),
        np.array([np.asarray(s.cell) for s in structures], dtype=np.float64),
        np.array([s.pbc for s in structures], dtype=bool),
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
        raise InputError(f"{name}: atom {bad[0]} has no finite position ({positions[bad[0]]}); correct or remove it")
    far = np.flatnonzero((np.abs(positions) > FARTHEST_ANGSTROM).any(axis=1))
    if len(far):
        raise InputError(
            f"{name}: atom {far[0]} lies at {positions[far[0]]} Angstrom, over a millimetre away; has it flown off?"
        )
    atoms = np.bincount(arrays.system)[farthest == 0]
    if atoms.max() > 1:
        raise InputError(f"{name} has no positions: all {atoms.max()} atoms lie at the origin; give their coordinates")


def _check_lattices(arrays: StructureArrays, name: str) -> None:
    """The volume that periodic vectors span, the root of their Gram determinant, against the product of lengths."""
    periodic = np.where(arrays.pbc[:, :, None], arrays.cell, 0.0)
    gram = periodic @ periodic.transpose(0, 2, 1) + ~arrays.pbc[:, :, None] * np.eye(3)
    lengths = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))  # 1 along open axes
    spanned = np.sqrt(np.maximum(np.linalg.det(gram), 0.0))
    bad = (lengths.min(axis=1) < COINCIDENT_ANGSTROM) | (spanned <= 1e-6 * np.prod(lengths, axis=1))
    if bad.any():
        vectors = arrays.cell[bad][0][arrays.pbc[bad][0]]
        raise InputError(
            f"{name}: the lattice vectors along its periodic axes span no volume ({vectors.tolist()}); "
            f"set the cell, or switch periodicity off (pbc = F F F)"
        )


def check_density(arrays: StructureArrays, cutoff: float, name: str = "structure") -> None:
    """Refuse a cell so small that its pairs would fill the memory, before they are looked for.

    Counts with the mean density: N over the volume of the cell, where along an open axis the extent of the atoms (but
    at least the cutoff) takes the place of a lattice vector.

    Raises
    ------
    InputError
        An atom would have more than MOST_NEIGHBORS neighbours within `cutoff` (Angstrom).
    """
    lattice = np.where(arrays.pbc[:, :, None], arrays.cell, 0.0)
    # The product of the spans is the volume; the directions beyond those of the lattice are open, and come last.
    _, spans, directions = np.linalg.svd(lattice)
    along = np.einsum("nk,nak->na", arrays.positions, directions[arrays.system])
    extents = np.maximum.reduceat(along, arrays.first) - np.minimum.reduceat(along, arrays.first)
    is_open = np.arange(3) >= arrays.pbc.sum(axis=1)[:, None]
    volumes = np.prod(np.where(is_open, np.maximum(extents, cutoff), spans), axis=1)
    atoms = np.bincount(arrays.system)
    expected = 4 * np.pi / 3 * cutoff**3 * atoms / volumes
    worst = int(expected.argmax())
    if expected[worst] > MOST_NEIGHBORS:
        raise InputError(
            f"{name}: {atoms[worst]} atoms in {volumes[worst]:.3g} Angstrom^3 would have some {expected[worst]:.2g} "
            f"neighbours each within {cutoff:g} Angstrom, expected at most {MOST_NEIGHBORS}; correct the cell and the "
            f"positions (in Angstrom)"
        )


def check_distances(distances: Any, center: Any, neighbor: Any, name: str = "structure") -> None:
    """Refuse two atoms on one spot: there the model, and every force, is meaningless.

    distances (P,) Angstrom of the pairs of atoms center (P,) and neighbor (P,): arrays or tensors.

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
            f"{name}: atoms {int(center[nearest])} and {int(neighbor[nearest])} lie on one spot "
            f"({float(distances[nearest]):.2g} Angstrom apart); remove one of them"
        )
