"""Training features of smooth descriptors: frames projected on the spline basis.

Energies need A (N, 4, C) with C = T K (see dp_sim.training.features.spline_basis). Forces need the derivative of A.
A is linear in products of pair quantities, so dE/dr_ij is a linear map of g = dE/dA (N, 4, C):

    dE/dr_ij = sum_a h_a dR~_a/dr_ij + sum_a h'_a R~_a ds/dr_ij,   h_a = sum_k w_k g_iak,   h'_a = sum_k w'_k g_iak

A training step therefore differentiates the networks twice, and the geometry never.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from dp_sim.config.training import TrainingConfig
from dp_sim.descriptors.environment import Environment
from dp_sim.descriptors.smooth import SmoothDescriptor
from dp_sim.errors import InputError
from dp_sim.neighbors.pairs import StructurePairs
from dp_sim.training.features.features import FeatureBatch, TrainingFeatures, training_features
from dp_sim.training.features.sparse import SparseProduct, csr
from dp_sim.training.features.spline_basis import SplineBasis


class Projection(NamedTuple):
    """One or more frames, joined, on the spline basis.

    `spread` is a sparse matrix (2P, N C) as CSR parts: row 2p holds the weights w of pair p, row 2p + 1 their slopes.
    `gather` is its transpose.
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
        """Return the memory that the projection takes, bytes."""
        return sum(field.numel() * field.element_size() for field in self)


def project(pairs: StructurePairs, environment: Environment, basis: SplineBasis, dtype: torch.dtype) -> Projection:
    """Project pairs on the spline basis.

    Parameters
    ----------
    pairs
        Pairs of one frame.
    environment
        Switch and scale of R~.
    basis
        The splines.
    dtype
        Precision of the result; it is computed in float64.
    """
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
    """Concatenate projections, with indices shifted; each atom has `n_columns` (C) columns in the sparse matrices."""
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


class ProjectedBatch(FeatureBatch):
    """A Projection with its sparse matrices: A (N, 4, C), and dE/dr_ij from dE/dA.

    Parameters
    ----------
    projection
        One or more frames, joined.
    n_columns
        C.
    """

    def __init__(self, projection: Projection, n_columns: int) -> None:
        p = projection
        super().__init__(p.species, p.center, p.neighbor, p.vectors)
        self.rows, self.jacobian = p.rows, p.jacobian
        self.n_columns = n_columns
        n_rows, size = 2 * len(p.center), len(p.species) * n_columns
        starts = torch.arange(0, 4 * n_rows + 1, 4, dtype=torch.int32, device=p.center.device)
        self.spread = csr(starts, p.spread_column, p.spread_value, (n_rows, size))
        self.gather = csr(p.gather_start, p.gather_column, p.gather_value, (size, n_rows))

    @override
    def features(self) -> Tensor:
        """Compute A (N, 4, C), a leaf that records gradients."""
        summed = self.gather @ self.rows
        features = summed.view(len(self.species), self.n_columns, 4).transpose(1, 2).contiguous()
        return features.requires_grad_(True)

    @override
    def pair_gradients(self, gradient: Tensor) -> Tensor:
        """Compute dE/dr_ij (P, 3), eV/Angstrom, from dE/dA (N, 4, C)."""
        flat = gradient.transpose(1, 2).reshape(-1, 4)
        weighted = SparseProduct.apply(flat, self.spread, self.gather)
        return torch.bmm(weighted.view(-1, 1, 8), self.jacobian)[:, 0]


#: Bounds on the intervals of the spline that carries the embedding nets.
FEWEST_KNOTS, MOST_KNOTS = 16, 2000


def make_basis(environment: Environment, frames: Sequence[StructurePairs], knots: int) -> SplineBasis:
    """Make a spline basis that covers all pairs of the data.

    Parameters
    ----------
    environment
        Whose switch gives s.
    frames
        The data; s of their nearest pair is the end of the basis.
    knots
        Intervals per unit of s (1/Angstrom).

    Raises
    ------
    InputError
        `atoms-too-close`: the nearest pair would take more than MOST_KNOTS intervals.
    """
    nearest = min(
        (float(torch.linalg.vector_norm(p.vectors, dim=1).min()) for p in frames if len(p.vectors)), default=1.0
    )
    s_max = float(environment.switch(torch.tensor(nearest, dtype=torch.float64))) * 1.001 + 1e-6
    intervals = max(FEWEST_KNOTS, math.ceil(knots * s_max))
    if intervals > MOST_KNOTS:
        raise InputError(
            "atoms-too-close",
            f"two atoms of the data are {nearest:.3f} Angstrom apart: the spline of the embedding nets would need "
            f"{intervals} knots (at most {MOST_KNOTS}); drop that frame, or lower training.knots",
        )
    return SplineBasis(intervals, s_max)


class SplineFeatures(TrainingFeatures):
    """Features A of smooth descriptors: D = contraction(A C), with C the spline coefficients of the embedding nets.

    Parameters
    ----------
    environment
        Switch and statistics of the descriptor.
    frames
        All frames of the training; their nearest pair sets the range of the spline.
    settings
        Settings of the training.
    """

    def __init__(self, environment: Environment, frames: Sequence[StructurePairs], settings: TrainingConfig) -> None:
        self.environment = copy.deepcopy(environment)  # a CPU copy: projections are made there
        self.device, self.dtype = torch.device(settings.device), environment.mean.dtype
        self.basis = make_basis(environment, frames, settings.knots)
        self.n_columns = environment.scale.shape[0] * self.basis.n_functions
        # Environment.set_statistics gives all centres the same mean and deviation, so species 0 stands for all
        net_input = environment.net_input(self.basis.sites, torch.zeros(len(self.basis.sites), dtype=torch.int64))
        self.sites = net_input.to(self.device, self.dtype)
        self.inverse = self.basis.inverse.to(self.device, self.dtype)

    @override
    def prepare(self, pairs: StructurePairs) -> Projection:
        """Project one frame, on the CPU."""
        return project(pairs, self.environment, self.basis, self.dtype)

    @override
    def join(self, frames: Sequence[Projection]) -> ProjectedBatch:
        """Join projections, and move them to the device of training."""
        projection = join(frames, self.n_columns)
        return ProjectedBatch(Projection(*(field.to(self.device) for field in projection)), self.n_columns)

    @override
    def descriptors(self, descriptor: SmoothDescriptor, features: Tensor, species: Tensor) -> Tensor:
        """Compute D (N, n_features) from A (N, 4, C) and species (N,), with the present weights of `descriptor`."""
        total = descriptor.embedding.projected(features, self.sites, self.inverse, species)
        return descriptor.contraction(total)


@training_features.register
def _(descriptor: SmoothDescriptor, frames: Sequence[StructurePairs], settings: TrainingConfig) -> SplineFeatures:
    return SplineFeatures(descriptor.environment, frames, settings)
