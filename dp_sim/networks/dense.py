"""Dense networks with skip connections: the embedding and the fitting nets are both this."""

from itertools import pairwise

import torch
from torch import Tensor

from dp_sim.networks.activations import make_activation


class Dense(torch.nn.Module):
    """y = f(x W + b), plus x itself where the widths allow it: equal (x + y) or doubled ((x, x) + y).

    With `timestep` the new part is multiplied by a trained vector near 0.1 before it is added (a residual step).
    """

    def __init__(self, n_in: int, n_out: int, activation: str, timestep: bool, bias_deviation: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(n_in, n_out) / (n_in + n_out) ** 0.5)
        self.bias = torch.nn.Parameter(bias_deviation * torch.randn(n_out))
        self.activation = make_activation(activation)
        self.repeats = n_out // n_in if n_out in (n_in, 2 * n_in) else 0
        self.has_step = timestep and self.repeats > 0
        self.step = torch.nn.Parameter(0.1 + 0.001 * torch.randn(n_out)) if self.has_step else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(torch.addmm(self.bias, x, self.weight))
        step = self.step
        if step is not None:
            y = y * step
        if self.repeats == 1:
            return x + y
        if self.repeats == 2:
            return torch.cat([x, x], dim=1) + y
        return y


class Network(torch.nn.Module):
    """Hidden layers of the given widths: (B, n_in) -> (B, widths[-1]).

    Weights start with deviation 1/sqrt(n_in + n_out). `bias_deviation` is that of the biases: of order 1 where the
    input is a single number, so that the neurons differ; small where it has many components, so that none starts
    saturated.
    """

    def __init__(
        self, n_in: int, widths: tuple[int, ...], activation: str, *, timestep: bool = False, bias_deviation: float
    ) -> None:
        super().__init__()
        sizes = (n_in, *widths)
        self.layers = torch.nn.ModuleList(
            [Dense(a, b, activation, timestep, bias_deviation) for a, b in pairwise(sizes)]
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x
