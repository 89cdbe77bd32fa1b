"""Read DeePMD-kit's serialised models: `.dp` (HDF5 with a JSON attribute that points to data sets) and `.yaml`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from dp_sim.config.safe_yaml import load_yaml
from dp_sim.deepmd.reading.content import (
    DescriptorContent,
    FittingContent,
    Layer,
    ModelContent,
    TypedNets,
    skip_without_tensorflow,
)
from dp_sim.deepmd.reading.reader import (
    Reader,
    changes_nothing,
    is_stripped,
    pairs_of,
    refuse_attention,
    refuse_kind,
    types_of,
    vacuum_of,
)
from dp_sim.errors import ModelFileError, first_line

#: Names of the descriptors in the file, and ours.
KINDS = {
    "se_e2_a": "se_e2_a",
    "se_a": "se_e2_a",
    "se_e2_r": "se_e2_r",
    "se_r": "se_e2_r",
    "se_e3": "se_e3",
    "se_at": "se_e3",
    "se_a_3be": "se_e3",
}
#: DPA-1, which is read where it has no attention.
TYPED = ("dpa1", "se_atten", "se_atten_v2")
#: How many nets a descriptor has for so many species: per neighbour, or per pair of species.
NETS = {"se_e2_a": (1, 2), "se_e2_r": (1, 2), "se_e3": (2,)}
COMPRESSED = (
    "it is a compressed model, which holds tables in place of its embedding nets; import the model that it was "
    "compressed from"
)


def read_hdf5(path: Path) -> dict[str, Any]:
    """Read the tree of a `.dp` file, with data sets in place of their names.

    What the tree does not point to becomes a key of its own at the top, where it is refused as unknown.

    Raises
    ------
    ModelFileError
        The file is not complete.
    """
    try:
        with h5py.File(path, "r") as file:
            beside = {f"the attribute {name}" for name in file.attrs if name != "json"}
            file.visititems(lambda name, item: beside.add(f"/{name}") if isinstance(item, h5py.Dataset) else None)

            def load(name: str) -> np.ndarray:
                beside.discard(file[name].name)
                return np.asarray(file[name][()])

            tree = _resolved(json.loads(file.attrs["json"]), load)
            return {**tree, **dict.fromkeys(sorted(beside), True)}
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ModelFileError(
            "file-damaged", f"{path} is no complete .dp file of DeePMD-kit ({first_line(error)})"
        ) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the tree of a `.yaml` file, with arrays in place of their lists.

    Raises
    ------
    ModelFileError
        The file is not valid YAML, or not complete.
    """
    try:
        tree = load_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ModelFileError("file-damaged", f"{path} is no valid YAML: {first_line(error)}") from None
    if not isinstance(tree, dict):
        raise ModelFileError("model-not-deepmd", f"{path} is no model of DeePMD-kit: it holds no keys")
    try:
        return _resolved(tree, _listed)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(
            "file-damaged", f"{path} holds an array that is not complete ({error}); was the file cut off?"
        ) from None


def _listed(value: Any) -> np.ndarray:
    """Make an array of a `.yaml` file; refuse a mapping with other keys than its type and its values."""
    strange = set(value) - {"@class", "@is_variable", "@version", "dtype", "value"}
    if strange:
        raise ValueError(f"with the unknown key '{min(map(str, strange))}'")
    return np.asarray(value["value"], dtype=value["dtype"])


def _resolved(node: Any, load: Any, variable: bool = False) -> Any:
    """Copy the tree; `load` turns what stands under "@variables" into arrays."""
    if isinstance(node, dict) and not node.get("@is_variable", False):
        return {key: _resolved(value, load, variable or key == "@variables") for key, value in node.items()}
    if isinstance(node, list):
        return [_resolved(value, load, variable) for value in node]
    if isinstance(node, dict) or (variable and isinstance(node, str)):
        return load(node)
    return node


