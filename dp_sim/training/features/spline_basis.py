"""Embedding nets represented by a cubic spline in s: the same functions, at a cost independent of the size of the net.

G(s) is a smooth function of one variable, so K values represent it. In a basis of uniform cubic B-splines
G(s) = sum_k w_k(s) c_k with four non-zero weights, and the sum over neighbours (eq. 10-11) can be reordered:

    T_i = sum_j R~_ij (x) G(s_ij) = sum_k [ sum_j R~_ij w_k(s_ij) ] (x) c_k = A_i C

A_i (4 x K per neighbour species) depends on the geometry alone and is computed once per frame. Each training step is
then one small matrix product instead of a network evaluation per pair. The error is that of cubic spline interpolation,
O(K^-4); tests/training/test_spline_features.py compares forces and training gradients with the nets themselves.
"""

from __future__ import annotations

import torch
from torch import Tensor


class SplineBasis(torch.nn.Module):
    """Uniform cubic B-splines on 0 <= s <= s_max.

    Parameters
    ----------
    knots
        Number of intervals; there are K = knots + 3 functions.
    s_max
        1/Angstrom.

    Attributes
    ----------
    sites
        (K,) values of s, 1/Angstrom, where a function is sampled.
    inverse
        (K, K) turns values at the sites into spline coefficients.
    """

    sites: Tensor
    inverse: Tensor

    def __init__(self, knots: int, s_max: float) -> None:
        super().__init__()
        self.knots, self.s_max, self.n_functions = knots, float(s_max), knots + 3
        # The K conditions: the value at every knot and, one more at each end, in the middle of the outer intervals.
        knot = torch.arange(knots + 1, dtype=torch.float64)
        sites = torch.cat([knot[:1], knot[:1] + 0.5, knot[1:-1], knot[-1:] - 0.5, knot[-1:]]) * (self.s_max / knots)
        index, weights, _ = self.weights(sites)
        collocation = torch.zeros(self.n_functions, self.n_functions, dtype=torch.float64)
        collocation.scatter_(1, index[:, None] + torch.arange(4), weights)
        self.register_buffer("sites", sites)
        self.register_buffer("inverse", torch.linalg.inv(collocation))

    def weights(self, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate the four non-zero functions at s (P,), 1/Angstrom.

        Returns
        -------
        index : (P,) int64 tensor
            Index of the first of them.
        values, slopes : (P, 4) tensors
            The functions and their derivatives in s.
        """
        scaled = s * (self.knots / self.s_max)
        index = scaled.floor().clamp(0, self.knots - 1)
        u = (scaled - index)[:, None]
        v = 1.0 - u
        values = torch.cat([v**3, 3 * u**3 - 6 * u**2 + 4, 3 * v**3 - 6 * v**2 + 4, u**3], dim=1) / 6
        slopes = torch.cat([-(v**2), 3 * u**2 - 4 * u, -3 * v**2 + 4 * v, u**2], dim=1) / 2
        return index.to(torch.int64), values, slopes * (self.knots / self.s_max)

    def coefficients(self, values: Tensor) -> Tensor:
        """Compute spline coefficients (K, M1) from values of functions at `sites` (K, M1)."""
        return self.inverse @ values
