"""Frames projected on the spline basis: everything of a training step that does not depend on the weights.

Energies need A (N, 4, C) with C = T K (see dp_sim.tabulate). Forces need the derivative of A, and since A is linear in
products of pair quantities, dE/dr_ij is a linear map of g = dE/dA (N, 4, C):

    dE/dr_ij = sum_a h_a dR~_a/dr_ij + sum_a h'_a R~_a ds/dr_ij,   h_a = sum_k w_k g_iak,   h'_a = sum_k w'_k g_iak

so a training step differentiates the networks twice, and the geometry never.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dp_sim.batch import AtomicBatch, NeighborList
from dp_sim.data import Frame
from dp_sim.environment import Environment
from dp_sim.neighbors import NeighborSearch, pair_vectors
from dp_sim.structure import check_distances
from dp_sim.tabulate import SplineBasis


class FramePairs(NamedTuple):
    """One frame's pairs, in float64."""

    species: Tensor  # (N,)
    center: Tensor  # (P,)
    neighbor: Tensor  # (P,)
    vectors: Tensor  # (P, 3) Angstrom


class Projection(NamedTuple):
    """One frame, or several one after another, on the spline basis.

    `spread` is a sparse matrix (2P, N C) in CSR parts: row 2p holds the weights w of pair p, row 2p + 1 their slopes
    w'; `gather_*` is its transpose.
    """

    species: Tensor  # (N,)
    center: Tensor  # (P,)
    neighbor: Tensor  # (P,)
    vectors: Tensor  # (P, 3) Angstrom
    rows: Tensor  # (2P, 4) R~ in the even rows, zeros in the odd ones
    jacobian: Tensor  # (P, 8, 3): dR~_a/dr, then R~_a ds/dr
    spread_column: Tensor  # (8P,) int32
    spread_value: Tensor  # (8P,)
    gather_start: Tensor  # (N C + 1,) int32
    gather_column: Tensor  # (8P,) int32
    gather_value: Tensor  # (8P,)

    def nbytes(self) -> int:
        return sum(field.numel() * field.element_size() for field in self)


def find_pairs(frame: Frame, species: Tensor, search: NeighborSearch) -> FramePairs:
    """Neighbours of a frame; InputError for coincident atoms."""
    positions = torch.as_tensor(np.asarray(frame.positions, dtype=np.float64))
    cell = torch.as_tensor(np.asarray(frame.cell, dtype=np.float64))
    pairs: NeighborList = search(positions, cell, torch.as_tensor(np.asarray(frame.pbc, dtype=bool)))
    vectors = pair_vectors(AtomicBatch(positions, species, cell[None], torch.zeros_like(species)), pairs)
    check_distances(torch.linalg.vector_norm(vectors, dim=1), pairs.center, pairs.neighbor, frame.name)
    return FramePairs(species, pairs.center, pairs.neighbor, vectors)


def project(pairs: FramePairs, environment: Environment, basis: SplineBasis, dtype: torch.dtype) -> Projection:
    """Pairs -> Projection; computed in float64, kept in `dtype`."""
    n_species = environment.scale.shape[0]
    n_columns = n_species * basis.n_functions
    distances = torch.linalg.vector_norm(pairs.vectors, dim=1)
    with torch.enable_grad():
        r = distances.clone().requires_grad_(True)
        s = environment.switch(r)
        (slope,) = torch.autograd.grad(s.sum(), [r])
    s, unit = s.detach(), pairs.vectors / distances[:, None]
    scale = environment.scale.double()[pairs.species[pairs.center]]
    rows = torch.cat([s[:, None], s[:, None] * unit], dim=1) / scale

    # d(s x_b/r)/dx_c = s' x_b x_c / r^2 + (s/r) (delta_bc - x_b x_c / r^2)
    outer = unit[:, :, None] * unit[:, None, :]
    over_r = (s / distances)[:, None, None]
    ds = slope[:, None] * unit
    first = torch.cat([ds[:, None, :], slope[:, None, None] * outer + over_r * (torch.eye(3) - outer)], dim=1)
    jacobian = torch.cat([first / scale[:, :, None], rows[:, :, None] * ds[:, None, :]], dim=1)

    index, values, slopes = basis.weights(s)
    start = (pairs.center * n_species + pairs.species[pairs.neighbor]) * basis.n_functions + index
    column = (start[:, None, None] + torch.arange(4)).expand(-1, 2, -1).reshape(-1)
    value = torch.stack([values, slopes], dim=1).reshape(-1)
    order = torch.argsort(column, stable=True)
    counts = torch.bincount(column, minlength=len(pairs.species) * n_columns)
    interleaved = torch.stack([rows, torch.zeros_like(rows)], dim=1).reshape(-1, 4)
    return Projection(
        pairs.species,
        pairs.center,
        pairs.neighbor,
        pairs.vectors.to(dtype),
        interleaved.to(dtype),
        jacobian.to(dtype),
        column.to(torch.int32),
        value.to(dtype),
        torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]).to(torch.int32),
        (order // 4).to(torch.int32),
        value[order].to(dtype),
    )


