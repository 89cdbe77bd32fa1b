"""What a file says and is not understood is refused by name; what changes nothing is not."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from deepmd_models import model_file

from dp_sim.deepmd.convert import to_model
from dp_sim.deepmd.importing import load_deepmd
from dp_sim.deepmd.reading import frozen
from dp_sim.deepmd.reading.activations import activation_name
from dp_sim.deepmd.reading.archive import read_archive, tensors_of
from dp_sim.deepmd.reading.serialized import parse, read_hdf5
from dp_sim.errors import InputError, ModelFileError

Changed = Callable[[Callable[[dict[str, Any]], object]], Path]


@pytest.fixture
def changed(tmp_path: Path) -> Changed:
    """mean.dp with its JSON changed by a function."""

    def make(change: Callable[[dict[str, Any]], object], name: str = "mean.dp") -> Path:
        path = model_file(name, tmp_path)
        with h5py.File(path, "r+") as file:
            tree = json.loads(file.attrs["json"])
            change(tree)
            file.attrs["json"] = json.dumps(tree)
        return path

    return make


def _set(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(tree: dict[str, Any]) -> None:
        for key in keys[:-1]:
            tree = tree[key]
        tree[keys[-1]] = value

    return change


REFUSALS = [
    (("model", "type"), "zbl", r"its model is 'zbl': it mixes in a pair table \(ZBL\)"),
    (("model", "type"), "pairtab", "its model is 'pairtab': it is a pair table"),
    (("model", "type"), "spin_ener", "it depends on spins"),
    (("model", "model_dict"), {}, "a multi-task model; freeze one of its heads"),
    (("model", "charges"), 1, r"does not know the key 'model\.charges'"),
    (("model", "descriptor", "type"), "dpa3", r"message passing \(DPA-3\)"),
    (("model", "descriptor", "type"), "se_e3_tebd", "three-body embedding with types"),
    (
        ("model", "descriptor", "compress"),
        {"table": 1},
        "a compressed model.*import the model that it was compressed from",
    ),
    (("model", "descriptor", "rcutt"), 1, r"key 'model\.descriptor\.rcutt', .*; did you mean 'rcut'\?"),
    (("model", "descriptor", "spin"), {"use_spin": [True]}, "models with spins"),
    (("model", "descriptor", "precision"), "bfloat16", "its precision is bfloat16"),
    (("model", "descriptor", "env_mat", "use_exp_switch"), True, "exponential switch"),
    (("model", "descriptor", "exclude_types"), [[0, 7]], r"\[0, 7\], which is no pair of types 0 to 2"),
    (("model", "descriptor", "embeddings", "networks"), [], "holds 0 nets; expected 3 or 9"),
    (("model", "fitting", "type"), "dipole", "it gives dipoles, no energy"),
    (("model", "fitting", "type"), "polar", "polarizabilities"),
    (("model", "fitting", "type"), "dos", "density of states"),
    (("model", "fitting", "numb_fparam"), 1, r"frame parameters \(fparam\)"),
    (("model", "fitting", "numb_aparam"), 2, r"atomic parameters \(aparam\)"),
    (("model", "fitting", "dim_case_embd"), 2, "case embedding"),
    (("model", "type_map"), ["OW", "HW", "Cu"], r"'OW' is no element symbol; name .* with --species; did you mean"),
    (("model", "type_map"), ["O", "O", "Cu"], "a different element for each"),
    (("model",), None, "model is no mapping"),
    (("model", "type_map"), [1, 2, 3], r"'model\.type_map' should be a list of names"),
    (("model", "atom_exclude_types"), 1, r"'model\.atom_exclude_types' should be a list"),
    (("model", "pair_exclude_types"), [1, 2], "which is no pair of types 0 to 2"),
    (("model", "descriptor", "type"), ["se_e2_a"], r"'model\.descriptor\.type' should be text"),
    (("model", "descriptor", "sel"), [20, 26], r"'model\.descriptor\.sel' should be a list of 3 whole numbers"),
    (("model", "descriptor", "axis_neuron"), 2.5, r"axis_neuron' should be a whole number above zero; got '2\.5'"),
    (("model", "descriptor", "precision"), 64, "precision' should be text"),
    (("model", "descriptor", "rcut"), 10**400, "rcut' should be a number"),
    (("model", "descriptor", "rcut"), -1, "contradict each other; expected 0 <= rcut_smth < rcut"),
    (("model", "descriptor", "env_protection"), -1, "contradict each other"),
    (("model", "fitting", "atom_ener"), [1, 2, 3, 4], "atom_ener' should be at most 3 energies"),
]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (None, [], "is no mapping"),
        ("sel", [20, 26], "sel' should be a list of 3 whole numbers"),
        ("sel", [1, 1, 1], r"mean' should have 36 values in 3 dimensions; its shape is \(3, 62, 4\)"),
        ("activation_function", 1, "activation_function' should be text"),
    ],
)
def test_definition_of_a_frozen_model(key: str | None, value: Any, message: str, tmp_path: Path) -> None:
    definition, state = _frozen(tmp_path)
    if key is not None:
        definition["descriptor"][key] = value
    with pytest.raises(ModelFileError, match=message):
        frozen._content(value if key is None else definition, state, "file")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("atomic_model.out_bias", np.zeros((2, 2)), "out_bias' should have 3 values"),
        ("atomic_model.descriptor.sea.mean", np.zeros(3), "mean' should have .* in 3 dimensions"),
        ("atomic_model.descriptor.sea.filter_layers.networks.2.layers.0.matrix", None, "holds 2 nets .* expected 3"),
        ("atomic_model.fitting_net.filter_layers.networks.0.layers.1.bias", np.full(10, np.nan), "NaN or infinity"),
        (
            "atomic_model.fitting_net.filter_layers.networks.0.layers.1.matrix",
            np.zeros(3),
            "matrix' should have 2 dimensions",
        ),
    ],
)
def test_tensors_of_a_frozen_model(name: str, value: np.ndarray | None, message: str, tmp_path: Path) -> None:
    definition, state = _frozen(tmp_path)
    state.pop(name)
    if value is not None:
        state[name] = torch.from_numpy(value)
    for twin in [key for key in state if "._networks." in key]:  # held twice; one alone would be found out first
        del state[twin]
    with pytest.raises(ModelFileError, match=message):
        frozen._content(definition, state, "file")


def test_no_tensor_of_a_frozen_model_is_ignored(tmp_path: Path) -> None:
    definition, state = _frozen(tmp_path)
    frozen._content(definition, state, "file")
    for name in ("charges", "atomic_model.descriptor.sea.means", "atomic_model.fitting_net.case_embd"):
        with pytest.raises(ModelFileError, match=f"does not know its tensor '{name}'"):
            frozen._content(definition, state | {name: torch.ones(3)}, "file")
    net = "atomic_model.descriptor.sea.filter_layers.networks.0.layers"
    for extra in (f"{net}.0.idtt", f"{net}.7.bias"):
        with pytest.raises(ModelFileError, match=f"does not know its tensor '{extra}'"):
            frozen._content(definition, state | {extra: torch.ones(4)}, "file")
    twin = f"{net.replace('.networks', '._networks')}.0.bias"
    with pytest.raises(ModelFileError, match=r"_networks.* should be one and the same"):
        frozen._content(definition, state | {twin: torch.ones(4)}, "file")


def test_definition_that_is_no_json(tmp_path: Path) -> None:
    class Odd(torch.nn.Module):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.model_def_script = text

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + len(self.model_def_script)

    for text, message in (("{'a'", "no valid JSON"), ("[" * 100_000, "no valid JSON"), ("[]", "is no mapping")):
        torch.jit.save(torch.jit.script(Odd(text)), str(tmp_path / "odd.pth"))
        with pytest.raises(ModelFileError, match=message) as caught:
            load_deepmd(tmp_path / "odd.pth")
        assert "\n" not in str(caught.value)


def _frozen(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Definition and tensors of mean.pth."""
    module = read_archive(model_file("mean.pth", folder))
    return json.loads(module.attributes["model_def_script"]), tensors_of(module)


