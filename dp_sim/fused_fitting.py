"""A fitting net of the fast path: energies and dE/dD in one call, without automatic differentiation.

Each layer keeps the slope of its activation on the way there and multiplies by it on the way back.
"""

from typing import Any, Final

import torch
from torch import Tensor

from dp_sim.fused_sources import activation_number, residual_step


def symmetric_once(width: int, axis: int) -> Tensor:
    """Where each number of the descriptor (M1 * M2, or M1 where axis is 0) stands in what the operators make of it,
    which holds D_ab = D_ba once (kernels/contraction.h): (F,) int64."""
    if axis == 0:
        return torch.arange(width)
    b, a = torch.meshgrid(torch.arange(axis), torch.arange(width), indexing="ij")
    place = torch.empty(axis, width, dtype=torch.int64)
    place[a >= b] = torch.arange(int((a >= b).sum()))
    return place[torch.minimum(a, b).T, torch.maximum(a, b).T].flatten()


class FusedLayer(torch.nn.Module):
    """y = f(x W + b), times a residual step, plus x or (x, x) (dp_sim.networks.Dense), and its derivative."""

    weight: Tensor
    bias: Tensor
    step: Tensor
    kind: Tensor
    repeats: Final[int]

    def __init__(self, layer: Any, weight: Tensor) -> None:
        super().__init__()
        step = residual_step(layer)
        self.repeats = int(layer.repeats)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", layer.bias.detach())
        self.register_buffer("step", torch.empty(0, dtype=weight.dtype) if step is None else step.detach())
        self.register_buffer("kind", torch.tensor(activation_number(layer.activation), dtype=torch.float64))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (n, n_in) -> y (n, n_out), and the slope of the part that is not handed on."""
        y = torch.mm(x, self.weight)
        slope = torch.empty_like(y)
        torch.ops.dp_sim.activate(y, self.bias, self.step, self.kind, slope)
        for part in y.split(x.shape[1], 1)[: self.repeats]:
            part += x
        return y, slope

    @torch.jit.export
    def back(self, gradient: Tensor, slope: Tensor) -> Tensor:
        """dE/dy (n, n_out) and the slope, which is overwritten -> dE/dx (n, n_in)."""
        before = torch.mm(slope.mul_(gradient), self.weight.t())
        for part in gradient.split(before.shape[1], 1)[: self.repeats]:
            before += part
        return before


class FusedFitting(torch.nn.Module):
    """The net of one species for features that hold each symmetric pair once: rows of the first weights that meet the
    same number are added. A first layer that hands its input on needs the whole descriptor, so there it is unfolded."""

    places: Tensor
    last: Tensor
    bias: Tensor
    unfolds: Final[bool]

    def __init__(self, net: Any, last: Any, places: Tensor) -> None:
        super().__init__()
        layers = list(net.layers.children())
        self.unfolds = int(layers[0].repeats) > 0
        weights = [layer.weight.detach() for layer in layers]
        if not self.unfolds:
            folded = torch.zeros(int(places.max()) + 1, weights[0].shape[1], dtype=weights[0].dtype)
            weights[0] = folded.index_add(0, places, weights[0])
        self.register_buffer("places", places)
        self.register_buffer("last", last.weight.detach())
        self.register_buffer("bias", last.bias.detach())
        self.layers = torch.nn.ModuleList(map(FusedLayer, layers, weights))
        self.backwards = torch.nn.ModuleList(reversed(list(self.layers)))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """features (n, F) -> energies (n,), eV without the bias of the species, and dE/dfeatures (n, F)."""
        x = features[:, self.places] if self.unfolds else features
        slopes: list[Tensor] = []
        for layer in self.layers:
            x, slope = layer(x)
            slopes.append(slope)
        gradient = self.last.expand(x.shape[0], -1)
        for layer in self.backwards:
            gradient = layer.back(gradient, slopes.pop())  # type: ignore[operator]
        if self.unfolds:
            gradient = torch.zeros_like(features).index_add_(1, self.places, gradient)
        return torch.addmm(self.bias, x, self.last.t())[:, 0], gradient
