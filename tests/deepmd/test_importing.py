"""Imported models give DeePMD-kit's numbers, wherever ours run; what cannot be read is refused by name."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import deepmd_models
import h5py
import numpy as np
import pytest
import torch
from ase import Atoms
from deepmd_models import MODELS, STRUCTURES, expected, model_file, structure
from model_contract import ModelContract, open_model
from systems import CUTOFF

from dp_sim.cli.main import status
from dp_sim.config.reading import parse_config
from dp_sim.deepmd.convert import activation_name, to_model
from dp_sim.deepmd.importing import import_model, load_deepmd
from dp_sim.deepmd.reading import frozen
from dp_sim.deepmd.reading.serialized import parse, read_hdf5
from dp_sim.errors import InputError, ModelFileError
from dp_sim.model.evaluator import eager_model
from dp_sim.model.model_file import load_model
from dp_sim.model.potential import Potential, set_precision

Changed = Callable[[Callable[[dict[str, Any]], object]], Path]
#: Largest deviation, relative to the largest value compared.
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


def load(name: str, folder: Path, **options: Any) -> Any:
    """The network of a reference model, without a file of ours in between."""
    config, model, _ = load_deepmd(model_file(name, folder))
    return config, open_model(Potential(model, config.cutoff), config.precision), config.species


@pytest.mark.filterwarnings("ignore:.*excludes pairs of species and has a mean")
@pytest.mark.parametrize("name", MODELS)
def test_numbers_are_those_of_deepmd_kit(name: str, tmp_path: Path) -> None:
    """On the compiled path, where the descriptor has one, and without it."""
    config, model, _ = load_deepmd(model_file(name, tmp_path))
    opened = open_model(Potential(model, config.cutoff), config.precision)
    opened.metadata = opened.metadata.__class__(config.species, config.cutoff, config.precision, {}, "", "")
    tolerance = TOLERANCE["float32" if "float32" in name or "mixed" in name else "float64"]
    for path, where in product({*opened.compiled, None}, STRUCTURES):
        opened.compiled = [path]
        output = opened.evaluate(structure(where), virial=True)
        for field, reference in expected(name, where).items():
            got = getattr(output, field).numpy().reshape(reference.shape)
            deviation = np.abs(got - reference).max() / np.abs(reference).max()
            assert deviation < tolerance, f"{field} of {where} is off by {deviation:.1e}, path {path}"


def test_references_say_something() -> None:
    """Forces that are there, and models that differ: agreement on zeros would prove nothing."""
    assert len(MODELS) >= 25
    for name in MODELS:
        assert np.abs(expected(name, "bulk")["forces"]).max() > 1e-3
    energies = {float(expected(name, "molecule")["energy"][0]) for name in MODELS if not name.startswith("mean.")}
    assert len(energies) > len(MODELS) - 6


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hybrid.dp as a file of ours."""
    folder = tmp_path_factory.mktemp("imported")
    with pytest.warns(UserWarning, match="excludes pairs of species and has a mean: its energy jumps"):
        import_model(model_file("hybrid.dp", folder), folder / "hybrid.pt")
    return folder / "hybrid.pt"


class TestHybridContract(ModelContract):
    """se_e2_a with mean and exclusion beside se_e2_r; its types O, H, Cu stand for H, O, Cu of the contract."""

    file = "hybrid.dp"

    @classmethod
    def make(cls) -> Potential:
        import tempfile
        import warnings

        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            _, model, _ = load_deepmd(model_file(cls.file, Path(folder)), species=("H", "O", "Cu"))
        return Potential(model, CUTOFF)


class TestThreeBodyContract(TestHybridContract):
    """se_e3 beside se_e2_a."""

    file = "three_body_hybrid.dp"


def test_angles_of_a_water_molecule(tmp_path: Path) -> None:
    """se_e3 of the oxygen by its formula, in loops over the two neighbours H."""
    config, model, _ = load_deepmd(model_file("three_body.dp", tmp_path))
    atoms = Atoms("OH2", positions=[[0, 0, 0], [0.9, 0.3, 0], [-0.2, 0.7, 0.8]])
    descriptor = model.descriptor
    h = [descriptor.directions(torch.tensor(r)[None], torch.tensor([0]))[0] for r in atoms.positions[1:]]
    total = torch.zeros(8, dtype=torch.float64)
    for one in h:
        for other in h:
            x = (one @ other).view(1, 1)
            total += (x * descriptor.nets[3](x))[0] / 26**2  # of OO, OH, OCu, HH; 26 places for H
    found: list[torch.Tensor] = []
    descriptor.register_forward_hook(lambda module, inputs, output: found.append(output))
    opened = open_model(Potential(model, config.cutoff), config.precision)
    opened.metadata = replace(opened.metadata, species=config.species)
    opened.evaluate(atoms)
    torch.testing.assert_close(found[0][0], total, rtol=1e-12, atol=0)


def test_ase_with_hessian_and_both_precisions(imported: Path) -> None:
    from dp_sim.plugins.ase_calculator import DPCalculator

    atoms, reference = structure("molecule"), expected("hybrid.dp", "molecule")
    atoms.calc = DPCalculator(imported)
    np.testing.assert_allclose(atoms.get_forces(), reference["forces"], atol=1e-12)
    hessian = atoms.calc.get_hessian(atoms)
    atoms.positions[1, 2] += 1e-5
    forward = atoms.get_forces().ravel()
    atoms.positions[1, 2] -= 2e-5
    np.testing.assert_allclose(hessian[5], (atoms.get_forces().ravel() - forward) / 2e-5, atol=1e-7)
    single = DPCalculator(imported, dtype="float32").get_property("energy", structure("molecule"))
    assert single == pytest.approx(reference["energy"][0], rel=1e-6)


