"""Dense networks with skip connections: the embedding and the fitting nets are both this."""

from itertools import pairwise

import torch
from torch import Tensor

from dp_sim.networks.activations import make_activation


class Dense(torch.nn.Module):
    """A layer y = f(x W + b) with a skip connection: x + y at equal widths, (x, x) + y where the width doubles.

    Parameters
    ----------
    n_in, n_out
        Widths.
    activation
        Name of f (dp_sim.networks.activations).
    timestep
        Multiply y by a trained vector, which starts near 0.1, before it is added to x.
    bias_deviation
        Standard deviation of the initial biases.
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
        """Apply the layer: (B, n_in) -> (B, n_out)."""
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
    """A stack of dense layers.

    Weights start with standard deviation 1/sqrt(n_in + n_out).

    Parameters
    ----------
    n_in
        Width of the input.
    widths
        Widths of the layers.
    activation
        Name of the activation (dp_sim.networks.activations).
    timestep
        Whether skip connections have trained residual steps.
    bias_deviation
        Standard deviation of the initial biases: of order 1 where the input is one number, so that the neurons differ;
        small where the input has many components, so that no neuron starts saturated.
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
        """Apply all layers: (B, n_in) -> (B, widths[-1])."""
        for layer in self.layers:
            x = layer(x)
        return x
