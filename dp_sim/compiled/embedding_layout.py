"""Where the compiled operators take G(s) from: tables or embedding nets, laid out for dp_sim/compiled/kernels."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

#: Numbers of the operators (kernels/activation.h) for the modules of dp_sim.networks.dense.
ACTIVATIONS = ("Tanh", "GELU", "GELU of tanh", "SiLU", "Softplus", "Sigmoid", "ReLU", "ReLU6", "Identity", "SiLUT")


class Source(NamedTuple):
    """What G(s) is.

    of        (T, T) int64, which table or net serves a centre and a neighbour
    numbers   all of them, in the precision of the model
    shape     float64, how these are to be read (kernels/operators.cpp)
    """

    of: Tensor
    numbers: Tensor
    shape: Tensor


def kind(module: Any) -> str:
    """The class of a module, scripted or not."""
    return str(getattr(module, "original_name", type(module).__name__))


def source(descriptor: Any) -> Source | None:
    """G of a descriptor; None for those that the operators do not know."""
    if hasattr(descriptor, "table_of"):
        return _tables(descriptor)
    return _nets(descriptor) if kind(descriptor) == "SmoothDescriptor" else None


def _tables(descriptor: Any) -> Source:
    places = descriptor.table.places.to(torch.float64)
    widths = places[1:] - places[:-1]
    uniform = (widths < 1.001 * widths[0]).sum()
    shape = torch.cat([torch.stack([widths[0], uniform.to(torch.float64)]), places])
    return Source(descriptor.table_of, _padded(descriptor.table.values).contiguous(), shape)


def _nets(descriptor: Any) -> Source:
    embedding, environment = descriptor.embedding, descriptor.environment
    nets = [list(net.layers.children()) for net in embedding.nets.children()]
    species = torch.arange(embedding.n_species)
    inputs = torch.stack([environment.mean, environment.deviation], dim=1).to(torch.float64)
    activation, threshold = activation_number(nets[0][0].activation)
    shape = [activation, threshold]
    for layer in nets[0]:  # all nets are alike
        shape += [*layer.weight.shape, layer.repeats, float(residual_step(layer) is not None)]
    return Source(
        embedding.net_index(species[:, None], species).expand(len(species), -1).contiguous(),
        torch.cat([numbers for net in nets for layer in net for numbers in _of_layer(layer)]),
        torch.cat([inputs.flatten(), torch.tensor(shape, dtype=torch.float64)]),
    )


def _of_layer(layer: Any) -> list[Tensor]:
    """Weight, bias and step, flat, rows padded with zeros."""
    step = residual_step(layer)
    parts = (layer.weight, layer.bias, torch.zeros_like(layer.bias) if step is None else step)
    return [_padded(part.detach()).flatten() for part in parts]


def residual_step(layer: Any) -> Tensor | None:
    """The residual step; files of earlier versions have no such attribute where there is none."""
    return getattr(layer, "step", None)


def _padded(values: Tensor) -> Tensor:
    """Rows of whole vectors of 64 bytes, on which the kernels work."""
    return torch.nn.functional.pad(values, (0, -values.shape[-1] % (64 // values.element_size())))


def activation_number(module: Any) -> tuple[int, float]:
    """Its number and, for SiLUT, its threshold."""
    name = kind(module)
    if name == "GELU" and module.approximate == "tanh":
        name = "GELU of tanh"
    return ACTIVATIONS.index(name), float(getattr(module, "threshold", 0.0)) if name == "SiLUT" else 0.0