def parse(tree: dict[str, Any], file: str) -> ModelContent:
    """Read the content of a model from the tree of its file.

    Raises
    ------
    ModelFileError
        A key that is not supported; the message names it.
    """
    top = Reader(tree, "", file)
    # date, training input, versions, and the shortest distance in the training data (for dp compress): what determines
    # the energy is in the model itself
    top.ignore("time", "model_def_script", "pt_version", "tf_version", "jax_version", "paddle_version", "min_nbor_dist")
    outside = Reader(top.get("@variables", {}), "@variables", file)
    outside.ignore("min_nbor_dist")
    outside.rest()
    origin = {key: str(top.get(key, "unknown")) for key in ("software", "version", "backend")}
    model = top.child("model")
    if "model_dict" in model.data:
        raise ModelFileError(
            "deepmd-multi-task", f"{file} is a multi-task model; freeze one of its heads (dp --pt freeze --head NAME)"
        )
    kind = model.text("type", "standard")
    if kind != "standard":
        raise refuse_kind(file, "model", kind, KINDS)
    model.expect("@class", "Model", hint="expected a model")
    model.expect("@version", 2, 1, hint="this version of the form is not known to dp-sim")
    types = model.names("type_map")
    model.ignore("rcond", "preset_out_bias")
    variables = model.child("@variables")
    variables.ignore("out_std")  # of the labels; an energy is not scaled with it
    content = ModelContent(
        types,
        tuple(_descriptors(model.child("descriptor"), len(types))),
        _fitting(model.child("fitting"), len(types)),
        variables.array("out_bias", (1, len(types), 1)).reshape(-1),
        types_of(model, "atom_exclude_types", len(types)),
        pairs_of(model, "pair_exclude_types", len(types)),
        origin,
    )
    variables.rest()
    model.rest()
    top.rest()
    skip = skip_without_tensorflow(content.fitting.nets)
    if skip and origin["backend"].lower() == "tensorflow":
        raise ModelFileError(
            "deepmd-contradiction",
            f"{file} was converted from a TensorFlow model, which has no skip connection {skip}; DeePMD-kit's "
            f"conversion adds one, so this file gives other numbers than the .pb: train with other widths, or with the "
            f"PyTorch backend",
        )
    return content


def _descriptors(reader: Reader, n_types: int) -> list[DescriptorContent]:
    if reader.text("type") != "hybrid":
        return [_descriptor(reader, n_types)]
    reader.expect("@class", "Descriptor", hint="expected a descriptor")
    reader.expect("@version", 1, hint="this version of the form is not known to dp-sim")
    parts = [part for child in reader.children("list") for part in _descriptors(child, n_types)]
    reader.rest()
    return parts


def _descriptor(reader: Reader, n_types: int) -> DescriptorContent:
    kind = reader.text("type")
    if kind not in (*KINDS, *TYPED):
        raise refuse_kind(reader.file, "descriptor", kind, (*KINDS, *TYPED))
    if not changes_nothing(reader.get("compress", None)):
        raise ModelFileError("deepmd-compressed", f"{reader.file}: {COMPRESSED}")
    reader.expect("@class", "Descriptor", hint="expected a descriptor")
    reader.expect("@version", 2, 1, 3, hint="this version of the form is not known to dp-sim")
    reader.expect("spin", None, hint="dp-sim does not support models with spins")
    # widths, sides and steps are read from the weights; set_davg_zero says how the mean was made, which is there itself
    reader.ignore("neuron", "resnet_dt", "trainable", "set_davg_zero", "activation_function", "type_map")
    reader.ignore("ntypes", "seed")
    environment = reader.child("env_mat")
    environment.ignore("rcut", "rcut_smth", "protection")
    environment.expect("use_exp_switch", False, hint="dp-sim does not support the exponential switch")
    environment.rest()
    typed = _typed(reader) if kind in TYPED else None
    form = KINDS.get(kind, "se_e2_a")
    sel = reader.counts("sel", n_types) if typed is None else (sum(_of_all_species(reader)),)
    reader.ignore("type_one_side")
    nets = () if typed else _nets(reader.child("embeddings"), tuple(n_types**sides for sides in NETS[form]))
    variables = reader.child("@variables")
    shape = (n_types, sum(sel), 1 if form == "se_e2_r" else 4)
    content = DescriptorContent(
        form,
        reader.number("rcut"),
        reader.number("rcut_smth"),
        sel,
        reader.count("axis_neuron") if form == "se_e2_a" else 1,
        nets,
        variables.array("davg", shape),
        variables.array("dstd", shape),
        pairs_of(reader, "exclude_types", n_types),
        reader.number("env_protection", 0.0),
        reader.precision("precision", _some_weight(reader.data["embeddings"])),
        typed,
        shared=typed is not None,
    )
    variables.rest()
    reader.rest()
    return content


def _of_all_species(reader: Reader) -> tuple[int, ...]:
    """Read `sel` of DPA-1, of which only the sum counts: a number, or a list of any length."""
    sel = reader.get("sel")
    return reader.counts("sel", len(sel)) if isinstance(sel, list) else (reader.count("sel"),)


def _typed(reader: Reader) -> TypedNets:
    """Read DPA-1 without attention."""
    refuse_attention(reader)
    reader.ignore("tebd_dim", "use_tebd_bias", "attention_layers")  # those of no attention are empty
    second = reader.text("type") == "se_atten_v2"
    types = reader.child("type_embedding")
    types.expect("@class", "TypeEmbedNet", hint="expected type vectors")
    types.expect("@version", 2, 1, hint="this version of the form is not known to dp-sim")
    types.expect("use_econf_tebd", False, hint="dp-sim does not support type vectors from electron configurations")
    types.ignore("ntypes", "neuron", "resnet_dt", "precision", "activation_function", "trainable", "padding")
    types.ignore("use_tebd_bias", "type_map")
    strip = is_stripped(reader, second)
    typed = TypedNets(
        _net(types.child("embedding")),
        _nets(reader.child("embeddings"), (1,))[0],
        _nets(reader.child("embeddings_strip"), (1,))[0] if strip else (),
        reader.flag("type_one_side"),
        second or reader.flag("smooth_type_embedding"),
        reader.flag("concat_output_tebd"),
    )
    types.rest()
    return typed


