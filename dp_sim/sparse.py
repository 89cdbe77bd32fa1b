"""Constant sparse matrices in a graph that is differentiated."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor


class SparseProduct(torch.autograd.Function):
    """matrix @ dense, where the matrix is constant and its transpose at hand."""

    @staticmethod
    def forward(dense: Tensor, matrix: Tensor, transposed: Tensor) -> Tensor:
        return matrix @ dense

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        _, ctx.matrix, ctx.transposed = inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return SparseProduct.apply(gradients[0].contiguous(), ctx.transposed, ctx.matrix), None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, dense: Tensor, matrix: Tensor, transposed: Tensor) -> tuple[Tensor, int]:
        """Many dense matrices side by side are one."""
        columns = dense.movedim(in_dims[0], 1).flatten(1)
        product = SparseProduct.apply(columns, matrix, transposed)
        return product.unflatten(1, (info.batch_size, -1)), 1


with warnings.catch_warnings():
    # torch says once a process that its CSR tensors are in beta; said here, where it is caught, it is said to nobody
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    torch.sparse_csr_tensor(torch.tensor([0, 0]), torch.tensor([], dtype=torch.int64), torch.tensor([]), size=(1, 1))


def csr(starts: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    """A matrix in compressed rows; the parts are taken as they are."""
    return torch.sparse_csr_tensor(starts, columns, values, size=size, check_invariants=False)
