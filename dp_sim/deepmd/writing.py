"""Write the content of a model in DeePMD-kit's serialised form, `.dp` or `.yaml`, as `dp convert-backend` reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from dp_sim.deepmd.reading.content import DescriptorContent, FittingContent, Layer, ModelContent

Nets = tuple[tuple[Layer, ...], ...]


def tree(content: ModelContent, version: str) -> dict[str, Any]:
    """Make the content of a file as nested mappings, with arrays under the keys "@variables".

    Parameters
    ----------
    content
        The model; without type vectors.
    version
        Of dp-sim, which the file names as its writer.
    """
    descriptors = [_descriptor(d, content.types) for d in content.descriptors]
    hybrid = {"@class": "Descriptor", "type": "hybrid", "@version": 1, "list": descriptors}
    n_types = len(content.types)
    return {
        "software": "dp-sim",
        "version": version,
        "backend": "dp-sim",
        "model": {
            "@class": "Model",
            "@version": 2,
            "type": "standard",
            "type_map": list(content.types),
            "atom_exclude_types": list(content.excluded_atoms),
            "pair_exclude_types": [list(pair) for pair in content.excluded_pairs],
            "rcond": None,
            "preset_out_bias": None,
            "@variables": {
                "out_bias": content.bias.reshape(1, n_types, 1),
                "out_std": np.ones((1, n_types, 1)),
            },
            "descriptor": descriptors[0] if len(descriptors) == 1 else hybrid,
            "fitting": _fitting(content.fitting, content.types),
        },
        "model_def_script": _definition(content),
        "@variables": {},
    }


def _descriptor(d: DescriptorContent, types: tuple[str, ...]) -> dict[str, Any]:
    angular = {"axis_neuron": d.axis_width} if d.kind == "se_e2_a" else {}
    return {
        "@class": "Descriptor",
        "type": "se_e2_a" if d.kind == "se_e2_a" else "se_r",
        "@version": 2,
        **_descriptor_settings(d, len(types)),
        **angular,
        "trainable": True,
        "spin": None,
        "env_mat": {"rcut": d.cutoff, "rcut_smth": d.switch_start, "protection": d.protection, "use_exp_switch": False},
        "embeddings": _collection(d.nets, len(types), "embedding_network", d.precision),
        "@variables": {"davg": d.mean.astype(d.precision), "dstd": d.deviation.astype(d.precision)},
        "type_map": list(types),
    }


def _descriptor_settings(d: DescriptorContent, n_types: int) -> dict[str, Any]:
    """List the settings that have the same names in a training input."""
    return {
        "rcut": d.cutoff,
        "rcut_smth": d.switch_start,
        "sel": list(d.sel),
        "neuron": _widths(d.nets[0]),
        "resnet_dt": _has_steps(d.nets),
        "type_one_side": len(d.nets) == n_types,
        "exclude_types": [list(pair) for pair in d.excluded],
        "env_protection": d.protection,
        "set_davg_zero": not d.mean.any(),
        "activation_function": d.nets[0][0].activation,
        "precision": d.precision,
    }


def _fitting(fitting: FittingContent, types: tuple[str, ...]) -> dict[str, Any]:
    first = fitting.nets[0]
    empty = {"fparam_avg": None, "fparam_inv_std": None, "aparam_avg": None, "aparam_inv_std": None, "case_embd": None}
    return {
        "@class": "Fitting",
        "@version": 4,
        "type": "ener",
        "var_name": "energy",
        "dim_out": 1,
        "ntypes": len(types),
        "dim_descrpt": first[0].w.shape[0],
        "neuron": _widths(first[:-1]),
        "resnet_dt": _has_steps(fitting.nets),
        "numb_fparam": 0,
        "numb_aparam": 0,
        "dim_case_embd": 0,
        "default_fparam": None,
        "activation_function": first[0].activation,
        "precision": fitting.precision,
        "mixed_types": False,
        "nets": _collection(fitting.nets, len(types), "fitting_network", fitting.precision),
        "rcond": None,
        "exclude_types": list(fitting.excluded),
        "@variables": {"bias_atom_e": fitting.bias.reshape(-1, 1), **empty},
        "type_map": list(types),
        "tot_ener_zero": False,
        "trainable": [True] * len(first),
        "layer_name": None,
        "use_aparam_as_mask": False,
        "spin": None,
        "atom_ener": [],
    }


def _widths(net: tuple[Layer, ...]) -> list[int]:
    return [layer.w.shape[1] for layer in net]


def _has_steps(nets: Nets) -> bool:
    return any(layer.idt is not None for net in nets for layer in net)


def _collection(nets: Nets, n_types: int, kind: str, precision: str) -> dict[str, Any]:
    return {
        "@class": "NetworkCollection",
        "@version": 1,
        "ndim": 1 if len(nets) == n_types else 2,
        "ntypes": n_types,
        "network_type": kind,
        "networks": [_network(net, kind, precision) for net in nets],
    }


def _network(net: tuple[Layer, ...], kind: str, precision: str) -> dict[str, Any]:
    embedding = kind == "embedding_network"
    shared = {
        "in_dim": net[0].w.shape[0],
        "neuron": _widths(net if embedding else net[:-1]),
        "activation_function": net[0].activation,
        "resnet_dt": _has_steps((net,)),
        "precision": precision,
        "layers": [_layer(layer, precision) for layer in net],
    }
    if embedding:
        return {"@class": "EmbeddingNetwork", "@version": 2, **shared, "bias": True}
    return {"@class": "FittingNetwork", "@version": 1, **shared, "out_dim": 1, "bias_out": True}


def _layer(layer: Layer, precision: str) -> dict[str, Any]:
    idt = None if layer.idt is None else layer.idt.astype(precision)
    return {
        "@class": "Layer",
        "@version": 2,
        "bias": True,
        "use_timestep": idt is not None,
        "activation_function": layer.activation,
        "resnet": layer.resnet,
        "precision": precision,
        "trainable": True,
        "@variables": {"w": layer.w.astype(precision), "b": layer.b.astype(precision), "idt": idt},
    }


def _definition(content: ModelContent) -> dict[str, Any]:
    """Make the model section of a training input for a model of this form."""
    parts = []
    for d in content.descriptors:
        angular = {"axis_neuron": d.axis_width} if d.kind == "se_e2_a" else {}
        parts.append({"type": d.kind, **_descriptor_settings(d, len(content.types)), **angular})
    first = content.fitting.nets[0]
    return {
        "type_map": list(content.types),
        "descriptor": parts[0] if len(parts) == 1 else {"type": "hybrid", "list": parts},
        "fitting_net": {
            "type": "ener",
            "neuron": _widths(first[:-1]),
            "resnet_dt": _has_steps(content.fitting.nets),
            "activation_function": first[0].activation,
            "precision": content.fitting.precision,
        },
        "atom_exclude_types": list(content.excluded_atoms),
        "pair_exclude_types": [list(pair) for pair in content.excluded_pairs],
    }


def write_hdf5(path: Path, data: dict[str, Any]) -> None:
    """Write a `.dp` file: arrays as data sets, the rest as one JSON attribute that points to them."""
    with h5py.File(path, "w") as file:

        def store(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: store(item) for key, item in value.items()}
            if isinstance(value, list):
                return [store(item) for item in value]
            if isinstance(value, np.ndarray):
                return file.create_dataset(f"variable_{len(file):04d}", data=value).name
            return value

        file.attrs["json"] = json.dumps(store(data), separators=(",", ":"))


def write_yaml(path: Path, data: dict[str, Any]) -> None:
    """Write a `.yaml` file: arrays as lists with their type."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        if isinstance(value, np.ndarray):
            kind = {"@class": "np.ndarray", "@is_variable": True, "@version": 1}
            return {**kind, "dtype": value.dtype.name, "value": value.tolist()}
        return value

    path.write_text(yaml.safe_dump(plain(data)), encoding="utf-8")
