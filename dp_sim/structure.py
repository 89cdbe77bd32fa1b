"""Structures as they come in: what the core needs of one, and what no model or calculator can evaluate."""

from __future__ import annotations

from typing import Any, Protocol

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


def check_numbers(numbers: Any, name: str = "structure") -> None:
    """Refuse atomic numbers that are no element (0 is ASE's placeholder X)."""
    numbers = np.asarray(numbers)
    bad = np.flatnonzero((numbers < 1) | (numbers > 118))
    if len(bad):
        raise InputError(
            f"{name}: atom {bad[0]} has the atomic number {numbers[bad[0]]}, which is no element; expected 1 to 118"
        )


def check_structure(structure: Structure, name: str = "structure") -> None:
    """Refuse what no model can evaluate.

    Raises
    ------
    InputError
        No atoms, no elements, NaN, infinite or absurdly far positions, or periodic axes that span no volume.
    """
    positions, cell = np.asarray(structure.positions, dtype=float), np.asarray(structure.cell, dtype=float)
    if len(positions) == 0:
        raise InputError(f"{name} has no atoms; give at least one")
    if positions.shape != (len(structure.numbers), 3):
        raise InputError(f"{name}: positions must be ({len(structure.numbers)}, 3), got {positions.shape}")
    check_numbers(structure.numbers, name)
    bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if len(bad):
        raise InputError(f"{name}: atom {bad[0]} has no finite position ({positions[bad[0]]}); correct or remove it")
    if len(positions) > 1 and not positions.any():
        raise InputError(
            f"{name} has no positions: all {len(positions)} atoms lie at the origin; give their coordinates"
        )
    far = np.flatnonzero((np.abs(positions) > FARTHEST_ANGSTROM).any(axis=1))
    if len(far):
        raise InputError(
            f"{name}: atom {far[0]} lies at {positions[far[0]]} Angstrom, over a millimetre away; has it flown off?"
        )
    if not np.isfinite(cell).all():
        raise InputError(f"{name}: the cell holds {cell.tolist()}; give finite lattice vectors")
    periodic = cell[np.asarray(structure.pbc, dtype=bool)]
    if len(periodic):
        lengths = np.linalg.norm(periodic, axis=1)
        spanned = np.sqrt(max(np.linalg.det(periodic @ periodic.T), 0.0))
        if lengths.min() < COINCIDENT_ANGSTROM or spanned <= 1e-6 * float(np.prod(lengths)):
            raise InputError(
                f"{name}: the lattice vectors along its periodic axes span no volume ({periodic.tolist()}); "
                f"set the cell, or switch periodicity off (pbc = F F F)"
            )


def check_density(structure: Structure, cutoff: float, name: str = "structure") -> None:
    """Refuse a cell so small that its pairs would fill the memory, before they are looked for.

    Counts with the mean density: N over the volume of the cell, where along an open axis the extent of the atoms (but
    at least the cutoff) takes the place of a lattice vector.

    Raises
    ------
    InputError
        An atom would have more than MOST_NEIGHBORS neighbours within `cutoff` (Angstrom).
    """
    cell = np.asarray(structure.cell, dtype=float)[np.asarray(structure.pbc, dtype=bool)]
    _, lengths, directions = np.linalg.svd(cell)  # their product is the volume; directions beyond them are open
    extents = np.ptp(np.asarray(structure.positions) @ directions[len(lengths) :].T, axis=0)
    volume = float(np.prod(lengths) * np.prod(np.maximum(extents, cutoff)))
    atoms = len(structure.numbers)
    expected = 4 * np.pi / 3 * cutoff**3 * atoms / volume
    if expected > MOST_NEIGHBORS:
        raise InputError(
            f"{name}: {atoms} atoms in {volume:.3g} Angstrom^3 would have some {expected:.2g} neighbours each within "
            f"{cutoff:g} Angstrom, expected at most {MOST_NEIGHBORS}; correct the cell and the positions (in Angstrom)"
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
