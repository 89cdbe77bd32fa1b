"""Models that DeePMD-kit trained, their options left at the defaults, give its numbers here.

deepmd_references/make_trained.py makes the models and the numbers.
"""

import gzip
import os
import pickle
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.io import read
from refusals import refused

from dp_sim.cli.main import status
from dp_sim.compiled.library import register_operators
from dp_sim.deepmd.convert import to_model
from dp_sim.deepmd.importing import import_model
from dp_sim.deepmd.reading.serialized import parse, read_hdf5
from dp_sim.model.compression import compress_file
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import load_model

REFERENCES = Path(__file__).parents[1] / "deepmd_references"
TRAINED = REFERENCES / "trained"
SHARED = Path(os.environ.get("DP_SIM_DATA", Path(__file__).parents[3] / "shared" / "data")) / "deepmd_trained"
FILES = sorted(path.name.removesuffix(".gz") for path in TRAINED.glob("*.gz"))
NUMBERS = {path.stem: dict(np.load(path)) for path in TRAINED.glob("*.npz")}
#: Largest deviation: of energies per eV of interaction, which is a few eV an atom; of forces, virials and stresses
#: relative to the largest.
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


def imported(path: Path, folder: Path) -> Model:
    """A file of DeePMD-kit, by way of a file of ours."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*excludes pairs of species and has a mean")
        warnings.filterwarnings("ignore", message=".*its energy depends on which atom comes first")
        import_model(path, folder / "imported.pt")
    return load_model(folder / "imported.pt")


def unpacked(name: str, folder: Path) -> Path:
    path = folder / name
    path.write_bytes(gzip.decompress((TRAINED / f"{name}.gz").read_bytes()))
    return path


def assert_energy(got: torch.Tensor, expected: float, atoms: Atoms, precision: str) -> None:
    assert abs(float(got) - expected) < TOLERANCE[precision] * len(atoms)


def assert_close(got: np.ndarray, expected: np.ndarray, precision: str, rounding: float = 0.0) -> None:
    assert np.abs(got - expected).max() < TOLERANCE[precision] * np.abs(expected).max() + rounding


@pytest.mark.parametrize("name", FILES)
def test_trained_models(name: str, tmp_path: Path) -> None:
    """.pth, .dp, .yaml and checkpoints; of 3.0, 3.1 and 3.2; of the PyTorch and the TensorFlow backend."""
    kind, _, rest = name.partition("-")
    numbers = NUMBERS[next(version for version in NUMBERS if rest.removeprefix(version).startswith("."))]
    model = imported(unpacked(name, tmp_path), tmp_path)
    precision = model.metadata.dtype
    assert (precision == "float32") == ("float32" in kind)
    for where in ("molecule", "liquid"):
        atoms = Atoms(**{field: numbers[f"{where}/{field}"] for field in ("numbers", "positions", "cell", "pbc")})
        forces, virial = numbers[f"{kind}/{where}/forces"], numbers[f"{kind}/{where}/virial"]
        output = model.evaluate(atoms, virial=True)
        without_forces = model.evaluate(atoms, forces=False)  # not on the compiled path
        for energy in (output.energy, without_forces.energy):
            assert_energy(energy, numbers[f"{kind}/{where}/energy"][0], atoms, precision)
        assert_close(output.forces.numpy(), forces, precision)
        assert_close(output.virial.numpy().ravel(), virial, precision)


def test_the_references_cover_what_users_have() -> None:
    assert len(FILES) > 30
    for part in ("-3.0.pth", "-3.1.pth", "-3.2.pth", "-3.0.ckpt.pt", "-3.2.ckpt.pt", ".dp", ".yaml", "-tf.dp", "dpa1"):
        assert any(part in name for name in FILES), part


@pytest.mark.parametrize("suffix", ["dp", "yaml"])
@pytest.mark.parametrize("name", ["plain", "one_side", "radial", "hybrid", "float32", "dpa1_no_attention"])
def test_models_of_the_shared_folder(name: str, suffix: str, tmp_path: Path) -> None:
    """Two liquids of 192 atoms and a molecule, through the command line and ASE; forces there have eight decimals."""
    from dp_sim.plugins.ase_calculator import DPCalculator

    path = SHARED / f"{name}.{suffix}"
    if not path.is_file():
        pytest.skip(f"{path} is not here; set DP_SIM_DATA to the folder that holds deepmd_trained/")
    assert status(["import", str(path), "-o", str(tmp_path / "m.pt")]) == 0
    calculator = DPCalculator(tmp_path / "m.pt")
    precision = "float32" if name == "float32" else "float64"
    for atoms in read(path.with_suffix(".extxyz"), ":"):
        atoms.calc, reference = calculator, atoms.calc.results
        assert_energy(atoms.get_potential_energy(), reference["energy"], atoms, precision)
        assert_close(atoms.get_forces(), reference["forces"], precision, rounding=5.1e-9)
        if "stress" in reference:
            assert_close(atoms.get_stress(), reference["stress"], precision)


@pytest.mark.parametrize("name", ["plain", "one_side", "radial", "hybrid", "dpa1_no_attention"])
def test_second_derivatives_of_imported_models(name: str, tmp_path: Path) -> None:
    """Product, rows and sparse form against differences of the forces, for models that DeePMD-kit trained on water."""
    path = SHARED / f"{name}.dp"
    if not path.is_file():
        pytest.skip(f"{path} is not here; set DP_SIM_DATA to the folder that holds deepmd_trained/")
    model, atoms = imported(path, tmp_path), read(SHARED / f"{name}.extxyz", index="0")
    vector = np.random.default_rng(0).normal(size=(len(atoms), 3))
    ends = []
    for step in (1e-4, -1e-4):
        moved = atoms.copy()
        moved.positions += step * vector
        ends.append(model.evaluate(moved).forces.numpy())
    product = model.hessian_product(atoms, vector)
    assert np.abs(product - (ends[1] - ends[0]) / 2e-4).max() < 1e-6 * np.abs(product).max()
    rows = model.sparse_hessian(atoms, [5, 2]).toarray()
    assert np.abs(rows @ vector.ravel() - product[[5, 2]].ravel()).max() < 1e-12 * np.abs(product).max()
    np.testing.assert_allclose(model.hessian(atoms, [5, 2]), rows, rtol=0, atol=1e-12 * np.abs(rows).max())


def test_the_first_atom_of_a_structure(tmp_path: Path) -> None:
    """DPA-1 with a mean puts the first atom's species into empty slots: said, and of each structure its own."""
    path = unpacked("dpa1_mean-3.2.pth", tmp_path)
    with (
        pytest.warns(UserWarning, match="its energy depends on which atom comes first, in DeePMD-kit and here"),
        pytest.warns(UserWarning, match="excludes pairs of species and has a mean"),
    ):
        import_model(path, tmp_path / "m.pt")
    model = load_model(tmp_path / "m.pt")
    numbers = NUMBERS["3.2"]
    one = Atoms(**{field: numbers[f"molecule/{field}"] for field in ("numbers", "positions", "cell", "pbc")})
    other = one[[1, 0, 2, 3, 4, 5]]
    alone = [float(model.evaluate(atoms).energy) for atoms in (one, other)]
    assert abs(alone[0] - alone[1]) > 1e-6
    np.testing.assert_allclose(model.evaluate([one, other]).energy.numpy(), alone, rtol=1e-13)


