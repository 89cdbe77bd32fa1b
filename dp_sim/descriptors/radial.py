"""The radial-only descriptor: the first column of G^T R~, which knows distances and no angles."""

import torch
from torch import Tensor


class Radial(torch.nn.Module):
    """T = G^T R~ (N, 4, M1) -> D_k = sum_j s(r_ij) G_k(s(r_ij)) (N, M1): invariant without the product of eq. 11."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.n_features = width

    def forward(self, total: Tensor) -> Tensor:
        return total[:, 0, :]