@pytest.mark.parametrize(("keys", "value", "message"), REFUSALS, ids=[f"{r[0][-1]}-{r[1]}"[:40] for r in REFUSALS])
def test_what_is_not_understood_is_named(changed: Changed, keys: tuple[str, ...], value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_deepmd(changed(_set(*keys, value=value)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "what"),
    [("skip_in_first_layer.dp", "12 to 12 neurons in layer 1"), ("two_sided.dp", "12 to 24 neurons in layer 3")],
)
def test_skips_that_the_conversion_from_tensorflow_adds(name: str, what: str, tmp_path: Path) -> None:
    """Where widths meet, DeePMD-kit's own numbers of a .pb and of the .dp made of it are several eV apart."""
    tree = read_hdf5(model_file(name, tmp_path))
    parse(tree, "file")
    with pytest.raises(ModelFileError, match=f"no skip connection from {what} of.*other numbers than the .pb"):
        parse(tree | {"backend": "TensorFlow"}, "file")


def test_activation_that_is_no_activation() -> None:
    assert activation_name("silut:2", "file") == "silut:2.0"
    with pytest.raises(ModelFileError, match="does not know the activation function 'silut:x'"):
        activation_name("silut:x", "file")


def test_a_net_that_is_left_out(tmp_path: Path) -> None:
    tree = read_hdf5(model_file("mean.dp", tmp_path))
    tree["model"]["fitting"]["nets"]["networks"][1] = None
    with pytest.raises(ModelFileError, match="a fitting net has no hidden layer"):
        to_model(parse(tree, "file"), ("O", "H", "Cu"), "file")


def test_missing_key(changed: Changed) -> None:
    with pytest.raises(ModelFileError, match=r"the key 'model\.descriptor\.rcut' is missing"):
        load_deepmd(changed(lambda tree: tree["model"]["descriptor"].pop("rcut")))


def test_every_key_of_a_whole_file_matters_or_is_listed(tmp_path: Path) -> None:
    """A key added anywhere in the tree is refused, with its place."""
    tree = read_hdf5(model_file("hybrid.dp", tmp_path))

    def mappings(node: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if isinstance(node, dict):
            found = [path] if path[:1] == ("model",) else []
            return found + [p for key, value in node.items() for p in mappings(value, (*path, key))]
        if isinstance(node, list):
            return [p for i, value in enumerate(node) for p in mappings(value, (*path, i))]
        return []

    places = [(), ("@variables",), *mappings(tree, ())]
    assert len(places) > 30
    for place in places:
        strange = copy.deepcopy(tree)
        node: Any = strange
        for key in place:
            node = node[key]
        node["something_new"] = 1
        with pytest.raises(ModelFileError, match=r"does not know the key '.*something_new'"):
            parse(strange, "file")


NOTHING = [None, [], {}, "", "None", "default", {"method": None}, [None, None], np.zeros(0)]


@pytest.mark.parametrize("value", NOTHING, ids=map(repr, NOTHING))
def test_a_key_that_changes_nothing_is_not_refused(value: Any, tmp_path: Path) -> None:
    """Whatever it is called and wherever it stands; comments too, whatever they say."""
    definition, state = _frozen(tmp_path)
    tree = read_hdf5(model_file("hybrid.dp", tmp_path))
    whole = [definition, *(definition[key] for key in ("descriptor", "fitting_net"))]
    whole += [tree["model"], tree["model"]["fitting"], tree["model"]["descriptor"]["list"][1]]
    for place in whole:
        place |= {"something_new": value, "_comment2": "a remark"}
    frozen._content(definition, state, "file")
    parse(tree, "file")


@pytest.mark.parametrize("value", [False, 0, 1e-9, "Nonesuch", [0], {"method": False}])
def test_a_key_that_may_change_something_is_refused(value: Any, tmp_path: Path) -> None:
    """False and 0 as well: what is not known may be on by default."""
    definition, state = _frozen(tmp_path)
    with pytest.raises(ModelFileError, match=r"does not know the key 'fitting_net\.something_new'"):
        frozen._content(
            {**definition, "fitting_net": {**definition["fitting_net"], "something_new": value}}, state, "f"
        )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"model_branch_alias": [], "resuming": True, "info": {"observed_type": ["H"]}, "hessian_mode": True}, ""),
        ({"bridging_method": "None", "bridging_r_inner": 0.5, "bridging_r_outer": 0.8}, ""),
        ({"bridging_method": "ZBL", "bridging_r_inner": 0.5, "bridging_r_outer": 0.8}, "'ZBL': a pair potential"),
        ({"use_srtab": "H2O_tab_potential.txt", "sw_rmin": 0.5}, r"a pair table \(ZBL\) at short range"),
        ({"modifier": {"type": "dipole_charge"}}, "a modifier"),
        ({"lora": {"rank": 4}}, "does not know the key 'lora'"),
    ],
)
def test_settings_of_versions_and_options(more: dict[str, Any], message: str, tmp_path: Path) -> None:
    definition, state = _frozen(tmp_path)
    if not message:
        frozen._content(definition | more, state, "file")
        return
    with pytest.raises(ModelFileError, match=message):
        frozen._content(definition | more, state, "file")


