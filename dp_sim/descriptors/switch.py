"""The weight s(r) of a neighbour: 1/r near by, smoothly zero at the cutoff.

Two switches are offered. `cosine` is eq. 9 of the DeepPot-SE paper (Zhang et al., NeurIPS 2018): s has one continuous
derivative at the cutoff, so forces are continuous and the Hessian jumps there. `polynomial` is DeePMD-kit's quintic
1 - 10u^3 + 15u^4 - 6u^5: two continuous derivatives, so the Hessian is continuous as well.
"""

import math

import torch
from torch import Tensor

SWITCHES = ("polynomial", "cosine")


class Switch(torch.nn.Module):
    """s(r) = w(u)/r with u = (r - start)/(cutoff - start), w = 1 below `start` and 0 beyond `cutoff`.

    Parameters
    ----------
    start, cutoff
        r_cs and r_c, Angstrom.
    kind
        One of SWITCHES.
    """

    def __init__(self, start: float, cutoff: float, kind: str) -> None:
        super().__init__()
        self.start, self.cutoff, self.cosine = float(start), float(cutoff), kind == "cosine"

    def forward(self, distances: Tensor) -> Tensor:
        """Compute s (P,), 1/Angstrom, from distances (P,), Angstrom."""
        u = ((distances - self.start) / (self.cutoff - self.start)).clamp(0.0, 1.0)
        polynomial = 1.0 + u * u * u * (u * (15.0 - 6.0 * u) - 10.0)
        weight = 0.5 * torch.cos(math.pi * u) + 0.5 if self.cosine else polynomial
        return weight / distances
