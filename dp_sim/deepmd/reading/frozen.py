"""Read PyTorch models of DeePMD-kit without running them: frozen ones (`.pth`) and checkpoints of a training (`.pt`).

Both hold the same tensors, and the model section of the training input. Nothing in either file is executed: of a
`.pth` only the data are read (dp_sim.deepmd.reading.archive), and from a checkpoint torch loads only tensors and plain
values.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dp_sim.deepmd.reading.archive import DAMAGED, read_archive, tensors_of
from dp_sim.deepmd.reading.content import DescriptorContent, FittingContent, Layer, ModelContent, TypedNets
from dp_sim.deepmd.reading.reader import (
    Reader,
    is_stripped,
    pairs_of,
    refuse_attention,
    refuse_kind,
    types_of,
    vacuum_of,
)
from dp_sim.deepmd.reading.serialized import COMPRESSED, KINDS, NETS, TYPED
from dp_sim.deepmd.reading.tensors import Tensors
from dp_sim.errors import ModelFileError, first_line

#: Attributes of a frozen model that follow from its settings: masks of excluded pairs, and where sel takes a part's
#: neighbours from.
_DERIVED = ("emask.type_mask", "pair_excl.type_mask", "atom_excl.type_mask", "sec", "nlist_cut_idx")


def read_frozen(path: Path) -> ModelContent:
    """Read the content of a `.pth` file.

    Raises
    ------
    ModelFileError
        The file is not a frozen model of DeePMD-kit, or holds what dp-sim does not support.
    """
    module = read_archive(path)
    definition = module.attributes.get("model_def_script")
    if not isinstance(definition, str) or not definition:
        raise ModelFileError(
            "model-not-deepmd", f"{path} is a TorchScript file, but no model of DeePMD-kit: it has no model_def_script"
        )
    try:
        settings = json.loads(definition)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            "file-damaged", f"{path}: its model_def_script is no valid JSON ({error}); the file is damaged"
        ) from None
    return _content(settings, tensors_of(module), str(path))


def read_checkpoint(path: Path) -> ModelContent:
    """Read the content of a checkpoint of `dp --pt train` (`model.ckpt.pt`).

    Raises
    ------
    ModelFileError
        The file is not a checkpoint of DeePMD-kit, or holds what dp-sim does not support.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # what torch says here advises to execute it
        raise ModelFileError(
            "file-damaged",
            f"{path} is no checkpoint of DeePMD-kit, or is damaged: it holds something else than tensors and plain "
            f"values, which dp-sim does not execute",
        ) from None
    except DAMAGED as error:
        raise ModelFileError(
            "file-damaged",
            f"{path} is no complete checkpoint of DeePMD-kit (truncated, or of another kind): {first_line(error)}",
        ) from None
    state = checkpoint.get("model", checkpoint) if isinstance(checkpoint, dict) else {}
    extra = state.get("_extra_state") if isinstance(state, dict) else None
    definition = extra.get("model_params") if isinstance(extra, dict) else None
    if not isinstance(definition, dict):
        raise ModelFileError(
            "model-not-deepmd", f"{path} is no checkpoint of DeePMD-kit: it holds no settings (model_params) of a model"
        )
    named = {str(name).removeprefix("model.Default."): value for name, value in state.items()}
    tensors = {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}
    return _content(definition, tensors, str(path))


def _refuse_heads(definition: Any, file: str) -> None:
    if isinstance(definition, dict) and "model_dict" in definition:
        raise ModelFileError(
            "deepmd-multi-task", f"{file} is a multi-task model; freeze one of its heads (dp --pt freeze --head NAME)"
        )


