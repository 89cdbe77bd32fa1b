"""Export a dp-sim model to DeePMD-kit's form, with the same numbers.

There the rows of R~ are (s/d0, s x/r/d1, ...) with deviations d per species c of the centre, sums over neighbours are
divided by n = sum(sel), and the nets take s/d0. Here the rows are (s/a0, s x/r/a1, ...), the sums are not divided, and
the nets take (s - m)/v. With

    d0_c = q v_c,     d1_c = a1_c / (n k_c),     first embedding layer:  w' = q w,  b' = b - w m/v
    k_c = a0_c / (n d0_c),   T' = k_c T,   D' = k_c^2 D,   first fitting layer:  w' = w / k_c^2

the energy is the same for any q. It is chosen such that the k_c are near 1. If each centre has nets of its own, q may
depend on c, and all k_c are 1. A skip connection adds its input to its output. So where the first layer of a net has
one, the input of that net must not change (embedding: q = 1 and m = 0; fitting: k_c = 1).
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dp_sim.config.model import DeepmdPart, ModelConfig
from dp_sim.datasets.reading import read_frames
from dp_sim.deepmd.reading.activations import ACTIVATIONS
from dp_sim.deepmd.reading.content import (
    DescriptorContent,
    FittingContent,
    Layer,
    ModelContent,
    skip_without_tensorflow,
)
from dp_sim.deepmd.writing import tree, write_hdf5, write_yaml
from dp_sim.descriptors.deepmd_kit import DeepmdKitDescriptor, Hybrid
from dp_sim.descriptors.smooth import SmoothDescriptor
from dp_sim.descriptors.tabulated import TabulatedDeepmdKit
from dp_sim.errors import InputError
from dp_sim.files import atomic_path
from dp_sim.model.evaluator import Model, eager_model
from dp_sim.model.model_file import load_model, read_metadata
from dp_sim.model.potential import DeepPotential
from dp_sim.neighbors.pairs import find_pairs
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.species import species_index

Net = tuple[Layer, ...]
#: k_c this near to 1 is 1: rounding of the division that made it.
ROUNDING = 1e-14


def export_model(
    path: str | os.PathLike[str], target: str | os.PathLike[str], sel: tuple[int, ...] = ()
) -> ModelContent:
    """Write a dp-sim model file as DeePMD-kit's `.dp` or `.yaml`.

    Parameters
    ----------
    path
        The model file.
    target
        The file to write; its suffix selects the form.
    sel
        Largest number of neighbours of each species. An imported model has its own; others are possible where the
        energy does not depend on them.

    Returns
    -------
    ModelContent
        What was written.

    Raises
    ------
    InputError
        The model uses what DeePMD-kit does not have (the message says what), `sel` is missing or of the wrong length,
        or the target has another suffix.
    """
    from dp_sim import __version__

    target = Path(target)
    writers = {".dp": write_hdf5, ".yaml": write_yaml}
    if target.suffix not in writers:
        raise InputError(
            "target-suffix", f"cannot export to {target}: give a name in .dp or .yaml, which dp convert-backend reads"
        )
    model = load_model(path)
    if len(model.members) > 1:
        raise InputError(
            "committee-not-exported",
            f"{path} is a committee of {len(model.members)}, and DeePMD-kit has one model in a file; export its "
            f"members one by one: {model.files[0]}, ...",
        )
    content = to_content(model, sel, str(path))
    with atomic_path(target) as temporary:
        writers[target.suffix](temporary, tree(content, __version__))
    skip = skip_without_tensorflow(content.fitting.nets)
    if skip:
        warnings.warn(
            f"{target} has a skip connection {skip}, which DeePMD-kit leaves out of a .pb without a word: convert it "
            f"to .pth, or train with other widths",
            stacklevel=2,
        )
    return content


def sel_from_structures(path: str | os.PathLike[str], files: Sequence[str]) -> tuple[int, ...]:
    """Choose `sel` from structures: the most neighbours of each species that an atom has there, and a third more.

    Parameters
    ----------
    path
        The model file, for its cutoff and species.
    files
        Files of structures, as dense as those to be simulated.
    """
    metadata = read_metadata(Path(path))
    frames = [frame for file in files for frame in read_frames(file, labelled=False)]
    search = NeighborSearch(metadata.cutoff)
    most = np.zeros(len(metadata.species), dtype=np.int64)
    for frame in frames:
        species = species_index(frame.numbers, metadata.species, frame.name)
        pairs = find_pairs(frame, species, search, frame.name)
        keys = pairs.center * len(most) + pairs.species[pairs.neighbor]
        counts = torch.bincount(keys, minlength=len(species) * len(most)).view(-1, len(most))
        most = np.maximum(most, counts.amax(0).numpy())
    return tuple(math.ceil(4 / 3 * max(int(n), 1)) for n in most)


def to_content(model: Model, sel: tuple[int, ...], file: str) -> ModelContent:
    """Describe an opened model in DeePMD-kit's terms.

    Parameters
    ----------
    model
        The model, trained here or imported.
    sel
        Largest number of neighbours of each species; empty to keep that of an imported model.
    file
        Name of the model file, for errors.

    Raises
    ------
    InputError
        As `export_model`.
    """
    if model.metadata.config.get("switch") == "cosine":
        raise InputError(
            "export-unsupported",
            f"{file} has the cosine switch, which DeePMD-kit does not have; train with switch: polynomial",
        )
    config = ModelConfig.model_validate(model.metadata.config)
    if config.descriptor not in ("deeppot-se", "deepmd-kit"):
        raise InputError(
            "export-unsupported",
            f"{file} has the descriptor {config.descriptor}, which DeePMD-kit does not have in this form",
        )
    potential = eager_model(model).double()
    fitting = _fitting_nets(potential, _activation(config.activation, file))
    if any(part.kind == "se_e3" or part.shared_sel for part in config.parts):
        kind = next("DPA-1" if part.shared_sel else "se_e3" for part in config.parts)
        raise InputError(
            "export-unsupported", f"{file} was imported and has the descriptor {kind}; take the file that it came from"
        )
    modules: list[Any] = (
        list(potential.descriptor.parts) if isinstance(potential.descriptor, Hybrid) else [potential.descriptor]
    )
    parts = tuple(_resized(part, sel, file) for part in config.parts) or (_own_part(config, sel, file),)
    descriptors, start = [], 0
    for module, part in zip(modules, parts, strict=True):
        descriptor, factors = _descriptor(module, part, fitting, config.precision, file)
        for index, factor in enumerate(factors):  # the columns of the first fitting layer that read this part
            fitting[index][0].w[start : start + module.n_features] *= factor
        start += module.n_features
        descriptors.append(descriptor)
    return ModelContent(
        config.species,
        tuple(descriptors),
        FittingContent(tuple(fitting), potential.fitting.bias.numpy().copy(), precision=config.precision),
        np.zeros(len(config.species)),
        excluded_pairs=parts[0].dropped,
    )


def _resized(part: DeepmdPart, sel: tuple[int, ...], file: str) -> DeepmdPart:
    """Give a part of an imported model another `sel`, where empty slots contribute nothing to the energy."""
    if not sel:
        return part
    if len(sel) != len(part.sel) or min(sel) < 1:
        raise InputError("sel-invalid", f"{file}: --sel takes {len(part.sel)} numbers above zero, got {list(sel)}")
    if part.shifted or part.kind != "se_e2_a":
        cause = "its environment has a mean" if part.shifted else f"its descriptor is {part.kind}"
        raise InputError(
            "sel-fixed",
            f"{file} was imported with sel {list(part.sel)}, and its numbers depend on it, for {cause}; leave --sel "
            f"and --data out",
        )
    return part.model_copy(update={"sel": sel})


def _own_part(config: ModelConfig, sel: tuple[int, ...], file: str) -> DeepmdPart:
    """Write the settings of a model trained here under DeePMD-kit's names."""
    if len(sel) != len(config.species) or min(sel, default=0) < 1:
        raise InputError(
            "sel-missing",
            f"{file}: DeePMD-kit drops neighbours beyond a fixed number for each species; give the most that can "
            f"occur, for {', '.join(config.species)}, as --sel N,N,... or --data FILE with dense structures; "
            f"got {list(sel) or 'none'}",
        )
    return DeepmdPart(
        kind="se_e2_a",
        cutoff=config.cutoff,
        switch_start=config.switch_start,
        embedding=config.embedding,
        axis_width=config.axis_width,
        one_side=config.one_side,
        activation=config.activation,
        sel=sel,
    )