@pytest.mark.parametrize("backend", ["torchscript", "python"])
def test_openmm(imported: Path, backend: str) -> None:
    openmm = pytest.importorskip("openmm")
    from dp_sim.plugins.openmm_force import create_force
    from dp_sim.units import EV_IN_KJ_PER_MOL

    atoms = structure("molecule")
    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    system.addForce(create_force(imported, species=atoms.get_chemical_symbols(), periodic=False, backend=backend))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(atoms.positions / 10)
    state = context.getState(energy=True, forces=True)
    reference = expected("hybrid.dp", "molecule")
    energy = state.getPotentialEnergy().value_in_unit(openmm.unit.kilojoule_per_mole) / EV_IN_KJ_PER_MOL
    assert energy == pytest.approx(reference["energy"][0], rel=1e-9)
    forces = state.getForces(asNumpy=True).value_in_unit(openmm.unit.kilojoule_per_mole / openmm.unit.nanometer)
    np.testing.assert_allclose(forces / EV_IN_KJ_PER_MOL / 10, reference["forces"], atol=1e-7)


def test_modules_again(imported: Path) -> None:
    """eager_model rebuilds it from settings and weights, as it does our own."""
    model = load_model(imported)
    rebuilt = open_model(Potential(eager_model(model), model.metadata.cutoff), "float64")
    rebuilt.metadata = model.metadata
    atoms = structure("bulk")
    assert float(rebuilt.evaluate(atoms).energy) == pytest.approx(float(model.evaluate(atoms).energy), rel=1e-13)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = model_file("mean.dp", tmp_path)
    assert status(["import", str(path), "-o", str(tmp_path / "m.pt")]) == 0
    assert "se_e2_a, O H Cu, cutoff 4 Å, float64" in capsys.readouterr().out
    assert status(["info", str(tmp_path / "m.pt")]) == 0
    shown = capsys.readouterr().out
    assert "mean.dp" in shown
    assert "3.2.0" in shown
    assert status(["import", str(path), "-o", str(tmp_path / "n.pt"), "--species", "O,H"]) == 2
    assert "has the 3 types O, H, Cu; 2 species were given" in capsys.readouterr().err
    assert not (tmp_path / "n.pt").exists()


def test_a_model_with_zero_mean_is_deeppot_se(tmp_path: Path) -> None:
    """Nothing of DeePMD-kit's padding is left then, and the model takes the road of our own."""
    _, model, _ = load_deepmd(model_file("zero_mean.dp", tmp_path))
    assert type(model.descriptor).__name__ == "SmoothDescriptor"


def test_more_neighbours_than_places(tmp_path: Path) -> None:
    """All are kept, with a warning: the energy stays smooth as one more comes in."""
    import_model(model_file("mean.dp", tmp_path), tmp_path / "m.pt")
    model = load_model(tmp_path / "m.pt")
    dense = Atoms("H28O", positions=[*np.ndindex(3, 3, 3), (3, 1, 1), (1.5, 1.5, 1.5)])
    dense.positions *= 1.1
    dense.positions[0] = dense.positions[-1] - 4.0 * np.array([0.6, 0.64, 0.48])  # at the cutoff, to rounding
    with pytest.warns(UserWarning, match=r"an atom has 2[78] neighbours H.*at most 26 \(sel\).*drops the farthest"):
        forces = model.evaluate(dense).forces
    assert forces is not None
    assert bool(torch.isfinite(forces).all())
    energies = []
    direction = (dense.positions[0] - dense.positions[-1]) / 4.0
    for step in (-1e-4, 1e-4):
        moved = dense.copy()
        moved.positions[0] += step * direction
        with pytest.warns(UserWarning, match=r"an atom has 2\d neighbours H"):
            energies.append(float(model.evaluate(moved).atomic_energies[-1]))
    assert abs(energies[1] - energies[0]) < 1e-9


# ---- what is refused ----


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
    (("model", "descriptor", "compress"), {}, "a compressed model.*import the model that it was compressed from"),
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
    (("model", "descriptor", "precision"), None, "precision' should be text"),
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
    frozen._declare_operators()
    module = torch.jit.load(str(model_file("mean.pth", folder)))
    return json.loads(module.model_def_script), dict(module.state_dict())


@pytest.mark.parametrize(("keys", "value", "message"), REFUSALS, ids=[f"{r[0][-1]}-{r[1]}"[:40] for r in REFUSALS])
def test_what_is_not_understood_is_named(changed: Changed, keys: tuple[str, ...], value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_deepmd(changed(_set(*keys, value=value)))
    assert "\n" not in str(caught.value)


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
    with pytest.raises(ModelFileError, match="dp --pt freeze"):
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


def test_a_model_of_ours_needs_no_import(imported: Path) -> None:
    with pytest.raises(ModelFileError, match="a model of dp-sim already"):
        load_deepmd(imported)


def test_imported_models_are_not_trained_on() -> None:
    part = {"kind": "se_e2_a", "cutoff": 4.0, "switch_start": 0.5, "embedding": [4], "places": [3]}
    model = {"descriptor": "deepmd-kit", "parts": [part], "cutoff": 4.0}
    with pytest.raises(InputError, match="for imported models; train deeppot-se"):
        parse_config({"model": model, "data": {"train": ["a.xyz"]}})


def test_casting_an_imported_model(tmp_path: Path) -> None:
    _, model, _ = load_deepmd(model_file("mean.dp", tmp_path))
    set_precision(model, torch.float32)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert deepmd_models.FOLDER.is_dir()