def _fitting(reader: Reader, n_types: int) -> FittingContent:
    kind = reader.text("type")
    if kind not in ("ener", "invar"):
        raise refuse_kind(reader.file, "fitting", kind, KINDS)
    reader.expect("@class", "Fitting", hint="expected a fitting")
    reader.expect("@version", 4, 3, 2, 1, hint="this version of the form is not known to dp-sim")
    reader.expect("var_name", "energy", hint="dp-sim reads models of the energy")
    reader.expect("dim_out", 1, hint="an energy is one number an atom")
    reader.expect("numb_fparam", 0, hint="dp-sim does not support frame parameters (fparam)")
    reader.expect("numb_aparam", 0, hint="dp-sim does not support atomic parameters (aparam)")
    reader.expect("dim_case_embd", 0, hint="dp-sim does not support case embedding, of multi-task models")
    reader.expect("default_fparam", None, hint="dp-sim does not support frame parameters (fparam)")
    reader.expect("spin", None, hint="dp-sim does not support models with spins")
    reader.expect("use_aparam_as_mask", False, hint="dp-sim does not support atomic parameters (aparam)")
    reader.expect("tot_ener_zero", False, hint="dp-sim does not support a total energy forced to zero")
    reader.ignore("ntypes", "dim_descrpt", "neuron", "resnet_dt", "activation_function", "rcond", "type_map")
    reader.ignore("trainable", "layer_name", "seed", "mixed_types")
    variables = reader.child("@variables")
    for name in ("case_embd", "fparam_avg", "fparam_inv_std", "aparam_avg", "aparam_inv_std"):
        variables.expect(name, None, hint="dp-sim does not support parameters besides the geometry")
    content = FittingContent(
        _nets(reader.child("nets"), (n_types, 1)),
        variables.array("bias_atom_e", (n_types, 1)).reshape(-1),
        vacuum_of(reader, n_types),
        types_of(reader, "exclude_types", n_types),
        reader.precision("precision", _some_weight(reader.data["nets"])),
    )
    variables.rest()
    reader.rest()
    return content


def _nets(reader: Reader, numbers: tuple[int, ...]) -> tuple[tuple[Layer, ...], ...]:
    """Read the nets of a collection, as many as one of `numbers`; an absent one (of an excluded pair) has no layers."""
    reader.expect("@class", "NetworkCollection", hint="expected nets")
    reader.expect("@version", 1, hint="this version of the form is not known to dp-sim")
    reader.ignore("ndim", "ntypes", "network_type")
    networks = reader.get("networks")
    if not isinstance(networks, list) or len(networks) not in numbers:
        count = len(networks) if isinstance(networks, list) else "no list of"
        expected = " or ".join(str(n) for n in numbers)
        raise ModelFileError(
            "deepmd-contradiction", f"{reader.file}: '{reader.where}' holds {count} nets; expected {expected}"
        )
    nets = [
        _net(Reader(network if network is not None else {"layers": []}, f"{reader.where}.networks[{i}]", reader.file))
        for i, network in enumerate(networks)
    ]
    if not any(nets):
        raise ModelFileError(
            "deepmd-incomplete", f"{reader.file}: '{reader.where}' holds nets without layers; the file is not complete"
        )
    reader.rest()
    return tuple(nets)


def _net(reader: Reader) -> tuple[Layer, ...]:
    reader.ignore("@class", "in_dim", "out_dim", "neuron", "activation_function", "resnet_dt", "precision")
    reader.ignore("bias", "bias_out")
    reader.expect("@version", 2, 1, hint="this version of the form is not known to dp-sim")
    layers = tuple(_layer(layer) for layer in reader.children("layers"))
    reader.rest()
    return layers


def _some_weight(collection: Any) -> Any:
    """Return an array of nets that have been read, for its precision."""
    nets = [network for network in collection["networks"] if network]
    return nets[0]["layers"][0]["@variables"]["w"]


def _layer(reader: Reader) -> Layer:
    reader.expect("@class", "Layer", hint="expected a layer")
    reader.expect("@version", 2, 1, hint="this version of the form is not known to dp-sim")
    reader.ignore("bias", "use_timestep", "trainable", "precision")
    variables = reader.child("@variables")
    w = variables.array("w")
    if w.ndim != 2:
        raise ModelFileError(
            "array-shape", f"{reader.file}: '{variables.name('w')}' should be a matrix; its shape is {w.shape}"
        )
    b, idt = (
        variables.array(name).reshape(-1) if variables.get(name, None) is not None else None for name in ["b", "idt"]
    )
    layer = Layer(
        w,
        np.zeros(w.shape[1]) if b is None else b,
        idt,
        reader.text("activation_function"),
        reader.get("resnet") is True,
    )
    variables.rest()
    reader.rest()
    return layer
