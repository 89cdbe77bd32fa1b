"""Frozen PyTorch models of DeePMD-kit (`.pth`), read without running them.

A `.pth` is a TorchScript archive. Opening one parses its code and runs none of it; what is read afterwards are tensors
(`state_dict`) and one string (`model_def_script`, the model section of the training input, as JSON). No method of the
archive is ever called.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from dp_sim.deepmd.reading.content import (
    DescriptorContent,
    FittingContent,
    Layer,
    ModelContent,
    Reader,
    pairs_of,
    refuse_kind,
    types_of,
    vacuum_of,
)
from dp_sim.deepmd.reading.serialized import COMPRESSED, KINDS, NETS
from dp_sim.deepmd.reading.tensors import Tensors
from dp_sim.errors import ModelFileError, first_line
from dp_sim.model.model_file import DAMAGED

#: Operators that the archives name, for tables of compressed models; torch refuses to open them undeclared.
_SCHEMAS = {
    "tabulate_fusion_se_a": (
        "(Tensor table, Tensor table_info, Tensor em_x, Tensor em, int last_layer_size) -> Tensor[]"
    ),
    "tabulate_fusion_se_r": "(Tensor table, Tensor table_info, Tensor em_x, int last_layer_size) -> Tensor[]",
    "tabulate_fusion_se_t": (
        "(Tensor table, Tensor table_info, Tensor em_x, Tensor em, int last_layer_size) -> Tensor[]"
    ),
}


@cache
def _declare_operators() -> torch.library.Library:
    """Names and signatures alone, so that archives open; nothing stands behind them."""
    library = torch.library.Library("deepmd", "FRAGMENT")
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.deepmd, name):  # deepmd-kit itself may be loaded
            library.define(f"{name}{schema}")
    return library


def read_frozen(path: Path) -> ModelContent:
    """A `.pth` file -> its content; ModelFileError for what is no such file, or is not understood."""
    _declare_operators()
    try:
        module = torch.jit.load(str(path), map_location="cpu")
    except DAMAGED as error:
        raise ModelFileError("file-unreadable", _reason(path, error)) from None
    definition = getattr(module, "model_def_script", None)
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
    return _content(settings, module.state_dict(), str(path))


def _reason(path: Path, error: BaseException) -> str:
    first = first_line(error)
    if "Unknown builtin op" in str(error):
        reason = first.rstrip(".")
        return f"{path}: its descriptor is none that dp-sim reads ({reason}); it reads se_e2_a, se_e2_r and se_e3"
    return f"{path} is no complete TorchScript file (truncated, or of another kind): {first}"


def _content(definition: dict[str, Any], state: Mapping[str, torch.Tensor], file: str) -> ModelContent:
    model, tensors = Reader(definition, "", file), Tensors(state, file)
    if "model_dict" in definition:
        raise ModelFileError(
            "deepmd-multi-task", f"{file} is a multi-task model; freeze one of its heads (dp --pt freeze --head NAME)"
        )
    kind = model.text("type", "standard")
    if kind != "standard":
        raise refuse_kind(file, "model", kind, KINDS)
    model.expect("use_srtab", None, hint="a pair table (ZBL) at short range is not there in dp-sim")
    model.expect("spin", None, hint="models with spins are not there in dp-sim")
    model.expect("modifier", None, hint="a modifier (long-range electrostatics) is not there in dp-sim")
    model.expect("type_embedding", None, hint="type embedding is not there in dp-sim")
    model.ignore("data_stat_nbatch", "data_stat_protect", "data_bias_nsample", "srtab_add_bias", "preset_out_bias")
    model.ignore("smin_alpha", "sw_rmin", "sw_rmax", "compress", "info", "type_map", "finetune_head")
    types = model.names("type_map")
    descriptor = model.child("descriptor")
    parts, prefixes = [descriptor], ["atomic_model.descriptor"]
    if descriptor.get("type") == "hybrid":
        parts = descriptor.children("list")
        descriptor.ignore("trainable")
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
    tensors.rest()
    return content


def _descriptor(reader: Reader, tensors: Tensors, prefix: str, n_types: int) -> DescriptorContent:
    kind = reader.text("type")
    if kind not in KINDS:
        raise refuse_kind(reader.file, "descriptor", kind, KINDS)
    form = KINDS[kind]
    prefix = {"se_e2_a": f"{prefix}.sea", "se_e3": f"{prefix}.seat"}.get(form, prefix)
    tables = [*tensors.below(f"{prefix}.compress_info."), *tensors.below(f"{prefix}.compress_data.")]
    if any(tensors.get(name).numel() for name in tables):  # each is there, and empty, in an uncompressed model too
        raise ModelFileError("deepmd-compressed", f"{reader.file}: {COMPRESSED}")
    reader.expect("spin", None, hint="models with spins are not there in dp-sim")
    reader.ignore("neuron", "resnet_dt", "trainable", "type_one_side", "set_davg_zero", "seed", "ntypes", "type_map")
    activation = reader.text("activation_function", "tanh")
    reader.ignore("precision")
    sel = reader.counts("sel", n_types)
    entries = n_types * sum(sel) * (1 if form == "se_e2_r" else 4)
    content = DescriptorContent(
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
    )
    reader.rest()
    return content


def _fitting(reader: Reader, tensors: Tensors, n_types: int) -> FittingContent:
    kind = reader.text("type", "ener")
    if kind not in ("ener", "invar"):
        raise refuse_kind(reader.file, "fitting", kind, KINDS)
    reader.expect("numb_fparam", 0, hint="frame parameters (fparam) are not there in dp-sim")
    reader.expect("numb_aparam", 0, hint="atomic parameters (aparam) are not there in dp-sim")
    reader.expect("dim_case_embd", 0, hint="case embedding, of multi-task models, is not there in dp-sim")
    reader.expect("default_fparam", None, hint="frame parameters (fparam) are not there in dp-sim")
    reader.expect("use_aparam_as_mask", False, hint="atomic parameters (aparam) are not there in dp-sim")
    reader.ignore("neuron", "resnet_dt", "seed", "trainable", "rcond", "layer_name", "precision", "type_map", "ntypes")
    reader.ignore("mixed_types", "dim_descrpt", "embedding_width")
    prefix = "atomic_model.fitting_net"
    content = FittingContent(
        _nets(tensors, f"{prefix}.filter_layers", reader.text("activation_function", "tanh"), (n_types,), last=True),
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
    """Nets, as many as one of `numbers`, by their tensors `prefix.networks.NET.layers.LAYER.matrix`.

    With `last` the last layer of each is linear.
    """
    tensors.twins(f"{prefix}._networks.", of=f"{prefix}.networks.")
    nets: list[tuple[Layer, ...]] = []
    while f"{prefix}.networks.{len(nets)}.layers.0.matrix" in tensors:
        net = f"{prefix}.networks.{len(nets)}.layers"
        layers: list[Layer] = []
        while f"{net}.{len(layers)}.matrix" in tensors:
            name = f"{net}.{len(layers)}"
            w, b = tensors.array(f"{name}.matrix", ndim=2), tensors.array(f"{name}.bias", ndim=1)
            idt = tensors.array(f"{name}.idt", ndim=1) if f"{name}.idt" in tensors else None
            layers.append(Layer(w, b, idt, activation, True))
        if last:
            final = layers[-1]
            layers[-1] = Layer(final.w, final.b, final.idt, "none", False)
        nets.append(tuple(layers))
    if len(nets) not in numbers:
        expected = " or ".join(str(n) for n in numbers)
        raise ModelFileError(
            "deepmd-contradiction",
            f"{tensors.file}: it holds {len(nets)} nets under '{prefix}.networks'; expected {expected}",
        )
    return tuple(nets)
