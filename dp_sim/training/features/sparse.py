"""Products with constant sparse matrices, as part of a graph that is differentiated."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor


class SparseProduct(torch.autograd.Function):
    """matrix @ dense, for a constant sparse matrix whose transpose is given, for the backward pass."""

    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: Tensor, transposed: Tensor) -> Tensor:
        """Compute matrix @ dense."""
        ctx.transposed = transposed
        return matrix @ dense

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Compute transposed @ gradient."""
        return ctx.transposed @ gradients[0].contiguous(), None, None


with warnings.catch_warnings():
    # torch warns once a process that its CSR tensors are in beta: provoke it here, where it is ignored
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    none = torch.tensor([], dtype=torch.int64)
    torch.sparse_csr_tensor(torch.tensor([0, 0]), none, none.double(), size=(1, 1), check_invariants=False)


def csr(starts: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    """Make a matrix in compressed sparse rows, without checks or copies.

    Parameters
    ----------
    starts
        (rows + 1,) where each row begins in the other two.
    columns, values
        (Z,) column and value of each entry.
    size
        Numbers of rows and columns.
    """
    return torch.sparse_csr_tensor(starts, columns, values, size=size, check_invariants=False)
