"""The containers that pass between the parts of the core; every field has a shape and a unit.

Axis letters, used everywhere: N atoms, P pairs, S systems (frames), T species, M1/M2 embedding widths.

Sign rules, stated here and quoted elsewhere:

* pair vector   r_ij = r_j - r_i + shift @ cell, i the centre, j the neighbour; rows of `cell` are the lattice vectors
* force         F_i = -dE/dr_i
* virial        W = -dE/d(strain) = sum over pairs of r_ij (x) f_ij, 3x3, eV, positive pushes outwards; ASE's stress
                is -W/V
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from dp_sim.errors import InputError, nearest_name


class AtomicBatch(NamedTuple):
    """One or several systems, their atoms one after another."""

    positions: Tensor  # (N, 3) Angstrom
    species: Tensor  # (N,) int64, index into the model's species
    cell: Tensor  # (S, 3, 3) Angstrom, rows are lattice vectors; zero along axes that are not periodic
    system: Tensor  # (N,) int64, which system an atom belongs to


class NeighborList(NamedTuple):
    """Every pair within the cutoff, both ways round, sorted by centre; images of an atom are pairs of their own."""

    center: Tensor  # (P,) int64, i
    neighbor: Tensor  # (P,) int64, j
    shift: Tensor  # (P, 3) whole numbers of lattice vectors, in the dtype of the positions


class ModelOutput(NamedTuple):
    """What a model says of a batch; the standard deviations are those of a committee."""

    energy: Tensor  # (S,) eV, float64
    atomic_energies: Tensor  # (N,) eV, float64
    forces: Tensor | None = None  # (N, 3) eV/Angstrom
    virial: Tensor | None = None  # (S, 3, 3) eV
    energy_std: Tensor | None = None  # (S,) eV
    forces_std: Tensor | None = None  # (N, 3) eV/Angstrom, per component


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


def species_index(numbers: Any, known: tuple[str, ...], name: str = "structure") -> Tensor:
    """Atomic numbers (N,) -> index into `known` (N,) int64.

    Raises
    ------
    InputError
        An element that the model was not trained on.
    """
    from ase.data import atomic_numbers, chemical_symbols

    table = np.full(len(chemical_symbols), -1, dtype=np.int64)
    table[[atomic_numbers[symbol] for symbol in known]] = np.arange(len(known))
    numbers = np.asarray(numbers, dtype=np.int64)
    check_numbers(numbers, name)
    index = table[numbers]
    if (index < 0).any():
        unknown = sorted({chemical_symbols[n] for n in numbers[index < 0]})
        raise InputError(
            f"{name}: the model does not know {', '.join(unknown)}, it was trained on {', '.join(known)}; "
            f"use a model trained on all elements of the structure"
        )
    return torch.from_numpy(index)


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


def check_distances(distances: Tensor, pairs: NeighborList, name: str = "structure") -> None:
    """Refuse two atoms on one spot: there the model, and every force, is meaningless.

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
            f"{name}: atoms {int(pairs.center[nearest])} and {int(pairs.neighbor[nearest])} lie on one spot "
            f"({float(distances[nearest]):.2g} Angstrom apart); remove one of them"
        )


def choose(name: str, value: str, known: tuple[str, ...]) -> str:
    """`value` if it is one of `known`, else an InputError that names the nearest."""
    if value not in known:
        raise InputError(f"{name} must be one of {', '.join(known)}; got '{value}'{nearest_name(value, known)}")
    return value


def usable_device(name: str | torch.device) -> torch.device:
    """The torch device of that name, or an InputError where it does not exist here."""
    try:
        probe = torch.zeros(1, device=torch.device(name))
        probe.cpu()  # the device "meta" makes tensors, but holds no numbers
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).partition(". ")[0].splitlines()[0]
        raise InputError(f"device '{name}' cannot be used here ({reason}); try cpu") from None
    return probe.device