def _activation(name: str, file: str) -> str:
    """Return DeePMD-kit's name of an activation."""
    names = {ours: theirs for theirs, ours in ACTIVATIONS.items() if theirs not in ("gelu_tf", "linear")}
    if name.startswith("silut:"):
        return name
    if name not in names:
        raise InputError(
            "export-unsupported",
            f"{file} has the activation {name}, which DeePMD-kit does not have (its gelu is another)",
        )
    return names[name]


def _layers(net: Any, activation: str) -> Net:
    """Copy the layers of a dp_sim.networks.dense.Network."""
    return tuple(
        Layer(
            layer.weight.detach().numpy().copy(),
            layer.bias.detach().numpy().copy(),
            None if layer.step is None else layer.step.detach().numpy().copy(),
            activation,
            True,
        )
        for layer in net.layers
    )


def _fitting_nets(potential: DeepPotential, activation: str) -> list[Net]:
    nets = []
    lasts: list[Any] = list(potential.fitting.last)
    for net, last in zip(potential.fitting.nets, lasts, strict=True):
        weight, bias = last.weight.detach().numpy().T.copy(), last.bias.detach().numpy().copy()
        nets.append((*_layers(net, activation), Layer(weight, bias, None, "none", False)))
    return nets


def _skips(layer: Layer) -> bool:
    n_in, n_out = layer.w.shape
    return n_out in (n_in, 2 * n_in)


