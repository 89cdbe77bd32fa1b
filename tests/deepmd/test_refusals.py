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
from refusals import refused

from dp_sim.deepmd.convert import to_model
from dp_sim.deepmd.importing import load_deepmd
from dp_sim.deepmd.reading import frozen
from dp_sim.deepmd.reading.activations import activation_name
from dp_sim.deepmd.reading.archive import read_archive, tensors_of
from dp_sim.deepmd.reading.serialized import parse, read_hdf5
from dp_sim.errors import ModelFileError
from dp_sim.torchscript import script, to_bytes

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


#: Keys to a value of mean.dp, another value, the code of the refusal and what its sentence names.
REFUSALS: list[tuple[tuple[str, ...], Any, str, tuple[str, ...]]] = [
    (("model", "type"), "zbl", "deepmd-kind-unsupported", ("'zbl'", "(ZBL)")),
    (("model", "type"), "pairtab", "deepmd-kind-unsupported", ("'pairtab'",)),
    (("model", "type"), "spin_ener", "deepmd-kind-unsupported", ("'spin_ener'", "spins")),
    (("model", "model_dict"), {}, "deepmd-multi-task", ("dp --pt freeze --head",)),
    (("model", "charges"), 1, "deepmd-key-unknown", ("'model.charges'",)),
    (("model", "descriptor", "type"), "dpa3", "deepmd-kind-unsupported", ("'dpa3'", "message passing (DPA-3)")),
    (("model", "descriptor", "type"), "se_e3_tebd", "deepmd-kind-unsupported", ("'se_e3_tebd'",)),
    (("model", "descriptor", "compress"), {"table": 1}, "deepmd-compressed", ("tables",)),
    (("model", "descriptor", "rcutt"), 1, "deepmd-key-unknown", ("'model.descriptor.rcutt'", "'rcut'?")),
    (("model", "descriptor", "spin"), {"use_spin": [True]}, "deepmd-value-unsupported", ("spins",)),
    (("model", "descriptor", "precision"), "bfloat16", "deepmd-precision-unsupported", ("bfloat16",)),
    (("model", "descriptor", "env_mat", "use_exp_switch"), True, "deepmd-value-unsupported", ("use_exp_switch",)),
    (("model", "descriptor", "exclude_types"), [[0, 7]], "deepmd-value-invalid", ("[0, 7]", "0 to 2")),
    (("model", "descriptor", "embeddings", "networks"), [], "deepmd-contradiction", ("0 nets", "3 or 9")),
    (("model", "fitting", "type"), "dipole", "deepmd-kind-unsupported", ("'dipole'",)),
    (("model", "fitting", "type"), "polar", "deepmd-kind-unsupported", ("'polar'", "polarizabilities")),
    (("model", "fitting", "type"), "dos", "deepmd-kind-unsupported", ("'dos'", "density of states")),
    (("model", "fitting", "numb_fparam"), 1, "deepmd-value-unsupported", ("numb_fparam", "(fparam)")),
    (("model", "fitting", "numb_aparam"), 2, "deepmd-value-unsupported", ("numb_aparam", "(aparam)")),
    (("model", "fitting", "dim_case_embd"), 2, "deepmd-value-unsupported", ("dim_case_embd",)),
    (("model", "type_map"), ["OW", "HW", "Cu"], "species-unknown", ("'OW'", "--species", "'W'?")),
    (("model", "type_map"), ["O", "O", "Cu"], "species-repeated", ("O, O, Cu",)),
    (("model",), None, "model-not-deepmd", ("model",)),
    (("model", "type_map"), [1, 2, 3], "deepmd-value-invalid", ("'model.type_map'", "'[1, 2, 3]'")),
    (("model", "atom_exclude_types"), 1, "deepmd-value-invalid", ("'model.atom_exclude_types'", "'1'")),
    (("model", "pair_exclude_types"), [1, 2], "deepmd-value-invalid", ("'model.pair_exclude_types'", "0 to 2")),
    (("model", "descriptor", "type"), ["se_e2_a"], "deepmd-value-invalid", ("'model.descriptor.type'", "['se_e2_a']")),
    (("model", "descriptor", "sel"), [20, 26], "deepmd-value-invalid", ("'model.descriptor.sel'", "3", "[20, 26]")),
    (("model", "descriptor", "axis_neuron"), 2.5, "deepmd-value-invalid", ("'model.descriptor.axis_neuron'", "'2.5'")),
    (("model", "descriptor", "precision"), 64, "deepmd-value-invalid", ("'model.descriptor.precision'", "'64'")),
    (("model", "descriptor", "rcut"), 10**400, "deepmd-value-invalid", ("'model.descriptor.rcut'",)),
    (("model", "descriptor", "rcut"), -1, "deepmd-contradiction", ("-1.0", "0 <= rcut_smth < rcut")),
    (("model", "descriptor", "env_protection"), -1, "deepmd-contradiction", ("protection -1.0",)),
    (("model", "fitting", "atom_ener"), [1, 2, 3, 4], "deepmd-value-invalid", ("'model.fitting.atom_ener'", "3")),
]


