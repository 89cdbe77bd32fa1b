"""Frozen PyTorch models of DeePMD-kit (`.pth`), read without running them.

A `.pth` is a TorchScript archive. Opening one parses its code and runs none of it; what is read afterwards are tensors
(`state_dict`) and one string (`model_def_script`, the model section of the training input, as JSON). No method of the
archive is ever called.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dp_sim.deepmd.content import (
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
from dp_sim.deepmd.serialized import COMPRESSED, KINDS
from dp_sim.errors import ModelFileError
from dp_sim.export import DAMAGED, first_line

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
        raise ModelFileError(_reason(path, error)) from None
    definition = getattr(module, "model_def_script", None)
    if not isinstance(definition, str) or not definition:
        raise ModelFileError(f"{path} is a TorchScript file, but no model of DeePMD-kit: it has no model_def_script")
    state = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    try:
        settings = json.loads(definition)
    except ValueError as error:
        raise ModelFileError(f"{path}: its model_def_script is no valid JSON ({error}); the file is damaged") from None
    return _content(settings, state, str(path))


def _reason(path: Path, error: BaseException) -> str:
    first = first_line(error)
    if "Unknown builtin op" in str(error):
        reason = first.rstrip(".")
        return f"{path}: its descriptor is none that dp-sim reads ({reason}); it reads se_e2_a and se_e2_r"
    return f"{path} is no complete TorchScript file (truncated, or of another kind): {first}"


def _content(definition: dict[str, Any], state: dict[str, np.ndarray], file: str) -> ModelContent:
    model = Reader(definition, "", file)
    if "model_dict" in definition:
        raise ModelFileError(f"{file} is a multi-task model; freeze one of its heads (dp --pt freeze --head NAME)")
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
        tuple(_descriptor(p, state, prefix, len(types)) for p, prefix in zip(parts, prefixes, strict=True)),
        _fitting(model.child("fitting_net"), state, len(types)),
        _tensor(state, "atomic_model.out_bias", file, len(types)).reshape(-1),
        types_of(model, "atom_exclude_types", len(types)),
        pairs_of(model, "pair_exclude_types", len(types)),
        {"software": "deepmd-kit", "version": "unknown", "backend": "PyTorch"},
    )
    model.rest()
    return content


def _tensor(
    state: dict[str, np.ndarray], name: str, file: str, size: int | None = None, ndim: int | None = None
) -> np.ndarray:
    """A finite tensor, float64; of so many values or dimensions where they are given."""
    if name not in state:
        raise ModelFileError(f"{file}: it holds no tensor '{name}'; the file is not complete, or of an unknown version")
    value = state[name].astype(np.float64)
    if value.ndim != (value.ndim if ndim is None else ndim) or value.size != (value.size if size is None else size):
        wanted = [f"{size} values"] * (size is not None) + [f"{ndim} dimensions"] * (ndim is not None)
        raise ModelFileError(
            f"{file}: the tensor '{name}' should have {' in '.join(wanted)}; its shape is {value.shape}"
        )
    if not np.isfinite(value).all():
        raise ModelFileError(f"{file}: the tensor '{name}' holds NaN or infinity; the model diverged?")
    return value


def _descriptor(reader: Reader, state: dict[str, np.ndarray], prefix: str, n_types: int) -> DescriptorContent:
    kind = reader.text("type")
    if kind not in KINDS:
        raise refuse_kind(reader.file, "descriptor", kind, KINDS)
    angular = KINDS[kind] == "se_e2_a"
    prefix = f"{prefix}.sea" if angular else prefix
    if any(value.size for name, value in state.items() if name.startswith(f"{prefix}.compress_")):
        raise ModelFileError(f"{reader.file}: {COMPRESSED}")
    reader.expect("spin", None, hint="models with spins are not there in dp-sim")
    reader.ignore("neuron", "resnet_dt", "trainable", "type_one_side", "set_davg_zero", "seed", "ntypes", "type_map")
    activation = reader.text("activation_function", "tanh")
    precision = str(_tensor_dtype(state, f"{prefix}.mean", reader.file))
    reader.ignore("precision")
    sel = reader.counts("sel", n_types)
    entries = n_types * sum(sel) * (4 if angular else 1)
    content = DescriptorContent(
        KINDS[kind],
        reader.number("rcut"),
        reader.number("rcut_smth", 0.5),
        sel,
        reader.count("axis_neuron", 8) if angular else 1,
        _nets(state, f"{prefix}.filter_layers.networks", activation, reader.file, (n_types, n_types**2)),
        _tensor(state, f"{prefix}.mean", reader.file, entries, ndim=3),
        _tensor(state, f"{prefix}.stddev", reader.file, entries, ndim=3),
        pairs_of(reader, "exclude_types", n_types),
        reader.number("env_protection", 0.0),
        precision,
    )
    reader.rest()
    return content


def _tensor_dtype(state: dict[str, np.ndarray], name: str, file: str) -> np.dtype:
    _tensor(state, name, file)
    return state[name].dtype


def _fitting(reader: Reader, state: dict[str, np.ndarray], n_types: int) -> FittingContent:
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
        _nets(
            state,
            f"{prefix}.filter_layers.networks",
            reader.text("activation_function", "tanh"),
            reader.file,
            (n_types,),
            last=True,
        ),
        _tensor(state, f"{prefix}.bias_atom_e", reader.file, n_types).reshape(-1),
        vacuum_of(reader, n_types),
        types_of(reader, "exclude_types", n_types),
        str(_tensor_dtype(state, f"{prefix}.filter_layers.networks.0.layers.0.matrix", reader.file)),
    )
    reader.rest()
    return content


def _nets(
    state: dict[str, np.ndarray], prefix: str, activation: str, file: str, numbers: tuple[int, ...], last: bool = False
) -> tuple[tuple[Layer, ...], ...]:
    """Nets, as many as one of `numbers`, by their tensors `prefix.NET.layers.LAYER.matrix`.

    With `last` the last layer of each is linear.
    """
    nets: list[tuple[Layer, ...]] = []
    while f"{prefix}.{len(nets)}.layers.0.matrix" in state:
        net = f"{prefix}.{len(nets)}.layers"
        layers: list[Layer] = []
        while f"{net}.{len(layers)}.matrix" in state:
            name = f"{net}.{len(layers)}"
            idt = state.get(f"{name}.idt")
            w, b = _tensor(state, f"{name}.matrix", file, ndim=2), _tensor(state, f"{name}.bias", file, ndim=1)
            layers.append(Layer(w, b, None if idt is None else idt.astype(np.float64), activation, True))
        if last:
            final = layers[-1]
            layers[-1] = Layer(final.w, final.b, final.idt, "none", False)
        nets.append(tuple(layers))
    if len(nets) not in numbers:
        expected = " or ".join(str(n) for n in numbers)
        raise ModelFileError(f"{file}: it holds {len(nets)} nets under '{prefix}'; expected {expected}")
    return tuple(nets)