def _descriptor(
    module: torch.nn.Module, part: DeepmdPart, fitting: list[Net], precision: str, file: str
) -> tuple[DescriptorContent, np.ndarray]:
    """Describe a part in DeePMD-kit's terms; return it with 1/k_c^2 (T,), for the first fitting layers."""
    compressed = isinstance(module, TabulatedDeepmdKit)
    if compressed or not isinstance(module, (SmoothDescriptor, DeepmdKitDescriptor)):
        raise InputError("export-unsupported", f"{file} is compressed; export the model that it was compressed from")
    environment, n = module.environment, sum(part.sel)
    mean, deviation = environment.mean.numpy(), environment.deviation.numpy()
    scale, n_types = environment.scale.numpy(), len(part.sel)
    nets = [_layers(net, _activation(part.activation, file)) for net in module.embedding.nets]
    k = np.ones(n_types)
    columns = deviation[:, None]
    if part.kind == "se_e2_a" and not part.shifted:
        ratio = scale[:, 0] / (n * deviation)
        nets, q = _rescaled(nets, mean, deviation, ratio, any(_skips(net[0]) for net in fitting), n_types, file)
        k = ratio / q
        k[np.abs(k - 1.0) < ROUNDING] = 1.0
        if (k != 1.0).any() and any(_skips(net[0]) for net in fitting):
            raise InputError(
                "export-unsupported",
                f"{file}: the first layers of its embedding and fitting nets both have skip connections, so its "
                f"scale cannot be written in DeePMD-kit's form; train with other widths",
            )
        columns, mean = (deviation * q)[:, None], np.zeros(n_types)
    if part.kind == "se_e2_a":
        columns = np.concatenate([columns, scale[:, 1:] / (n * k[:, None])], axis=1)
    means = np.zeros((n_types, n, columns.shape[1]))
    means[:, :, 0] = mean[:, None]
    content = DescriptorContent(
        part.kind,
        part.cutoff,
        part.switch_start,
        part.sel,
        part.axis_width,
        tuple(_their_order(nets, n_types)),
        means,
        np.repeat(columns[:, None, :], n, axis=1),
        part.excluded,
        part.protection,
        precision,
    )
    return content, 1.0 / k**2


def _rescaled(
    nets: list[Net], mean: np.ndarray, deviation: np.ndarray, ratio: np.ndarray, fixed: bool, n_types: int, file: str
) -> tuple[list[Net], np.ndarray]:
    """Make embedding nets that take s/(q v) in place of (s - m)/v; return them with q (T,).

    With `fixed`, the fitting nets allow only k_c = 1, so q = ratio.
    """
    if _skips(nets[0][0]):
        if mean.any():
            raise InputError(
                "export-unsupported",
                f"{file}: the first layer of its embedding nets ({nets[0][0].w.shape[1]} wide) has a skip connection, "
                f"which carries the mean of s; DeePMD-kit has no place for it: train with a first width of 3 or more",
            )
        return nets, np.ones(n_types)
    one_sided = len(nets) == n_types
    if one_sided and fixed and np.ptp(ratio) > ROUNDING * ratio.max():
        nets, one_sided = [net for _ in range(n_types) for net in nets], False
    q = np.full(n_types, np.exp(np.log(ratio).mean())) if one_sided else ratio
    if one_sided and np.ptp(ratio) <= ROUNDING * ratio.max():
        q = ratio
    rescaled = []
    for index, net in enumerate(nets):
        c = 0 if one_sided else index // n_types
        first = replace(net[0], w=net[0].w * q[c], b=net[0].b - net[0].w[0] * mean[c] / deviation[c])
        rescaled.append((first, *net[1:]))
    return rescaled, q


def _their_order(nets: list[Net], n_types: int) -> list[Net]:
    """Reorder nets of pairs of species: dp-sim sorts them by centre, DeePMD-kit by neighbour."""
    if len(nets) == n_types:
        return nets
    return [nets[c * n_types + b] for b in range(n_types) for c in range(n_types)]
