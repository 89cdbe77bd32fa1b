"""Layout of the fitting nets for the compiled path (dp_sim/compiled/kernels/networks/fitting_net.h)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dp_sim.compiled.embedding_layout import activation_number, residual_step

#: Bytes of a row of a panel: the columns of a product that the kernel computes at a time.
PANEL_BYTES = 192


class FittingLayout(NamedTuple):
    """All fitting nets of a model, for T species, with L layers: the fields of kernels/fitting_fields.inc.

    Attributes
    ----------
    layers
        (L, 4) int64: n_in, n_out, repeats, number of the activation; the last layer included.
    thresholds
        (L,) float64, of the activation SiLUT.
    bias
        (T,) float64, eV.
    values
        (T, size), numbers of each net, in the precision of the model.
    """

    layers: Tensor
    thresholds: Tensor
    bias: Tensor
    values: Tensor


class _Layer(NamedTuple):
    """One layer: y = f(x W + b), times a step, plus x or (x, x) (dp_sim.networks.dense.Dense)."""

    weight: Tensor
    bias: Tensor
    step: Tensor
    repeats: int
    activation: tuple[int, float]


def symmetric_once(width: int, axis: int) -> Tensor:
    """Find where the operators hold each feature of a part.

    They hold D_ab = D_ba once (kernels/contraction.h).

    Parameters
    ----------
    width, axis
        M1 and M2: the part has M1 * M2 features, or M1 where axis is 0.

    Returns
    -------
    Tensor
        (F,) int64.
    """
    if axis == 0:
        return torch.arange(width)
    b, a = torch.meshgrid(torch.arange(axis), torch.arange(width), indexing="ij")
    held_at = torch.empty(axis, width, dtype=torch.int64)
    held_at[a >= b] = torch.arange(int((a >= b).sum()))
    return held_at[torch.minimum(a, b).T, torch.maximum(a, b).T].flatten()


def side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """Join the indices from `symmetric_once` of consecutive parts: (F,) int64."""
    sizes = torch.tensor([0, *(int(part.max()) + 1 for part in parts)])
    return torch.cat([part + start for part, start in zip(parts, sizes.cumsum(0)[:-1], strict=True)])


def fitting_layout(fitting: Any, held_at: Tensor) -> FittingLayout:
    """Lay out the nets of all species for features that hold each symmetric pair once.

    Parameters
    ----------
    fitting
        A dp_sim.networks.fitting.Fitting, scripted or not.
    held_at
        (F,) int64, where each feature is held.
    """
    nets = [
        _folded([*map(_of_dense, net.layers.children()), _of_last(last)], held_at)
        for net, last in zip(fitting.nets.children(), fitting.last.children(), strict=True)
    ]
    first = nets[0]  # all nets are alike
    return FittingLayout(
        torch.tensor([[*layer.weight.shape, layer.repeats, layer.activation[0]] for layer in first]),
        torch.tensor([layer.activation[1] for layer in first], dtype=torch.float64),
        fitting.bias,
        torch.stack([torch.cat([part for layer in net for part in _numbers(layer)]) for net in nets]),
    )


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


def _folded(layers: list[_Layer], held_at: Tensor) -> list[_Layer]:
    """Adapt layers to features that are held once: add the rows of the first weights that multiply the same number.

    A first layer with a skip connection needs all features, so a layer in front of it unfolds them.
    """
    first, *others = layers
    n_features = int(held_at.max()) + 1
    if first.repeats:
        unfold = torch.zeros(n_features, len(held_at), dtype=first.weight.dtype)
        unfold[held_at, torch.arange(len(held_at))] = 1.0
        return [_linear(unfold, torch.zeros(len(held_at), dtype=first.weight.dtype)), *layers]
    weight = torch.zeros(n_features, first.weight.shape[1], dtype=first.weight.dtype)
    return [first._replace(weight=weight.index_add(0, held_at, first.weight)), *others]


def _numbers(layer: _Layer) -> list[Tensor]:
    """List the weight and its transpose in panels, and bias and step in rows of whole panels."""
    columns = PANEL_BYTES // layer.weight.element_size()
    rows = (torch.nn.functional.pad(row, (0, -len(row) % columns)) for row in (layer.bias, layer.step))
    return [_panels(layer.weight, columns), _panels(layer.weight.t(), columns), *rows]


def _panels(weight: Tensor, columns: int) -> Tensor:
    """Reorder (n_in, n_out) to flat (panels, n_in, columns), padded with zeros."""
    padded = torch.nn.functional.pad(weight, (0, -weight.shape[1] % columns))
    return padded.unflatten(1, (-1, columns)).transpose(0, 1).flatten()
