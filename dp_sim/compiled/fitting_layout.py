"""The fitting nets of the compiled path, laid out for dp_sim/compiled/kernels/fitting_net.h."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from dp_sim.compiled.embedding_layout import activation_number, residual_step

#: Bytes of a row of a panel: as many columns of a product as the kernel makes at a time.
PANEL_BYTES = 192


class FittingLayers(NamedTuple):
    """All fitting nets of a model.

    numbers   (T, size), in the precision of the model
    shape     (layers, 5) float64: n_in, n_out, repeats, activation, threshold, the last layer included
    """

    numbers: Tensor
    shape: Tensor


class _Layer(NamedTuple):
    """y = f(x W + b), times a step, plus x or (x, x) (dp_sim.networks.dense.Dense)."""

    weight: Tensor
    bias: Tensor
    step: Tensor
    repeats: int
    activation: tuple[int, float]


def symmetric_once(width: int, axis: int) -> Tensor:
    """Where each number of the descriptor (M1 * M2, or M1 where axis is 0) stands in what the operators make of it,
    which holds D_ab = D_ba once (kernels/contraction.h): (F,) int64."""
    if axis == 0:
        return torch.arange(width)
    b, a = torch.meshgrid(torch.arange(axis), torch.arange(width), indexing="ij")
    place = torch.empty(axis, width, dtype=torch.int64)
    place[a >= b] = torch.arange(int((a >= b).sum()))
    return place[torch.minimum(a, b).T, torch.maximum(a, b).T].flatten()


def fitting_layers(fitting: Any, places: Tensor) -> FittingLayers:
    """The nets of all species (dp_sim.networks.fitting.Fitting) for features that hold each symmetric pair once."""
    nets = [
        _folded([*map(_of_dense, net.layers.children()), _of_last(last)], places)
        for net, last in zip(fitting.nets.children(), fitting.last.children(), strict=True)
    ]
    numbers = torch.stack([torch.cat([part for layer in net for part in _numbers(layer)]) for net in nets])
    shape = [[*layer.weight.shape, layer.repeats, *layer.activation] for layer in nets[0]]  # all nets are alike
    return FittingLayers(numbers, torch.tensor(shape, dtype=torch.float64))


def _of_dense(layer: Any) -> _Layer:
    step = residual_step(layer)
    return _Layer(
        layer.weight.detach(),
        layer.bias.detach(),
        torch.ones_like(layer.bias.detach()) if step is None else step.detach(),
        int(layer.repeats),
        activation_number(layer.activation),
    )


def _of_last(last: Any) -> _Layer:
    return _linear(last.weight.detach().t(), last.bias.detach())


def _linear(weight: Tensor, bias: Tensor) -> _Layer:
    return _Layer(weight, bias, torch.ones_like(bias), 0, activation_number(torch.nn.Identity()))


def _folded(layers: list[_Layer], places: Tensor) -> list[_Layer]:
    """Rows of the first weights that meet the same number are added. A first layer that hands its input on needs the
    whole descriptor: there a layer in front of it unfolds."""
    first, *others = layers
    n_features = int(places.max()) + 1
    if first.repeats:
        unfold = torch.zeros(n_features, len(places), dtype=first.weight.dtype)
        unfold[places, torch.arange(len(places))] = 1.0
        return [_linear(unfold, torch.zeros(len(places), dtype=first.weight.dtype)), *layers]
    weight = torch.zeros(n_features, first.weight.shape[1], dtype=first.weight.dtype)
    return [first._replace(weight=weight.index_add(0, places, first.weight)), *others]


def _numbers(layer: _Layer) -> list[Tensor]:
    """Weight and its transpose in panels, bias and step in rows of whole panels."""
    columns = PANEL_BYTES // layer.weight.element_size()
    rows = (torch.nn.functional.pad(row, (0, -len(row) % columns)) for row in (layer.bias, layer.step))
    return [_panels(layer.weight, columns), _panels(layer.weight.t(), columns), *rows]


def _panels(weight: Tensor, columns: int) -> Tensor:
    """(n_in, n_out) -> flat (panels, n_in, columns), zeros in the columns that are left."""
    padded = torch.nn.functional.pad(weight, (0, -weight.shape[1] % columns))
    return padded.unflatten(1, (-1, columns)).transpose(0, 1).flatten()
