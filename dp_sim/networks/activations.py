"""Activations of the networks, by name."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from dp_sim.errors import nearest_name


class SiLUT(torch.nn.Module):
    """silu(x) below a threshold and tanh(slope (x - threshold)) + constant above, with a continuous derivative.

    DeePMD-kit's `silut:threshold`. It is bounded, so that a net does not diverge outside its training data.

    Parameters
    ----------
    threshold
        Where silu ends.
    """

    def __init__(self, threshold: float) -> None:
        super().__init__()
        sigmoid = 1.0 / (1.0 + math.exp(-threshold))
        self.threshold = threshold
        self.slope = sigmoid + threshold * sigmoid * (1.0 - sigmoid)
        self.constant = threshold * sigmoid

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation element by element."""
        beyond = torch.tanh(self.slope * (x - self.threshold)) + self.constant
        return torch.where(x >= self.threshold, beyond, torch.nn.functional.silu(x))


#: Activations by name; `silut:3.0`, with any threshold, is one more. relu and relu6 have kinks, where forces jump and
#: a Hessian is wrong: they serve imported models alone.
ACTIVATIONS: dict[str, Callable[[], torch.nn.Module]] = {
    "tanh": torch.nn.Tanh,
    "gelu": torch.nn.GELU,
    "gelu_tanh": partial(torch.nn.GELU, approximate="tanh"),
    "silu": torch.nn.SiLU,
    "softplus": torch.nn.Softplus,
    "sigmoid": torch.nn.Sigmoid,
    "relu": torch.nn.ReLU,
    "relu6": torch.nn.ReLU6,
    "linear": torch.nn.Identity,
}


def make_activation(name: str) -> torch.nn.Module:
    """Make an activation by its name.

    Raises
    ------
    ValueError
        There is none of this name.
    """
    if name.startswith("silut:"):
        return SiLUT(float(name.removeprefix("silut:")))
    if name not in ACTIVATIONS:
        raise ValueError(f"'{name}' is no activation{nearest_name(name, ACTIVATIONS)} ({', '.join(ACTIVATIONS)})")
    return ACTIVATIONS[name]()
