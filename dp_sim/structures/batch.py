"""Containers that pass between the parts of the core; every field has a shape and a unit.

Axis letters, used everywhere: N atoms, P pairs, S systems (frames), T species, M1/M2 embedding widths.

Sign rules, stated here and quoted elsewhere:

* pair vector   r_ij = r_j - r_i + shift @ cell, i the centre, j the neighbour; rows of `cell` are the lattice vectors
* force         F_i = -dE/dr_i
* virial        W = -dE/d(strain) = sum over pairs of r_ij (x) f_ij, 3x3, eV, positive pushes outwards; ASE's stress
                is -W/V
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class AtomicBatch(NamedTuple):
    """One or more systems; atoms of one system are contiguous."""

    positions: Tensor  # (N, 3) Angstrom
    species: Tensor  # (N,) int64, index into the model's species
    cell: Tensor  # (S, 3, 3) Angstrom, rows are lattice vectors; zero along axes that are not periodic
    system: Tensor  # (N,) int64, which system an atom belongs to


class NeighborList(NamedTuple):
    """All pairs within the cutoff, in both directions, sorted by centre; periodic images are pairs of their own."""

    center: Tensor  # (P,) int64, i
    neighbor: Tensor  # (P,) int64, j
    shift: Tensor  # (P, 3) whole numbers of lattice vectors, in the dtype of the positions


class ModelOutput(NamedTuple):
    """Energies of a batch and their derivatives; `energy_std`, `forces_std`, `member_*`: of a committee (Model)."""

    energy: Tensor  # (S,) eV, float64
    atomic_energies: Tensor  # (N,) eV, float64
    forces: Tensor | None = None  # (N, 3) eV/Angstrom
    virial: Tensor | None = None  # (S, 3, 3) eV
    energy_std: Tensor | None = None  # (S,) eV
    forces_std: Tensor | None = None  # (N, 3) eV/Angstrom, per component
    member_energies: Tensor | None = None  # (S, K) eV, of each of K members
    member_virials: Tensor | None = None  # (S, K, 3, 3) eV


#: Fields of ModelOutput with a row for each atom; the others have a row for each system.
PER_ATOM = ("atomic_energies", "forces", "forces_std")


def separate(output: ModelOutput, sizes: Sequence[int]) -> list[ModelOutput]:
    """Split the output for a batch into one output for each system.

    Parameters
    ----------
    output
        Of the batch: N atoms, S systems.
    sizes
        (S,) number of atoms of each system, in the order of the batch.
    """
    columns = [
        [None] * len(sizes) if values is None else values.split(list(sizes) if field in PER_ATOM else 1)
        for field, values in zip(ModelOutput._fields, output, strict=True)
    ]
    return [ModelOutput(*row) for row in zip(*columns, strict=True)]


def sum_per_system(atomic: Tensor, batch: AtomicBatch) -> Tensor:
    """Sum atomic values (N,) over the atoms of each system (S,)."""
    total = torch.zeros(batch.cell.shape[0], dtype=atomic.dtype, device=atomic.device)
    return total.index_add(0, batch.system, atomic)