def _content(definition: dict[str, Any], state: Mapping[str, torch.Tensor], file: str) -> ModelContent:
    model, tensors = Reader(definition, "", file), Tensors(state, file)
    _refuse_heads(definition, file)
    kind = model.text("type", "standard")
    if kind != "standard":
        raise refuse_kind(file, "model", kind, KINDS)
    model.expect("use_srtab", None, hint="dp-sim does not support a pair table (ZBL) at short range")
    model.expect("spin", None, hint="dp-sim does not support models with spins")
    model.expect("modifier", None, hint="dp-sim does not support a modifier (long-range electrostatics)")
    model.expect("type_embedding", None, hint="dp-sim does not support type embedding")
    model.expect("bridging_method", None, hint="dp-sim does not support a pair potential (ZBL) at short range")
    # how the bias was made, which is there itself; what belongs to options that are off; what names the model and says
    # how it was trained
    model.ignore("data_stat_nbatch", "data_stat_protect", "data_bias_nsample", "srtab_add_bias", "preset_out_bias")
    model.ignore("smin_alpha", "sw_rmin", "sw_rmax", "bridging_r_inner", "bridging_r_outer", "compress")
    model.ignore("info", "finetune_head", "model_branch_alias", "resuming", "hessian_mode")
    model.ignore("enable_tf32", "use_compile")
    types = model.names("type_map")
    descriptor = model.child("descriptor")
    parts, prefixes = [descriptor], ["atomic_model.descriptor"]
    if descriptor.get("type") == "hybrid":
        parts = descriptor.children("list")
        descriptor.ignore("trainable", "ntypes", "type_map")
        descriptor.rest()
        prefixes = [f"atomic_model.descriptor.descrpt_list.{i}" for i in range(len(parts))]
    content = ModelContent(
        types,
        tuple(_descriptor(p, tensors, prefix, len(types)) for p, prefix in zip(parts, prefixes, strict=True)),
        _fitting(model.child("fitting_net"), tensors, len(types)),
        tensors.array("atomic_model.out_bias", len(types)).reshape(-1),
        types_of(model, "atom_exclude_types", len(types)),
        pairs_of(model, "pair_exclude_types", len(types)),
        {"software": "deepmd-kit", "version": "unknown", "backend": "PyTorch"},
    )
    model.rest()
    # the shortest distance of the training data, which dp compress wants; and the spread of the labels, with which an
    # energy is not scaled
    tensors.ignore("min_nbor_dist", "atomic_model.out_std")
    tensors.ignore(*(name for name in state if name.rstrip("0123456789").rstrip(".").endswith(_DERIVED)))
    tensors.rest()
    return content


def _descriptor(reader: Reader, tensors: Tensors, prefix: str, n_types: int) -> DescriptorContent:
    kind = reader.text("type")
    if kind in TYPED:
        return _typed(reader, tensors, prefix, n_types)
    if kind not in KINDS:
        raise refuse_kind(reader.file, "descriptor", kind, KINDS)
    form = KINDS[kind]
    prefix = {"se_e2_a": f"{prefix}.sea", "se_e3": f"{prefix}.seat"}.get(form, prefix)
    _refuse_tables(tensors, prefix)
    reader.ignore("neuron", "resnet_dt", "type_one_side")
    activation = reader.text("activation_function", "tanh")
    sel = reader.counts("sel", n_types)
    entries = n_types * sum(sel) * (1 if form == "se_e2_r" else 4)
    return _ended(
        reader,
        DescriptorContent(
            form,
            reader.number("rcut"),
            reader.number("rcut_smth", 0.5),
            sel,
            reader.count("axis_neuron", 8) if form == "se_e2_a" else 1,
            _nets(tensors, f"{prefix}.filter_layers", activation, tuple(n_types**sides for sides in NETS[form])),
            tensors.array(f"{prefix}.mean", entries, ndim=3),
            tensors.array(f"{prefix}.stddev", entries, ndim=3),
            pairs_of(reader, "exclude_types", n_types),
            reader.number("env_protection", 0.0),
            tensors.precision(f"{prefix}.mean"),
        ),
    )


def _refuse_tables(tensors: Tensors, prefix: str) -> None:
    names = [name for what in ("compress_info.", "compress_data.") for name in tensors.below(f"{prefix}.{what}")]
    names += tensors.below(f"{prefix}.type_embd_data")
    if any(tensors.get(name).numel() for name in names):  # each is there, and empty, in an uncompressed model too
        raise ModelFileError("deepmd-compressed", f"{tensors.file}: {COMPRESSED}")


def _ended(reader: Reader, content: DescriptorContent) -> DescriptorContent:
    """Return the content of a descriptor after checking that none of its settings is left unread."""
    reader.expect("spin", None, hint="dp-sim does not support models with spins")
    reader.ignore("precision", "trainable", "set_davg_zero", "seed", "ntypes", "type_map")
    reader.rest()
    return content