def test_more_neighbours_than_shared_slots(tmp_path: Path) -> None:
    model = imported(unpacked("dpa1_concat-3.2.pth", tmp_path), tmp_path)
    cell = Atoms("H", cell=3 * [1.5], pbc=True)
    with pytest.warns(
        UserWarning, match=r"an atom has \d\d neighbours, and this model was made for at most 50 \(sel\)"
    ):
        model.evaluate(cell)


@pytest.mark.parametrize("name", ["plain", "dpa1_concat", "dpa1_strip", "tf_dpa1_strip"])
def test_compressed(name: str, tmp_path: Path) -> None:
    """Tables in place of nets, of DPA-1's factors too: the compiled path, and DeePMD-kit's numbers to 1e-6."""
    version = "3.2-tf" if name.startswith("tf") else "3.2"
    imported(unpacked(f"{name}-{version}.{'dp' if name.startswith('tf') else 'pth'}", tmp_path), tmp_path)
    compress_file(tmp_path / "imported.pt", tmp_path / "fast.pt")
    model, numbers = load_model(tmp_path / "fast.pt"), NUMBERS[version]
    assert model.compiled[0] is not None or register_operators()
    for where in ("molecule", "liquid"):
        atoms = Atoms(**{field: numbers[f"{where}/{field}"] for field in ("numbers", "positions", "cell", "pbc")})
        output = model.evaluate(atoms, virial=True)
        assert np.abs(output.forces.numpy() - numbers[f"{name}/{where}/forces"]).max() < 1e-6
        assert abs(float(output.energy) - numbers[f"{name}/{where}/energy"][0]) < 1e-6
        assert_energy(model.evaluate(atoms, forces=False).energy, float(output.energy), atoms, "float64")


@pytest.mark.parametrize("name", ["dpa1_strip_smooth", "dpa1_mean", "dpa1_strip_one_side"])
def test_what_has_no_tables(name: str, tmp_path: Path) -> None:
    imported(unpacked(f"{name}-3.2.pth", tmp_path), tmp_path)
    with refused("model-not-compressible", "DPA-1"):
        compress_file(tmp_path / "imported.pt", tmp_path / "fast.pt")