def test_precision_left_to_the_default(tmp_path: Path) -> None:
    """It is that of the numbers which are there."""
    for name, precision in (("mean.dp", "float64"), ("float32.dp", "float32"), ("mixed_precision.dp", "float32")):
        tree = read_hdf5(model_file(name, tmp_path))
        for part in ("descriptor", "fitting"):
            tree["model"][part]["precision"] = "default"
        content = parse(tree, "file")
        assert content.descriptors[0].precision == precision
        assert content.fitting.precision == ("float64" if name == "mixed_precision.dp" else precision)


def test_atomic_energies_that_are_none(tmp_path: Path) -> None:
    tree = read_hdf5(model_file("mean.dp", tmp_path))
    tree["model"]["fitting"]["atom_ener"] = [None]
    assert parse(tree, "file").fitting.vacuum == ()


def test_what_no_key_points_to(tmp_path: Path) -> None:
    """Data sets and attributes beside the tree, and keys beside the values of an array."""
    path = model_file("mean.dp", tmp_path)
    with h5py.File(path, "r+") as file:
        file["table/long"] = np.ones(3)
    with pytest.raises(ModelFileError, match="does not know the key '/table/long'"):
        load_deepmd(path)
    path = model_file("mean.dp", tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["charges"] = "{}"
    with pytest.raises(ModelFileError, match="does not know the key 'the attribute charges'"):
        load_deepmd(path)
    path = model_file("mean.yaml", tmp_path)
    path.write_text(path.read_text().replace("dtype: float64", "dtype: float64\n      scale: 2.0", 1))
    with pytest.raises(ModelFileError, match="unknown key 'scale'"):
        load_deepmd(path)


def test_statistics_that_are_not_invariant(tmp_path: Path) -> None:
    path = model_file("mean.dp", tmp_path)
    with h5py.File(path, "r+") as file:
        names = json.loads(file.attrs["json"])["model"]["descriptor"]["@variables"]
        file[names["dstd"]][:, :, 2] *= 2
    with pytest.raises(ModelFileError, match="prefer a direction of space"):
        load_deepmd(path)
    with h5py.File(path, "r+") as file:
        file[names["davg"]][0, 3, 0] += 1
    with pytest.raises(ModelFileError, match="differs among places"):
        load_deepmd(path)
    with h5py.File(path, "r+") as file:
        file[names["davg"]][0, 3, 0] = np.nan
    with pytest.raises(ModelFileError, match="NaN"):
        load_deepmd(path)


def test_files_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "frozen.pb").write_bytes(b"graph")
    with pytest.raises(ModelFileError, match=r"TensorFlow graph; convert it.*dp convert-backend frozen\.pb model\.dp"):
        load_deepmd(tmp_path / "frozen.pb")
    (tmp_path / "model.ckpt.pt").write_bytes(b"checkpoint")
    with pytest.raises(ModelFileError, match=r"no checkpoint of DeePMD-kit, or is damaged.*does not execute"):
        load_deepmd(tmp_path / "model.ckpt.pt")
    with pytest.raises(ModelFileError, match="there is no model file"):
        load_deepmd(tmp_path / "absent.dp")
    for name, message in (("a.dp", "no HDF5"), ("a.pth", "no frozen PyTorch model"), ("a.h5", "imports .dp, .yaml")):
        (tmp_path / name).write_text("hello: 1\n")
        with pytest.raises(ModelFileError, match=message):
            load_deepmd(tmp_path / name)
    (tmp_path / "a.yaml").write_bytes(model_file("mean.dp", tmp_path).read_bytes())
    with pytest.raises(ModelFileError, match="no YAML file but HDF5"):
        load_deepmd(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("training: {steps: 3}\n")
    with pytest.raises(ModelFileError, match="the key 'model' is missing"):
        load_deepmd(tmp_path / "b.yaml")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(tmp_path / "linear.pth"))
    with pytest.raises(ModelFileError, match="no model of DeePMD-kit: it has no model_def_script"):
        load_deepmd(tmp_path / "linear.pth")