def _typed(reader: Reader, tensors: Tensors, prefix: str, n_types: int) -> DescriptorContent:
    """Read DPA-1 without attention; se_atten_v2 is DPA-1 with two of its options fixed."""
    refuse_attention(reader)
    second = reader.text("type") == "se_atten_v2"
    reader.ignore("neuron", "resnet_dt", "tebd_dim", "use_tebd_bias")
    strip = is_stripped(reader, second)
    activation = reader.text("activation_function", "tanh")
    block = f"{prefix}.se_atten"
    _refuse_tables(tensors, block)
    (net,) = _nets(tensors, f"{block}.filter_layers", activation, (1,))
    typed = TypedNets(
        _layers(tensors, f"{prefix}.type_embedding.embedding.embedding_net.layers", "linear"),
        net,
        _nets(tensors, f"{block}.filter_layers_strip", activation, (1,))[0] if strip else (),
        reader.flag("type_one_side", False),
        reader.flag("smooth_type_embedding", True) or second,
        reader.flag("concat_output_tebd", True),
    )
    mean = tensors.array(f"{block}.mean", ndim=3)
    sel = (mean.shape[1],)
    reader.ignore("sel")
    return _ended(
        reader,
        DescriptorContent(
            "se_e2_a",
            reader.number("rcut"),
            reader.number("rcut_smth"),
            sel,
            reader.count("axis_neuron", 16),
            (),
            mean,
            tensors.array(f"{block}.stddev", n_types * sel[0] * 4, ndim=3),
            pairs_of(reader, "exclude_types", n_types),
            reader.number("env_protection", 0.0),
            tensors.precision(f"{block}.mean"),
            typed,
            shared=True,
        ),
    )


def _fitting(reader: Reader, tensors: Tensors, n_types: int) -> FittingContent:
    kind = reader.text("type", "ener")
    if kind not in ("ener", "invar"):
        raise refuse_kind(reader.file, "fitting", kind, KINDS)
    reader.expect("numb_fparam", 0, hint="dp-sim does not support frame parameters (fparam)")
    reader.expect("numb_aparam", 0, hint="dp-sim does not support atomic parameters (aparam)")
    reader.expect("dim_case_embd", 0, hint="dp-sim does not support case embedding, of multi-task models")
    reader.expect("default_fparam", None, hint="dp-sim does not support frame parameters (fparam)")
    reader.expect("use_aparam_as_mask", False, hint="dp-sim does not support atomic parameters (aparam)")
    reader.ignore("neuron", "resnet_dt", "seed", "trainable", "rcond", "layer_name", "precision", "type_map", "ntypes")
    reader.ignore("mixed_types", "dim_descrpt", "embedding_width")
    prefix = "atomic_model.fitting_net"
    content = FittingContent(
        _nets(tensors, f"{prefix}.filter_layers", reader.text("activation_function", "tanh"), (n_types, 1), last=True),
        tensors.array(f"{prefix}.bias_atom_e", n_types).reshape(-1),
        vacuum_of(reader, n_types),
        types_of(reader, "exclude_types", n_types),
        tensors.precision(f"{prefix}.filter_layers.networks.0.layers.0.matrix"),
    )
    reader.rest()
    return content


def _nets(
    tensors: Tensors, prefix: str, activation: str, numbers: tuple[int, ...], last: bool = False
) -> tuple[tuple[Layer, ...], ...]:
    """Read nets from the tensors `prefix.networks.NET.layers.LAYER.matrix`; there must be as many as one of `numbers`.

    With `last`, the last layer of each is linear.
    """
    tensors.twins(f"{prefix}._networks.", of=f"{prefix}.networks.")
    nets: list[tuple[Layer, ...]] = []
    while f"{prefix}.networks.{len(nets)}.layers.0.matrix" in tensors:
        layers = _layers(tensors, f"{prefix}.networks.{len(nets)}.layers", activation)
        if last:
            layers = (*layers[:-1], replace(layers[-1], activation="none", resnet=False))
        nets.append(layers)
    if len(nets) not in numbers:
        expected = " or ".join(str(n) for n in numbers)
        raise ModelFileError(
            "deepmd-contradiction",
            f"{tensors.file}: it holds {len(nets)} nets under '{prefix}.networks'; expected {expected}",
        )
    return tuple(nets)


def _layers(tensors: Tensors, prefix: str, activation: str) -> tuple[Layer, ...]:
    """Read the layers `prefix.LAYER`, which have skip connections wherever their widths allow them."""
    layers: list[Layer] = []
    while f"{prefix}.{len(layers)}.matrix" in tensors:
        name = f"{prefix}.{len(layers)}"
        w = tensors.array(f"{name}.matrix", ndim=2)
        b = tensors.array(f"{name}.bias", ndim=1) if f"{name}.bias" in tensors else np.zeros(w.shape[1])
        idt = tensors.array(f"{name}.idt", ndim=1) if f"{name}.idt" in tensors else None
        layers.append(Layer(w, b, idt, activation, True))
    return tuple(layers)
