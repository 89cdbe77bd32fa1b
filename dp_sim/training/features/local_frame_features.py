"""Training features of local-frame descriptors: fixed inputs per frame, and their sparse, fixed Jacobian."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from dp_sim.config.training import TrainingConfig
from dp_sim.descriptors.local_frame import LocalFrame
from dp_sim.neighbors.pairs import StructurePairs
from dp_sim.training.features.features import FeatureBatch, TrainingFeatures, training_features
from dp_sim.training.features.sparse import SparseProduct, csr


class LocalFrameInputs(NamedTuple):
    """Inputs D of one or more frames, joined, and J = dD/dr_ij and its transpose as the parts of CSR matrices."""

    species: Tensor  # (N,)
    center: Tensor  # (P,)
    neighbor: Tensor  # (P,)
    vectors: Tensor  # (P, 3) Angstrom
    inputs: Tensor  # (N, F)
    row_start: Tensor  # (N F + 1,) int32, of J (N F, 3P)
    column: Tensor  # (Z,) int32
    value: Tensor  # (Z,)
    transposed_start: Tensor  # (3P + 1,) int32, of J^T
    transposed_column: Tensor  # (Z,) int32
    transposed_value: Tensor  # (Z,)

    def nbytes(self) -> int:
        """Return the memory that the inputs take, bytes."""
        return sum(field.numel() * field.element_size() for field in self)


class LocalFrameFeatures(TrainingFeatures):
    """Features of a local-frame descriptor, which has no weights: A is D itself.

    Parameters
    ----------
    descriptor
        The descriptor, with its statistics.
    settings
        Settings of the training.
    """

    def __init__(self, descriptor: LocalFrame, settings: TrainingConfig) -> None:
        self.descriptor = copy.deepcopy(descriptor)  # a CPU copy: inputs are made there
        self.device, self.dtype = torch.device(settings.device), descriptor.mean.dtype

    @override
    def prepare(self, pairs: StructurePairs) -> LocalFrameInputs:
        """Compute the inputs of one frame and their Jacobian, on the CPU."""
        descriptor, n_atoms, n_pairs = self.descriptor, len(pairs.species), len(pairs.center)
        size = n_atoms * descriptor.n_features
        row, column, value = sparse_jacobian(descriptor, pairs)
        mean, deviation = (field.double()[pairs.species] for field in (descriptor.mean, descriptor.deviation))
        value = value / deviation.reshape(-1)[row]
        row_start, forward = _sorted_by(row, size)
        transposed_start, backward = _sorted_by(column, 3 * n_pairs)
        return LocalFrameInputs(
            pairs.species,
            pairs.center,
            pairs.neighbor,
            pairs.vectors.to(self.dtype),
            ((descriptor.plain_inputs(pairs) - mean) / deviation).to(self.dtype),
            row_start,
            column[forward].to(torch.int32),
            value[forward].to(self.dtype),
            transposed_start,
            row[backward].to(torch.int32),
            value[backward].to(self.dtype),
        )

    @override
    def join(self, frames: Sequence[LocalFrameInputs]) -> LocalFrameBatch:
        """Join frames, and move them to the device of training."""
        joined = _join(frames, self.descriptor.n_features)
        return LocalFrameBatch(LocalFrameInputs(*(field.to(self.device) for field in joined)))

    @override
    def descriptors(self, descriptor: LocalFrame, features: Tensor, species: Tensor) -> Tensor:
        """Return the features, which are D (N, n_features)."""
        return features


def sparse_jacobian(descriptor: LocalFrame, pairs: StructurePairs) -> tuple[Tensor, Tensor, Tensor]:
    """Compute d(plain inputs)/dr_ij as a sparse matrix.

    Parameters
    ----------
    descriptor
        Whose inputs before shift and scale are differentiated.
    pairs
        Pairs of one frame.

    Returns
    -------
    row, column, value : (Z,) tensors
        Input, 3 pair + component, and derivative. Entries of the same row and column add up.
    """
    slots = descriptor.slots(pairs.vectors, pairs.center, pairs.neighbor, pairs.species)
    atoms, none = pairs.center[slots.full], len(pairs.center)
    which = torch.stack([slots.full, slots.first[atoms], slots.second[atoms]], dim=1)  # (K, 3) pairs j, a, b
    padded = torch.cat([pairs.vectors, torch.zeros(1, 3, dtype=torch.float64)])
    ends = [padded[which[:, e]].requires_grad_(True) for e in range(3)]
    with torch.enable_grad():
        four = descriptor.full_inputs(*ends)
        gradients = [torch.autograd.grad(four[:, c].sum(), ends, retain_graph=True) for c in range(4)]
    value = torch.stack([torch.stack(g, dim=1) for g in gradients], dim=1)  # (K, 4 inputs, 3 ends, 3)
    row = (slots.full_start[:, None] + torch.arange(4))[:, :, None, None].expand_as(value)
    column = (3 * which[:, :, None] + torch.arange(3))[:, None].expand_as(value)
    kept = (which < none)[:, None, :, None] & (value != 0)

    outer = pairs.vectors[slots.radial]
    slope = -outer / torch.linalg.vector_norm(outer, dim=1, keepdim=True) ** 3  # d(1/R)/dr
    radial_row = slots.radial_start[:, None].expand_as(slope)
    radial_column = 3 * slots.radial[:, None] + torch.arange(3)
    return (
        torch.cat([row[kept], radial_row.reshape(-1)]),
        torch.cat([column[kept], radial_column.reshape(-1)]),
        torch.cat([value[kept], slope.reshape(-1)]),
    )


def _sorted_by(index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Compute the starts of the rows (size + 1,) int32, and the order (Z,) that sorts by row."""
    counts = torch.bincount(index, minlength=size)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)]).to(torch.int32), torch.argsort(index, stable=True)