def test_export_of_dpa1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    imported(unpacked("dpa1_concat-3.2.pth", tmp_path), tmp_path)
    assert status(["export", str(tmp_path / "imported.pt"), "-o", str(tmp_path / "back.dp")]) == 2
    assert "descriptor DPA-1; take the file that it came from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "code", "named"),
    [
        ("attn_layer", 2, "deepmd-kind-unsupported", ("'dpa1'", "2 attention layers", "attn_layer: 0")),
        ("attn_layer", None, "deepmd-value-invalid", ("attn_layer'", "'None'")),
        ("lmax", 2, "deepmd-value-unsupported", ("lmax'", "2")),
        ("use_econf_tebd", True, "deepmd-value-unsupported", ("use_econf_tebd'",)),
        ("tebd_input_mode", "mixed", "deepmd-value-invalid", ("tebd_input_mode'", "strip or concat", "'mixed'")),
        ("type_one_side", "yes", "deepmd-value-invalid", ("type_one_side'", "'yes'")),
        ("sel", [20, -1], "deepmd-value-invalid", ("sel'", "2", "[20, -1]")),
    ],
)
def test_what_dpa1_has_besides(key: str, value: object, code: str, named: tuple[str, ...], tmp_path: Path) -> None:
    tree = read_hdf5(unpacked("dpa1_concat-3.2.dp", tmp_path))
    tree["model"]["descriptor"][key] = value
    with refused(code, *named):
        parse(tree, "file")


@pytest.mark.parametrize("where", ["embedding", "fitting"])
def test_skip_connections_of_type_vectors(where: str, tmp_path: Path) -> None:
    """Widths that meet hand the vectors on, which no bias stands for."""
    content = parse(read_hdf5(unpacked("dpa1_concat-3.2.dp", tmp_path)), "file")
    net = content.descriptors[0].typed.net if where == "embedding" else content.fitting.nets[0]
    n_in = net[0].w.shape[0]
    square = replace(net[0], w=np.zeros((n_in, n_in)), b=np.zeros(n_in))
    if where == "embedding":
        typed = replace(content.descriptors[0].typed, net=(square, *net[1:]))
        content = replace(content, descriptors=(replace(content.descriptors[0], typed=typed),))
    else:
        content = replace(content, fitting=replace(content.fitting, nets=((square, *net[1:]),)))
    with refused("deepmd-network-unsupported", f"first layer of the {where} net"):
        to_model(content, ("O", "H"), "file")


# ---- what is in such files, and what is not executed ----


def test_no_code_of_deepmd_kit_in_the_references() -> None:
    archives = [*REFERENCES.glob("*.pth.gz"), *TRAINED.glob("*.pth.gz")]
    assert len(archives) > 15
    for path in archives:
        with gzip.open(path) as file, zipfile.ZipFile(file) as archive:
            assert not [name for name in archive.namelist() if "code" in name or "debug" in name], path.name


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_nothing_of_a_file_is_executed(suffix: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    content = pickle.dumps({"model": Harmful(made)}, protocol=2)
    with zipfile.ZipFile(tmp_path / f"model{suffix}", "w") as archive:
        for name, data in {"data.pkl": content, "version": b"3\n", "byteorder": b"little"}.items():
            archive.writestr(f"model/{name}", data)
    with refused("file-damaged", f"model{suffix}", "posix.mkdir" if suffix == ".pth" else "does not execute"):
        import_model(tmp_path / f"model{suffix}", tmp_path / "m.pt")
    assert not made.exists()
    pickle.loads(content)  # it would have been made
    assert made.exists()


def with_member(path: Path, member: str, content: bytes) -> Path:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{archive.namelist()[0].partition('/')[0]}/{member}", content)
    return path


def test_a_data_modifier_is_refused(tmp_path: Path) -> None:
    """3.2 keeps one beside the model; where there is none, the file is empty."""
    path = unpacked("plain-3.2.pth", tmp_path)
    with zipfile.ZipFile(path) as archive:
        (modifier,) = (name for name in archive.namelist() if "/extra/" in name)
        assert archive.getinfo(modifier).file_size == 0
    with refused("deepmd-value-unsupported", "plain-3.2.pth", "'something.pth'"):
        import_model(with_member(path, "extra/something.pth", b"x"), tmp_path / "m.pt")


def test_a_checkpoint_used_as_a_model(tmp_path: Path) -> None:
    with refused("model-not-ours", "plain-3.2.ckpt.pt", "`dp-sim import`"):
        load_model(unpacked("plain-3.2.ckpt.pt", tmp_path))


def test_checkpoints_that_are_none(tmp_path: Path) -> None:
    for content in ({"model": {}}, {"model": 1}, [1, 2], {"model": {"_extra_state": {"model_params": 1}}}):
        torch.save(content, tmp_path / "model.ckpt.pt")
        with refused("model-not-deepmd", "model.ckpt.pt", "model_params"):
            import_model(tmp_path / "model.ckpt.pt", tmp_path / "m.pt")
    heads = {"model": {"_extra_state": {"model_params": {"model_dict": {"water": {}}}}}}
    torch.save(heads, tmp_path / "model.ckpt.pt")
    with refused("deepmd-multi-task", "model.ckpt.pt", "dp --pt freeze --head"):
        import_model(tmp_path / "model.ckpt.pt", tmp_path / "m.pt")
    whole = unpacked("plain-3.2.ckpt.pt", tmp_path).read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with refused("file-damaged", "cut.pt"):
        import_model(tmp_path / "cut.pt", tmp_path / "m.pt")
