"""Convert the content of a DeePMD-kit model to settings and network of dp-sim, with the same numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dp_sim.config.model import DeepmdPart, ModelConfig
from dp_sim.deepmd.reading.activations import activation_name
from dp_sim.deepmd.reading.content import DescriptorContent, FittingContent, Layer, ModelContent
from dp_sim.deepmd.typed import without_types
from dp_sim.errors import ModelFileError
from dp_sim.model.potential import DTYPES, DeepPotential, set_precision

State = dict[str, Tensor]


def to_model(content: ModelContent, species: tuple[str, ...], file: str) -> tuple[ModelConfig, DeepPotential]:
    """Make settings and network from the content of a DeePMD-kit model.

    Parameters
    ----------
    content
        What the file holds.
    species
        Element symbols of the types, in their order.
    file
        Its name, for errors.

    Returns
    -------
    ModelConfig
        Settings.
    DeepPotential
        The network, in the precision of the file.

    Raises
    ------
    ModelFileError
        The file holds what dp-sim does not support, or contradicts itself.
    """
    content = without_types(content, file)
    fitting = content.fitting
    hidden = [net[:-1] for net in fitting.nets]
    if not all(hidden):
        raise ModelFileError(
            "deepmd-network-unsupported", f"{file}: a fitting net has no hidden layer; dp-sim needs one"
        )
    precisions = {fitting.precision, *(d.precision for d in content.descriptors)}
    if not precisions <= set(DTYPES):
        raise ModelFileError(
            "deepmd-precision-unsupported",
            f"{file}: its precision is {', '.join(sorted(precisions))}; dp-sim runs float32 and float64",
        )
    config = ModelConfig(
        descriptor="deepmd-kit",
        species=species,
        cutoff=max(d.cutoff for d in content.descriptors),
        parts=tuple(_part(d, content.excluded_pairs, len(species), file) for d in content.descriptors),
        fitting=_widths(hidden[0]),
        activation=_shared_activation(hidden, file),
        residual_timestep=_has_steps(hidden[0]),
        precision="float32" if precisions == {"float32"} else "float64",
    )
    model = DeepPotential(config.model_copy(update={"precision": "float64"}))
    state: State = {}
    for index, descriptor in enumerate(content.descriptors):
        prefix = "descriptor" if len(content.descriptors) == 1 else f"descriptor.parts.{index}"
        state |= _descriptor_state(descriptor, prefix, len(species), file)
    state |= _fitting_state(fitting, content)
    _load(model, state, file)
    _fix_bias(model, content)
    set_precision(model, DTYPES[config.precision])
    return config, model


def _part(d: DescriptorContent, dropped: tuple[tuple[int, int], ...], n_species: int, file: str) -> DeepmdPart:
    nets = [net for net in d.nets if net]
    if not nets:
        raise ModelFileError(
            "deepmd-incomplete", f"{file}: its descriptor holds no embedding nets; the file is not complete"
        )
    if not (0 <= d.switch_start < d.cutoff and d.protection >= 0):
        raise ModelFileError(
            "deepmd-contradiction",
            f"{file}: its cutoff {d.cutoff}, switch from {d.switch_start} and protection {d.protection} contradict "
            f"each other; expected 0 <= rcut_smth < rcut and no negative protection",
        )
    return DeepmdPart(
        kind=d.kind,
        cutoff=d.cutoff,
        switch_start=d.switch_start,
        embedding=_widths(nets[0]),
        axis_width=d.axis_width,
        one_side=len(d.nets) == n_species,
        residual_timestep=_has_steps(nets[0]),
        activation=_shared_activation(nets, file),
        sel=d.sel,
        excluded=d.excluded,
        dropped=dropped,
        protection=d.protection,
        shared_sel=d.shared,
        gates="none" if d.gates is None else "smooth" if d.smooth else "constant",
        shifted=d.kind != "se_e3" and bool(d.mean.any()),
    )


def _widths(net: tuple[Layer, ...]) -> tuple[int, ...]:
    return tuple(layer.w.shape[1] for layer in net)


def _has_steps(net: tuple[Layer, ...]) -> bool:
    return any(layer.idt is not None for layer in net)


def _shared_activation(nets: list[tuple[Layer, ...]], file: str) -> str:
    """Return the activation that all layers share; check that no skip connection that the widths allow is missing."""
    names = {layer.activation for net in nets for layer in net}
    if len(names) > 1:
        raise ModelFileError(
            "deepmd-network-unsupported", f"{file}: its nets mix activation functions ({', '.join(sorted(names))})"
        )
    for net in nets:
        for layer in net:
            n_in, n_out = layer.w.shape
            if n_out in (n_in, 2 * n_in) and not layer.resnet:
                raise ModelFileError(
                    "deepmd-network-unsupported",
                    f"{file}: a layer {n_in} to {n_out} has no skip connection; dp-sim expects one",
                )
    return activation_name(names.pop(), file)


def _net_state(net: tuple[Layer, ...], prefix: str) -> State:
    state: State = {}
    for index, layer in enumerate(net):
        name = f"{prefix}.layers.{index}"
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.tensor(layer.w), torch.tensor(layer.b)
        if layer.idt is not None:
            state[f"{name}.step"] = torch.tensor(layer.idt)
    return state


def _descriptor_state(d: DescriptorContent, prefix: str, n_species: int, file: str) -> State:
    """Collect statistics and embedding nets; the division by sum(sel) goes into the scale of the rows."""
    mean, deviation = _per_species(d.mean, "mean", file), _per_species(d.deviation, "deviation", file)
    scale = np.ones((n_species, 4))
    if d.kind != "se_e2_r":
        if mean[:, 1:].any() or np.ptp(deviation[:, 1:], axis=1).any():
            raise ModelFileError(
                "deepmd-not-invariant",
                f"{file}: its statistics prefer a direction of space, so the model is not invariant",
            )
        scale = deviation * (sum(d.sel) if d.kind == "se_e2_a" else 1)
    else:
        scale[:, 0] = 5.0 * sum(d.sel)  # DeePMD-kit divides se_e2_r by the number of slots, and by 5
    state = {
        f"{prefix}.environment.mean": torch.tensor(mean[:, 0]),
        f"{prefix}.environment.deviation": torch.tensor(deviation[:, 0]),
        f"{prefix}.environment.scale": torch.tensor(scale),
    }
    if d.kind == "se_e3":
        used = [d.nets[b + c * n_species] for b in range(n_species) for c in range(b, n_species)]
        for index, net in enumerate(used):
            state |= _net_state(net or _cleared(d.nets), f"{prefix}.nets.{index}")
        return state
    if d.gates is not None:
        gates = {f"{prefix}.embedding.gates": torch.tensor(d.gates)}
        return state | _net_state(d.nets[0], f"{prefix}.embedding.nets.0") | gates
    for index in range(len(d.nets)):
        center, neighbor = divmod(index, n_species)
        net = d.nets[index if len(d.nets) == n_species else neighbor * n_species + center]
        state |= _net_state(net or _cleared(d.nets), f"{prefix}.embedding.nets.{index}")
    return state


def _cleared(nets: tuple[tuple[Layer, ...], ...]) -> tuple[Layer, ...]:
    """Make a net of zeros, as wide as the others, in place of one that the file leaves out (for an excluded pair)."""
    alike = next(net for net in nets if net)
    return tuple(
        replace(layer, w=0 * layer.w, b=0 * layer.b, idt=None if layer.idt is None else 0 * layer.idt)
        for layer in alike
    )


def _per_species(values: np.ndarray, what: str, file: str) -> np.ndarray:
    """Take one row per species, (T, sum(sel), columns) -> (T, columns); slots of a species have equal statistics."""
    if np.ptp(values, axis=1).max(initial=0.0) > 1e-12 * np.abs(values).max(initial=1e-300):
        raise ModelFileError(
            "deepmd-contradiction", f"{file}: the {what} of its environment differs among slots of one species"
        )
    return values[:, 0]


def _fitting_state(fitting: FittingContent, content: ModelContent) -> State:
    state: State = {"fitting.bias": torch.tensor(fitting.bias + content.bias)}
    for index, net in enumerate(fitting.nets):
        state |= _net_state(net[:-1], f"fitting.nets.{index}")
        state[f"fitting.last.{index}.weight"] = torch.tensor(net[-1].w.T.copy())
        state[f"fitting.last.{index}.bias"] = torch.tensor(net[-1].b)
    return state


def _load(model: DeepPotential, state: State, file: str) -> None:
    """Load every weight from the file; what the settings fix (sel, excluded pairs, no gates) is there already."""
    own = model.state_dict()
    fixed = {name for name in own if name.rpartition(".")[2] in ("sel", "allowed", "taking", "gates")}
    if set(state) | fixed != set(own):
        odd = sorted(set(state) ^ (set(own) - fixed))[0]
        raise ModelFileError(
            "deepmd-contradiction", f"{file}: its nets differ in their layers ('{odd}'); dp-sim expects them alike"
        )
    for name, value in state.items():
        if value.shape != own[name].shape:
            raise ModelFileError(
                "deepmd-contradiction",
                f"{file}: '{name}' is {tuple(value.shape)}, where its other nets make {tuple(own[name].shape)}",
            )
    model.load_state_dict({**own, **state})


@torch.no_grad()
def _fix_bias(model: DeepPotential, content: ModelContent) -> None:
    """Set the bias for vacuum energies and for species without energy: both are constants of a species."""
    fitting = content.fitting
    empty = torch.zeros(len(content.types), model.descriptor.n_features, dtype=torch.float64)
    vacuum = model.fitting.net_energies(empty, torch.arange(len(content.types)))
    for index, fixed in enumerate(fitting.vacuum):
        if fixed:
            model.fitting.bias[index] -= vacuum[index]
    for index in {*fitting.excluded, *content.excluded_atoms}:
        for parameter in model.fitting.last[index].parameters():
            parameter.zero_()
        model.fitting.bias[index] = 0.0 if index in content.excluded_atoms else float(content.bias[index])