def _join(frames: Sequence[LocalFrameInputs], n_features: int) -> LocalFrameInputs:
    """Concatenate frames, with indices shifted."""
    if len(frames) == 1:
        return frames[0]
    atoms = np.cumsum([0] + [len(f.species) for f in frames])
    pairs = np.cumsum([0] + [len(f.center) for f in frames])
    entries = np.cumsum([0] + [len(f.value) for f in frames])

    def moved(name: str, offsets: np.ndarray) -> Tensor:
        return torch.cat([getattr(f, name) + int(o) for f, o in zip(frames, offsets, strict=False)])

    def together(name: str) -> Tensor:
        return torch.cat([getattr(f, name) for f in frames])

    def starts(name: str) -> Tensor:
        parts = [getattr(f, name)[:-1] + int(o) for f, o in zip(frames, entries, strict=False)]
        return torch.cat([*parts, parts[0].new_tensor([int(entries[-1])])])

    return LocalFrameInputs(
        together("species"),
        moved("center", atoms),
        moved("neighbor", atoms),
        together("vectors"),
        together("inputs"),
        starts("row_start"),
        moved("column", 3 * pairs),
        together("value"),
        starts("transposed_start"),
        moved("transposed_column", n_features * atoms),
        together("transposed_value"),
    )


class LocalFrameBatch(FeatureBatch):
    """Inputs D (N, F) with their Jacobian as a sparse matrix: dE/dr_ij = J^T dE/dD.

    Parameters
    ----------
    frame
        One or more frames, joined.
    """

    def __init__(self, frame: LocalFrameInputs) -> None:
        super().__init__(frame.species, frame.center, frame.neighbor, frame.vectors)
        self.inputs = frame.inputs
        rows, columns = frame.inputs.numel(), 3 * len(frame.center)
        self.jacobian = csr(frame.row_start, frame.column, frame.value, (rows, columns))
        self.transposed = csr(frame.transposed_start, frame.transposed_column, frame.transposed_value, (columns, rows))

    @override
    def features(self) -> Tensor:
        """Return D (N, F) as a leaf that records gradients."""
        return self.inputs.detach().requires_grad_(True)

    @override
    def pair_gradients(self, gradient: Tensor) -> Tensor:
        """Compute dE/dr_ij (P, 3), eV/Angstrom, from dE/dD (N, F)."""
        return SparseProduct.apply(gradient.reshape(-1, 1), self.transposed, self.jacobian).view(-1, 3)


@training_features.register
def _(descriptor: LocalFrame, frames: Sequence[StructurePairs], settings: TrainingConfig) -> LocalFrameFeatures:
    return LocalFrameFeatures(descriptor, settings)
