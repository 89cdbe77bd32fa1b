"""The DeepPot-SE descriptor: D = (G1)^T R~ (R~)^T G2, eq. 11 of Zhang et al., NeurIPS 2018."""

import torch
from torch import Tensor


class DeepPotSE(torch.nn.Module):
    """The contraction of T = G^T R~; G2 is the first M2 columns of G, as in the paper (section 3.3).

    Parameters
    ----------
    width, axis_width
        M1 and M2.
    """

    def __init__(self, width: int, axis_width: int) -> None:
        super().__init__()
        self.axis_width = axis_width
        self.n_features = width * axis_width

    def forward(self, total: Tensor) -> Tensor:
        """Contract T (N, 4, M1) to D (N, M1 M2)."""
        axis = total[:, :, : self.axis_width]
        return torch.bmm(total.transpose(1, 2), axis).flatten(1)