def join(parts: Sequence[Projection], n_columns: int) -> Projection:
    """Projections one after another, indices moved along."""
    if len(parts) == 1:
        return parts[0]
    atoms = np.cumsum([0] + [len(p.species) for p in parts])
    pairs = np.cumsum([0] + [len(p.center) for p in parts])

    def moved(name: str, offsets: Any) -> Tensor:
        return torch.cat([getattr(p, name) + int(o) for p, o in zip(parts, offsets, strict=False)])

    def together(name: str) -> Tensor:
        return torch.cat([getattr(p, name) for p in parts])

    starts = [p.gather_start[:-1] + int(8 * o) for p, o in zip(parts, pairs, strict=False)]
    last = parts[0].gather_start.new_tensor([8 * int(pairs[-1])])
    return Projection(
        together("species"),
        moved("center", atoms),
        moved("neighbor", atoms),
        together("vectors"),
        together("rows"),
        together("jacobian"),
        moved("spread_column", atoms * n_columns),
        together("spread_value"),
        torch.cat([*starts, last]),
        moved("gather_column", 2 * pairs),
        together("gather_value"),
    )


class _SparseProduct(torch.autograd.Function):
    """matrix @ dense, where the matrix is constant and its transpose at hand."""

    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: Tensor, transposed: Tensor) -> Tensor:
        ctx.transposed = transposed
        return matrix @ dense

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.transposed @ gradients[0].contiguous(), None, None


class ProjectedBatch:
    """A Projection with its sparse matrices set up, and the two maps that training needs."""

    def __init__(self, projection: Projection, n_columns: int) -> None:
        self.projection = projection
        self.n_atoms, self.n_columns = len(projection.species), n_columns
        n_rows, size = 2 * len(projection.center), self.n_atoms * n_columns
        starts = torch.arange(0, 4 * n_rows + 1, 4, dtype=torch.int32, device=projection.center.device)
        p = projection
        self.spread = _csr(starts, p.spread_column, p.spread_value, (n_rows, size))
        self.gather = _csr(p.gather_start, p.gather_column, p.gather_value, (size, n_rows))

    def features(self) -> Tensor:
        """A (N, 4, C), a leaf that records gradients."""
        summed = self.gather @ self.projection.rows
        features = summed.view(self.n_atoms, self.n_columns, 4).transpose(1, 2).contiguous()
        return features.requires_grad_(True)

    def pair_gradients(self, gradient: Tensor) -> Tensor:
        """dE/dA (N, 4, C) -> dE/dr_ij (P, 3), eV/Angstrom; linear, differentiable in its argument."""
        flat = gradient.transpose(1, 2).reshape(-1, 4)
        weighted = _SparseProduct.apply(flat, self.spread, self.gather)
        return torch.bmm(weighted.view(-1, 1, 8), self.projection.jacobian)[:, 0]

    def forces(self, pair_gradients: Tensor) -> Tensor:
        """F_i = sum_j dE/dr_ij - dE/dr_ji, (N, 3): r_ij = r_j - r_i pulls at both its ends."""
        zero = torch.zeros(self.n_atoms, 3, dtype=pair_gradients.dtype, device=pair_gradients.device)
        p = self.projection
        return zero.index_add(0, p.center, pair_gradients).index_add(0, p.neighbor, pair_gradients, alpha=-1)

    def virial(self, pair_gradients: Tensor, pair_system: Tensor, n_systems: int) -> Tensor:
        """W = -sum of r_ij (x) dE/dr_ij over the pairs of each system, (S, 3, 3), eV."""
        products = self.projection.vectors[:, :, None] * pair_gradients[:, None, :]
        zero = torch.zeros(n_systems, 9, dtype=products.dtype, device=products.device)
        return -zero.index_add(0, pair_system, products.flatten(1)).view(n_systems, 3, 3)


with warnings.catch_warnings():
    # torch says once a process that its CSR tensors are in beta; said here, where it is caught, it is said to nobody
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    torch.sparse_csr_tensor(torch.tensor([0, 0]), torch.tensor([], dtype=torch.int64), torch.tensor([]), size=(1, 1))


def _csr(starts: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    return torch.sparse_csr_tensor(starts, columns, values, size=size, check_invariants=False)