@pytest.mark.parametrize("name", ["mean.dp", "mean.pth", "mean.yaml"])
def test_truncated_files(name: str, tmp_path: Path) -> None:
    content = model_file(name, tmp_path).read_bytes()
    for share in (0.0, 0.3, 0.9):
        (tmp_path / f"cut{name}").write_bytes(content[: int(share * len(content))])
        with pytest.raises(ModelFileError):
            load_deepmd(tmp_path / f"cut{name}")


@pytest.mark.parametrize("name", ["mean.dp", "mean.pth", "mean.yaml"])
def test_damaged_files(name: str, tmp_path: Path) -> None:
    """Bytes that fell out or were overwritten, at random places: one sentence, or a model where nothing was hit."""
    content = model_file(name, tmp_path).read_bytes()
    rng = np.random.default_rng(len(content))
    messages = []
    for trial in range(12):
        damaged = bytearray(content)
        start = int(rng.integers(len(content) - 600))
        damaged[start : start + 500] = rng.bytes(500) if trial % 2 else b""
        (tmp_path / f"odd{name}").write_bytes(damaged)
        try:
            load_deepmd(tmp_path / f"odd{name}")
        except ModelFileError as error:
            messages.append(str(error))
    assert len(messages) > 6
    assert not any("\n" in message for message in messages)


def test_compressed_by_deepmd_kit(tmp_path: Path) -> None:
    """What dp compress leaves of a frozen model: tables, no nets."""
    with pytest.raises(ModelFileError, match=r"compressed\.pth: it is a compressed model.*it was compressed from"):
        load_deepmd(model_file("compressed.pth", tmp_path))
