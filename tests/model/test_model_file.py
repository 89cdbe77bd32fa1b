"""The model file: what is in it, what opens it, and what is refused."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from model_contract import assert_same, open_model
from refusals import refused
from systems import CUTOFF, SPECIES, crystal, random_config, random_model, structures

from dp_sim import __version__
from dp_sim.errors import ModelFileError
from dp_sim.model.evaluator import eager_model
from dp_sim.model.integrity import with_checksums
from dp_sim.model.model_file import load_model, read_metadata, save_model
from dp_sim.model.potential import DeepPotential, Potential
from dp_sim.model.upgrade import STATE_VERSION
from dp_sim.torchscript import script, to_bytes


@pytest.fixture(scope="module")
def original() -> DeepPotential:
    return random_model(random_config())


@pytest.fixture(scope="module")
def model_file(original: DeepPotential, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "random.pt"
    save_model(path, original, random_config(), {"steps": 12})
    return path


def test_metadata(model_file: Path) -> None:
    import hashlib

    metadata = load_model(model_file).metadata
    assert metadata == read_metadata(model_file)
    assert metadata.species == SPECIES
    assert metadata.cutoff == CUTOFF
    assert metadata.dtype == "float64"
    assert metadata.units == {"length": "Angstrom", "energy": "eV"}
    assert metadata.training == {"steps": 12}
    assert metadata.config["embedding"] == [6, 12, 12]
    assert metadata.dp_sim_version == __version__
    assert metadata.torch_version == torch.__version__
    assert metadata.sha256 == hashlib.sha256(model_file.read_bytes()).hexdigest()


def test_a_model_shows_what_it_is(model_file: Path, original: DeepPotential) -> None:
    weights = sum(parameter.numel() for parameter in original.parameters())
    model = load_model(model_file)
    assert model.n_parameters == weights
    text = repr(model)
    for part in ("H O Cu", "cutoff 4 Angstrom", f"{weights:,} parameters", "float64"):
        assert part in text
    assert "RMSE" not in text
    assert "\n" not in text


def test_a_trained_model_shows_its_errors(original: DeepPotential, tmp_path: Path) -> None:
    """Of held-out frames where there were some, else of the training frames."""
    last = {"train_energy": 0.002, "train_forces": 0.05, "valid_energy": 0.0034, "valid_forces": 0.0456}
    save_model(tmp_path / "a.pt", original, random_config(), {"last": last})
    assert "RMSE 3.4 meV/atom, 45.6 meV/Angstrom (held out)" in repr(load_model(tmp_path / "a.pt"))
    last |= {"valid_energy": None, "valid_forces": None}
    save_model(tmp_path / "b.pt", original, random_config(), {"last": last})
    assert "RMSE 2 meV/atom, 50 meV/Angstrom (training)" in repr(load_model(tmp_path / "b.pt"))
    committee = load_model([tmp_path / "a.pt", tmp_path / "b.pt"])
    assert repr(committee).startswith("<Committee of 2 models")


def test_file_gives_what_the_model_gives(model_file: Path, original: DeepPotential) -> None:
    eager = open_model(Potential(original, CUTOFF), "float64")
    for atoms in (structures()["cluster"], structures()["TTF"]):
        got, expected = (m.evaluate(atoms, virial=True) for m in (load_model(model_file), eager))
        assert_same(got.energy, expected.energy, 1e-13, "energy")
        assert_same(got.forces, expected.forces, 1e-12, "forces")
        assert_same(got.virial, expected.virial, 1e-12, "virial")


@pytest.mark.parametrize("descriptor", ["deeppot-se", "radial", "local-frame", "deep-potential"])
def test_the_network_of_a_file_in_python_again(tmp_path: Path, descriptor: str) -> None:
    config = random_config(descriptor=descriptor)
    save_model(tmp_path / "model.pt", random_model(config), config)
    model = load_model(tmp_path / "model.pt")
    again = open_model(Potential(eager_model(model), CUTOFF), "float64")
    atoms = structures()["cluster"]
    assert_same(again.evaluate(atoms).forces, model.evaluate(atoms).forces, 1e-12, "forces")


def test_saving_leaves_the_model_trainable(tmp_path: Path) -> None:
    model = random_model(random_config())
    save_model(tmp_path / "a.pt", model, random_config())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in load_model(tmp_path / "a.pt").module.parameters())


def test_only_what_is_asked_is_computed(model_file: Path) -> None:
    model, atoms = load_model(model_file), crystal((True, True, True))
    assert model.evaluate(atoms, forces=False).forces is None
    assert model.evaluate(atoms).virial is None
    only_virial = model.evaluate(atoms, forces=False, virial=True)
    assert only_virial.forces is None
    full = model.evaluate(atoms, virial=True)
    assert_same(only_virial.virial, full.virial, 1e-12, "virial")
    assert not full.energy.requires_grad


def test_the_input_is_not_changed(model_file: Path) -> None:
    atoms = crystal((True, True, True))
    before = atoms.copy()
    load_model(model_file).evaluate(atoms, virial=True)
    assert atoms == before


def test_casting(model_file: Path, original: DeepPotential) -> None:
    """Weights change, the energy bias does not, and the geometry stays float64."""
    atoms = structures()["cluster"]
    exact = load_model(model_file).evaluate(atoms)
    single = load_model(model_file, dtype="float32")
    assert single.metadata.dtype == "float32"
    assert {p.dtype for p in single.module.parameters()} == {torch.float32}
    assert torch.equal(single.module.model.fitting.bias, original.fitting.bias)
    output = single.evaluate(atoms)
    assert output.energy.dtype == torch.float64
    assert 0 < float((output.energy - exact.energy).abs()) < 1e-4
    with refused("choice-unknown", "flaot64", "float64", "float32"):
        load_model(model_file, dtype="flaot64")
    with refused("choice-unknown", "float16", "float32", "float64"):
        load_model(model_file, dtype="float16")


@pytest.mark.parametrize("device", ["cuda:99", "cudda", "meta0"])
def test_a_device_that_is_not_there(model_file: Path, device: str) -> None:
    with refused("device-unusable", device) as caught:
        load_model(model_file, device=device)
    assert not isinstance(caught.value, ModelFileError), "the file is not to blame"


def test_a_gpu_is_called_cuda(model_file: Path) -> None:
    with refused("device-unusable", "cuda"):
        load_model(model_file, device="gpu:0")


@pytest.mark.parametrize("what", [None, 123, b"model.pt", [None], {"model.pt": 1}])
def test_what_is_no_model(what: object) -> None:
    with refused("model-invalid"):
        load_model(what)  # type: ignore[arg-type]


# ---- structures ----


def crowd(edge: float, pbc: bool) -> Atoms:
    """192 atoms in a cube, as of water whose lengths lost a factor of 180 on their way."""
    positions = np.random.default_rng(0).uniform(0, edge, (192, 3))
    return Atoms("H192", positions=positions, cell=[edge] * 3, pbc=pbc)


@pytest.mark.parametrize(
    ("atoms", "refusal"),
    [
        (Atoms(), ("atoms-missing",)),
        (Atoms("HNe", positions=[[0, 0, 0], [0, 0, 1]]), ("species-unknown", "Ne")),
        (Atoms("HX", positions=[[0, 0, 0], [0, 0, 1]]), ("element-invalid", "1", "0")),
        (Atoms([1, 150], positions=[[0, 0, 0], [0, 0, 1]]), ("element-invalid", "1", "150")),
        (Atoms([1, -1], positions=[[0, 0, 0], [0, 0, 1]]), ("element-invalid", "1", "-1")),
        (Atoms("HO", positions=[[0, 0, 0], [0, np.nan, 1]]), ("position-not-finite", "1")),
        (Atoms("HO", positions=[[0, 0, 0], [0, 0, 1e9]]), ("position-too-far", "1")),
        (Atoms("HO", positions=[[0, 0, 0], [0, 0, 0.009]]), ("atoms-coincide", "0", "1", "0.009")),
        (Atoms("HO", positions=[[0, 0, 0], [0, 0, 5]], cell=[9, 9, 5], pbc=True), ("atoms-coincide",)),
        (Atoms("H", pbc=True), ("cell-without-volume",)),
        (Atoms("H", cell=[[3, 0, 0], [3, 1e-9, 0], [0, 0, 3]], pbc=True), ("cell-without-volume",)),
        (Atoms("H", cell=[3, 0, 3], pbc=(True, True, False)), ("cell-without-volume",)),
        (Atoms("H", cell=[1e-3, 3, 3], pbc=True), ("cell-without-volume",)),
        (crowd(0.1, True), ("atoms-too-dense", "192", "0.001")),
        (Atoms("H", cell=[np.nan, 3, 3], pbc=(False, True, True)), ("cell-not-finite",)),
    ],
)
def test_bad_structures(model_file: Path, atoms: Atoms, refusal: tuple[str, ...]) -> None:
    model = load_model(model_file)
    with refused(*refusal):
        model.evaluate(atoms)
    with refused(refusal[0], "structure 1"):
        model.evaluate([Atoms("H"), atoms])


def test_no_structures(model_file: Path) -> None:
    with refused("structures-missing"):
        load_model(model_file).evaluate([])


def test_open_axes_need_no_cell(model_file: Path) -> None:
    atoms = Atoms("HO", positions=[[0, 0, 0], [0, 0, 1]], cell=[3, 0, 3], pbc=(True, False, True))
    assert bool(torch.isfinite(load_model(model_file).evaluate(atoms).energy).all())


# ---- files ----


def test_absent_files(tmp_path: Path) -> None:
    for path, code in ((tmp_path / "none.pt", "file-missing"), (tmp_path, "committee-missing")):
        with refused(code, str(path)):
            load_model(path)
    with refused("model-missing"):
        load_model([])


def test_files_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("cutoff: 6.0\n")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "state.pt")
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    (tmp_path / "linear.pt").write_bytes(to_bytes(script(torch.nn.Linear(2, 2))))
    kinds = {
        "text.pt": "file-damaged",
        "state.pt": "model-not-ours",
        "arrays.npz": "model-not-ours",
        "linear.pt": "model-not-ours",
    }
    for name, code in kinds.items():
        with refused(code, name):
            load_model(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"version": 99, "dp_sim_version": "9.9", "species": None}, ("version-newer", "99", "9.9", str(STATE_VERSION))),
        ({"format": "other"}, ("model-not-ours", "other")),
    ],
)
def test_newer_and_foreign_metadata(
    model_file: Path, tmp_path: Path, change: dict[str, object], refusal: tuple[str, ...]
) -> None:
    with zipfile.ZipFile(model_file) as old:
        metadata = json.loads(old.read(next(name for name in old.namelist() if name.endswith("dp_sim.json"))))
    extra = {"dp_sim.json": json.dumps({**metadata, **change}).encode()}
    (tmp_path / "new.pt").write_bytes(with_checksums(to_bytes(script(torch.nn.Linear(2, 2)), extra)))
    with refused(*refusal, "new.pt"):
        load_model(tmp_path / "new.pt")


def test_no_permission_leaves_nothing(tmp_path: Path) -> None:
    with refused("target-not-writable"):
        save_model(tmp_path / "absent" / "model.pt", random_model(random_config()), random_config())
    assert list(tmp_path.iterdir()) == []


def test_a_fresh_process_opens_it_without_a_warning(model_file: Path) -> None:
    """No import but dp_sim itself, every warning an error; the same numbers as here."""
    program = (
        "import sys, dp_sim; from ase import Atoms\n"
        "atoms = Atoms('OHH', positions=[[0, 0, 0], [1, 0, 0], [0, 1, 0]])\n"
        "print(repr(dp_sim.load_model(sys.argv[1]).evaluate(atoms).energy.item()))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(model_file)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    atoms = Atoms("OHH", positions=[[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert float(run.stdout) == pytest.approx(load_model(model_file).evaluate(atoms).energy.item(), rel=1e-14)
