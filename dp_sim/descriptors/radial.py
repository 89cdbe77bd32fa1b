"""The radial-only descriptor: the first column of G^T R~, a function of distances alone."""

import torch
from torch import Tensor


class Radial(torch.nn.Module):
    """D_k = sum_j s(r_ij) G_k(s(r_ij)), which is invariant without the product of eq. 11.

    Parameters
    ----------
    width
        M1.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.n_features = width

    def forward(self, total: Tensor) -> Tensor:
        """Take D (N, M1) out of T = G^T R~ (N, 4, M1)."""
        return total[:, 0, :]
