"""Fold the type vectors of DPA-1 without attention into nets and factors for each pair of species.

DPA-1 has one embedding net and one fitting net for all species; they take a vector v_c of each species c. For given
species these vectors are constants, so they fold into the weights. With c the centre and b the neighbour:

    concat   the net takes (s, v_b, v_c): its first layer f(s w + v_b W_b + v_c W_c + B) is one of s alone, with the
             bias v_b W_b + v_c W_c + B, for each pair
    strip    G = net(s) (1 + g(v_b, v_c)): a factor for each pair; if it is smooth, the switch multiplies g
    fitting  the net takes (D, v_c): again a bias of the first layer, for each c
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from dp_sim.deepmd.reading.activations import activation_name
from dp_sim.deepmd.reading.content import DescriptorContent, FittingContent, Layer, ModelContent, TypedNets
from dp_sim.errors import ModelFileError
from dp_sim.networks.activations import make_activation

Net = tuple[Layer, ...]


def without_types(content: ModelContent, file: str) -> ModelContent:
    """Replace type vectors by nets for each species.

    Parameters
    ----------
    content
        The model.
    file
        Name of its file, for errors.

    Raises
    ------
    ModelFileError
        A skip connection passes a type vector on, which cannot be written as a bias.
    """
    n_types = len(content.types)
    descriptors, columns, start = [], [], 0
    for d in content.descriptors:
        vectors = None if d.typed is None else applied(d.typed.types, np.eye(n_types), file)
        folded = d if d.typed is None or vectors is None else _descriptor(d, d.typed, vectors, file)
        start += _width(folded)
        if vectors is not None and d.typed is not None and d.typed.appended:
            columns.append((start, vectors))
            start += vectors.shape[1]
        descriptors.append(folded)
    return replace(content, descriptors=tuple(descriptors), fitting=_fitting(content.fitting, columns, n_types, file))


def applied(net: Net, x: np.ndarray, file: str) -> np.ndarray:
    """Compute the output of a net of DeePMD-kit.

    Parameters
    ----------
    net
        Its layers.
    x
        (B, n_in) inputs.
    file
        Name of the file, for errors.

    Returns
    -------
    (B, n_out) array
    """
    for layer in net:
        n_in, n_out = layer.w.shape
        y = make_activation(activation_name(layer.activation, file))(torch.from_numpy(x @ layer.w + layer.b)).numpy()
        y = y if layer.idt is None else y * layer.idt
        x = y + np.tile(x, n_out // n_in) if _skips(layer) else y
    return x


def _skips(layer: Layer) -> bool:
    n_in, n_out = layer.w.shape
    return layer.resnet and n_out in (n_in, 2 * n_in)


def _width(d: DescriptorContent) -> int:
    """Count the features of a descriptor."""
    width = next((net[-1].w.shape[1] for net in d.nets if net), 0)
    return width * d.axis_width if d.kind == "se_e2_a" else width


def _descriptor(d: DescriptorContent, typed: TypedNets, vectors: np.ndarray, file: str) -> DescriptorContent:
    every = range(len(vectors))
    centers = [0] if typed.one_side else every
    beside = [
        [np.concatenate([vectors[b]] if typed.one_side else [vectors[b], vectors[c]]) for c in centers] for b in every
    ]
    if typed.gate:
        rows = applied(typed.gate, np.array([v for of_neighbor in beside for v in of_neighbor]), file)
        gates = rows.reshape(len(vectors), len(centers), -1).transpose(1, 0, 2)  # centre first
        shape = (len(vectors), *gates.shape[1:])
        return replace(d, nets=(typed.net,), gates=np.broadcast_to(gates, shape).copy(), smooth=typed.smooth)
    where = "the embedding net (1 + type vectors = neuron[0])"
    nets = (_with_bias(typed.net, slice(1, None), v, where, file) for of_neighbor in beside for v in of_neighbor)
    return replace(d, nets=tuple(nets))


def _with_bias(net: Net, rows: slice, vector: np.ndarray, where: str, file: str) -> Net:
    """Fold a constant `vector`, those rows of a net's input, into the bias of its first layer."""
    first = net[0]
    if _skips(first):
        raise ModelFileError(
            "deepmd-network-unsupported",
            f"{file}: a skip connection carries the type vectors past the first layer of {where}, which dp-sim does "
            f"not support; train with another width there",
        )
    taken = first.w[rows]
    if taken.shape[0] != len(vector):
        raise ModelFileError(
            "deepmd-contradiction",
            f"{file}: {where} takes {first.w.shape[0]} numbers, which its type vectors contradict",
        )
    left = np.delete(first.w, np.arange(first.w.shape[0])[rows], axis=0)
    return (replace(first, w=left, b=first.b + vector @ taken, resnet=False), *net[1:])


def _fitting(fitting: FittingContent, columns: list[tuple[int, np.ndarray]], n_types: int, file: str) -> FittingContent:
    """Make one net for each species, without the type vectors at `columns` of its input."""
    shared = len(fitting.nets) == 1
    nets = fitting.nets * n_types if shared else fitting.nets
    bias = fitting.bias.copy()
    if shared and any(fitting.vacuum):  # the energy without neighbours; DeePMD-kit takes vectors of zeros for it
        bias -= applied(nets[0], np.zeros((1, nets[0][0].w.shape[0])), file)[0, 0]
    folded = []
    for c, net in enumerate(nets):
        for start, vectors in reversed(columns):
            where = "the fitting net"
            net = _with_bias(net, slice(start, start + vectors.shape[1]), vectors[c], where, file)
        folded.append(net)
    return replace(fitting, nets=tuple(folded), bias=bias, vacuum=() if shared else fitting.vacuum)