@pytest.mark.parametrize(
    ("key", "value", "code", "named"),
    [
        (None, [], "model-not-deepmd", ("file",)),
        ("sel", [20, 26], "deepmd-value-invalid", ("'descriptor.sel'", "3", "[20, 26]")),
        ("sel", [1, 1, 1], "array-shape", ("descriptor.sea.mean'", "36", "(3, 62, 4)")),
        ("activation_function", 1, "deepmd-value-invalid", ("'descriptor.activation_function'", "'1'")),
    ],
)
def test_definition_of_a_frozen_model(
    key: str | None, value: Any, code: str, named: tuple[str, ...], tmp_path: Path
) -> None:
    definition, state = _frozen(tmp_path)
    if key is not None:
        definition["descriptor"][key] = value
    with refused(code, *named):
        frozen._content(value if key is None else definition, state, "file")


NETS = ".filter_layers.networks"


@pytest.mark.parametrize(
    ("name", "value", "code", "named"),
    [
        ("out_bias", np.zeros((2, 2)), "array-shape", ("out_bias'", "3", "(2, 2)")),
        ("descriptor.sea.mean", np.zeros(3), "array-shape", ("descriptor.sea.mean'", "(3,)")),
        (f"descriptor.sea{NETS}.2.layers.0.matrix", None, "deepmd-contradiction", (NETS, "2 nets", "3 or 9")),
        (f"fitting_net{NETS}.0.layers.1.bias", np.full(10, np.nan), "array-not-finite", (f"{NETS}.0.layers.1.bias'",)),
        (f"fitting_net{NETS}.0.layers.1.matrix", np.zeros(3), "array-shape", (f"{NETS}.0.layers.1.matrix'", "(3,)")),
    ],
)
def test_tensors_of_a_frozen_model(
    name: str, value: np.ndarray | None, code: str, named: tuple[str, ...], tmp_path: Path
) -> None:
    definition, state = _frozen(tmp_path)
    state.pop(f"atomic_model.{name}")
    if value is not None:
        state[f"atomic_model.{name}"] = torch.from_numpy(value)
    for twin in [key for key in state if "._networks." in key]:  # held twice; one alone would be found out first
        del state[twin]
    with refused(code, *named):
        frozen._content(definition, state, "file")


def test_no_tensor_of_a_frozen_model_is_ignored(tmp_path: Path) -> None:
    definition, state = _frozen(tmp_path)
    frozen._content(definition, state, "file")
    for name in ("charges", "atomic_model.descriptor.sea.means", "atomic_model.fitting_net.case_embd"):
        with refused("deepmd-tensor-unknown", f"'{name}'"):
            frozen._content(definition, state | {name: torch.ones(3)}, "file")
    net = "atomic_model.descriptor.sea.filter_layers.networks.0.layers"
    for extra in (f"{net}.0.idtt", f"{net}.7.bias"):
        with refused("deepmd-tensor-unknown", f"'{extra}'"):
            frozen._content(definition, state | {extra: torch.ones(4)}, "file")
    twin = f"{net.replace('.networks', '._networks')}.0.bias"
    with refused("deepmd-contradiction", f"'{twin}'"):
        frozen._content(definition, state | {twin: torch.ones(4)}, "file")


def test_definition_that_is_no_json(tmp_path: Path) -> None:
    class Odd(torch.nn.Module):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.model_def_script = text

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + len(self.model_def_script)

    for text, code in (("{'a'", "file-damaged"), ("[" * 100_000, "file-damaged"), ("[]", "model-not-deepmd")):
        (tmp_path / "odd.pth").write_bytes(to_bytes(script(Odd(text))))
        with refused(code, "odd.pth") as caught:
            load_deepmd(tmp_path / "odd.pth")
        assert "\n" not in str(caught.value)


def _frozen(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Definition and tensors of mean.pth."""
    module = read_archive(model_file("mean.pth", folder))
    return json.loads(module.attributes["model_def_script"]), tensors_of(module)


@pytest.mark.parametrize(
    ("keys", "value", "code", "named"), REFUSALS, ids=[f"{r[0][-1]}-{r[1]}"[:40] for r in REFUSALS]
)
def test_what_is_not_understood_is_named(
    changed: Changed, keys: tuple[str, ...], value: Any, code: str, named: tuple[str, ...]
) -> None:
    with refused(code, *named) as caught:
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
    with refused("deepmd-contradiction", what, ".pb"):
        parse(tree | {"backend": "TensorFlow"}, "file")


def test_activation_that_is_no_activation() -> None:
    assert activation_name("silut:2", "file") == "silut:2.0"
    with refused("deepmd-activation-unknown", "'silut:x'"):
        activation_name("silut:x", "file")


def test_a_net_that_is_left_out(tmp_path: Path) -> None:
    tree = read_hdf5(model_file("mean.dp", tmp_path))
    tree["model"]["fitting"]["nets"]["networks"][1] = None
    with refused("deepmd-network-unsupported", "fitting net"):
        to_model(parse(tree, "file"), ("O", "H", "Cu"), "file")


def test_missing_key(changed: Changed) -> None:
    with refused("deepmd-incomplete", "'model.descriptor.rcut'"):
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
        with refused("deepmd-key-unknown", "something_new'"):
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
    with refused("deepmd-key-unknown", "'fitting_net.something_new'"):
        frozen._content(
            {**definition, "fitting_net": {**definition["fitting_net"], "something_new": value}}, state, "f"
        )


@pytest.mark.parametrize(
    "more",
    [
        {"model_branch_alias": [], "resuming": True, "info": {"observed_type": ["H"]}, "hessian_mode": True},
        {"bridging_method": "None", "bridging_r_inner": 0.5, "bridging_r_outer": 0.8},
    ],
)
def test_settings_that_change_nothing(more: dict[str, Any], tmp_path: Path) -> None:
    definition, state = _frozen(tmp_path)
    frozen._content(definition | more, state, "file")


@pytest.mark.parametrize(
    ("more", "code", "key"),
    [
        (
            {"bridging_method": "ZBL", "bridging_r_inner": 0.5, "bridging_r_outer": 0.8},
            "deepmd-value-unsupported",
            "'bridging_method'",
        ),
        ({"use_srtab": "H2O_tab_potential.txt", "sw_rmin": 0.5}, "deepmd-value-unsupported", "'use_srtab'"),
        ({"modifier": {"type": "dipole_charge"}}, "deepmd-value-unsupported", "'modifier'"),
        ({"lora": {"rank": 4}}, "deepmd-key-unknown", "'lora'"),
    ],
)
def test_settings_of_versions_and_options(more: dict[str, Any], code: str, key: str, tmp_path: Path) -> None:
    definition, state = _frozen(tmp_path)
    with refused(code, key):
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
    with refused("deepmd-key-unknown", "'/table/long'"):
        load_deepmd(path)
    path = model_file("mean.dp", tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["charges"] = "{}"
    with refused("deepmd-key-unknown", "attribute charges"):
        load_deepmd(path)
    path = model_file("mean.yaml", tmp_path)
    path.write_text(path.read_text().replace("dtype: float64", "dtype: float64\n      scale: 2.0", 1))
    with refused("file-damaged", "mean.yaml", "'scale'"):
        load_deepmd(path)


def test_statistics_that_are_not_invariant(tmp_path: Path) -> None:
    path = model_file("mean.dp", tmp_path)
    with h5py.File(path, "r+") as file:
        names = json.loads(file.attrs["json"])["model"]["descriptor"]["@variables"]
        file[names["dstd"]][:, :, 2] *= 2
    with refused("deepmd-not-invariant", "mean.dp"):
        load_deepmd(path)
    with h5py.File(path, "r+") as file:
        file[names["davg"]][0, 3, 0] += 1
    with refused("deepmd-contradiction", "mean of its environment"):
        load_deepmd(path)
    with h5py.File(path, "r+") as file:
        file[names["davg"]][0, 3, 0] = np.nan
    with refused("array-not-finite", "davg'", "NaN"):
        load_deepmd(path)


def test_files_of_another_kind(tmp_path: Path) -> None:
    files = {
        "frozen.pb": (b"graph", "deepmd-needs-conversion", "dp convert-backend frozen.pb model.dp"),
        "model.ckpt.pt": (b"checkpoint", "file-damaged", "does not execute"),
        "a.dp": (b"hello: 1\n", "file-kind", "HDF5"),
        "a.pth": (b"hello: 1\n", "file-kind", "frozen PyTorch model"),
        "a.h5": (b"hello: 1\n", "deepmd-needs-conversion", ".dp, .yaml, .pth and .pt"),
        "a.yaml": (model_file("mean.dp", tmp_path).read_bytes(), "file-kind", "HDF5"),
        "b.yaml": (b"training: {steps: 3}\n", "deepmd-incomplete", "'model'"),
    }
    for name, (content, code, thing) in files.items():
        (tmp_path / name).write_bytes(content)
        with refused(code, name, thing):
            load_deepmd(tmp_path / name)
    with refused("file-missing", "absent.dp"):
        load_deepmd(tmp_path / "absent.dp")
    (tmp_path / "linear.pth").write_bytes(to_bytes(script(torch.nn.Linear(2, 2))))
    with refused("model-not-deepmd", "linear.pth", "model_def_script"):
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


@pytest.mark.parametrize("name", ["compressed.pth", "compressed_trained-3.0.pth", "compressed_trained-3.1.pth"])
def test_compressed_by_deepmd_kit(name: str, tmp_path: Path) -> None:
    """What dp compress leaves of a frozen model: tables, no nets; the model that it was made from is the way out."""
    with refused("deepmd-compressed", name, "the model that it was compressed from"):
        load_deepmd(model_file(name, tmp_path))
