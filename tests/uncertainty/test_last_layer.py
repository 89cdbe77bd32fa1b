"""The uncertainty of a last layer: Bayesian linear regression in closed form, and derivatives of its features."""

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from random_model import write_random_model
from refusals import refused

from dp_sim import load_model
from dp_sim.compiled.evaluation import evaluate_compiled, evaluate_compiled_with_hidden
from dp_sim.model.evaluator import Model
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import calibrate, evaluate
from dp_sim.uncertainty.last_layer import Precision, uncertainty_file


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(write_random_model(tmp_path_factory.mktemp("model") / "model.pt", seed=3))


def rattled(seed: int) -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.08, seed=seed)
    return atoms


def test_energies_are_linear_in_the_features(model: Model) -> None:
    """Energies and forces of the model itself come out of its features and the weights of the last layer."""
    atoms = [rattled(seed) for seed in range(3)]
    batch, pairs = model.prepare(atoms)
    bias = model.module.model.fitting.bias[batch.species].reshape(3, -1).sum(dim=1)
    out = model.evaluate(atoms)
    theta = model.features.theta
    np.testing.assert_allclose(model.features.of(batch, pairs) @ theta, (out.energy - bias).numpy(), atol=1e-9)
    np.testing.assert_allclose(model.features.derivatives(batch, pairs) @ theta, out.forces.numpy(), atol=1e-9)


def test_the_compiled_path_has_the_same_features(tmp_path: Path) -> None:
    """Several structures in one batch, atoms in no order of their species, in double and in single precision."""
    structures = [rattled(0), molecule("HCN"), rattled(1)[::-1]]
    for dtype, relative in (("float64", 1e-10), ("float32", 1e-4)):
        model = load_model(write_random_model(tmp_path / f"{dtype}.pt", seed=4), dtype=dtype)
        (compiled,) = model.compiled
        assert compiled is not None
        batch, pairs = model.prepare(structures)
        output, hidden = evaluate_compiled_with_hidden(compiled, batch, pairs, forces=True, virial=True)
        expected = model.features.of(batch, pairs)
        np.testing.assert_allclose(model.features.of_hidden(hidden, batch), expected, rtol=relative, atol=relative)
        usual = evaluate_compiled(compiled, batch, pairs, forces=True, virial=True)
        for one, other in zip(output[:4], usual[:4], strict=True):
            np.testing.assert_array_equal(one, other)


def test_derivatives_of_the_features_by_differences(model: Model) -> None:
    atoms, step = rattled(1), 1e-4
    found = model.features.derivatives(*model.prepare(atoms))
    for atom, axis in ((0, 0), (4, 2), (8, 1)):
        sides = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            sides.append(model.features.of(*model.prepare(moved))[0])
        np.testing.assert_allclose(found[atom, axis], -(sides[0] - sides[1]) / (2 * step), atol=1e-6)


def test_the_matrix_is_that_of_bayesian_regression() -> None:
    """Posterior variance of y = theta . f with prior 1/zeta^2 and noise s^2, written with the kernel of Gaussians."""
    random = np.random.default_rng(0)
    rows, new, noise, zeta = random.normal(size=(12, 5)), random.normal(size=(4, 5)), 0.3, 0.7
    precision = Precision(5, zeta)
    precision.add(rows[:7], noise)
    precision.add(rows[7:], noise)
    prior = 1 / zeta**2
    kernel = prior * rows @ rows.T + noise**2 * np.eye(12)
    across = prior * new @ rows.T
    exact = prior * (new**2).sum(axis=1) - np.einsum("ij,jk,ik->i", across, np.linalg.inv(kernel), across)
    np.testing.assert_allclose(np.linalg.norm(new @ precision.root(), axis=1) ** 2, exact, rtol=1e-9)


@pytest.fixture(scope="module")
def labelled(model: Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Frames to train on and held out: the model with another last layer, so that eq. 1 of the regression is true."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(1)
    theta = model.features.theta
    other = theta * 0.02 * random.normal(size=len(theta))
    files = []
    for name, seeds in (("train", range(12)), ("held", range(100, 130))):
        frames = []
        for seed in seeds:
            atoms = rattled(seed)
            batch, pairs = model.prepare(atoms)
            out = model.evaluate(atoms)
            energy = out.energy.item() + float(model.features.of(batch, pairs)[0] @ other)
            forces = out.forces.numpy() + model.features.derivatives(batch, pairs) @ other
            atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
            frames.append(atoms)
        ase.io.write(folder / f"{name}.extxyz", frames)
        files.append(folder / f"{name}.extxyz")
    return files[0], files[1]


@pytest.fixture(scope="module")
def calibrated_file(model: Model, labelled: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "out"
    found = calibrate(model.files[0], labelled[1], labelled[0], out=out, progress=False)
    assert "the last layer of one model" in (out / "report.html").read_text()
    assert found.committee == out / "model.pt"
    return out / "model.pt"


def test_a_calibrated_model_gives_its_uncertainty(calibrated_file: Path, labelled: tuple[Path, Path]) -> None:
    model = load_model(calibrated_file)
    assert model.last_layer is not None
    assert model.calibration is not None
    atoms = ase.io.read(labelled[1], "0")
    batch, pairs = model.prepare(atoms)
    calculator = DPCalculator(calibrated_file)
    calculator.calculate(atoms)
    raw = np.linalg.norm(model.features.of(batch, pairs)[0] @ model.last_layer.root)
    assert calculator.results["energy_std"] == pytest.approx(model.calibration.energy.factor * raw)
    forces = calculator.get_property("forces_std", atoms)
    rows = model.features.derivatives(batch, pairs) @ model.last_layer.root
    np.testing.assert_allclose(forces, model.calibration.forces.factor * np.linalg.norm(rows, axis=2))
    values = evaluate(atoms, calibrated_file).quantities()
    assert values["energy"].model_error == pytest.approx(calculator.results["energy_std"])
    assert values["largest_force_uncertainty"].value == pytest.approx(forces.max())


def test_members_are_drawn_from_the_last_layer(
    calibrated_file: Path, labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    """Their mean is the model, energies and forces spread as the draws do, and their folder is a calibrated one."""
    model, folder, count = load_model(calibrated_file), tmp_path / "draws", 5
    found = calibrate(model.files[0], labelled[1], labelled[0], draws=count, out=folder, seed=3, progress=False)
    members, atoms = load_model(folder), rattled(7)
    assert found.committee == folder
    assert members.calibration == found.calibration
    raw, one = Model(members.modules, members.members, "cpu").evaluate(atoms), model.evaluate(atoms)
    np.testing.assert_allclose(raw.energy, one.energy, atol=1e-9)
    np.testing.assert_allclose(raw.forces, one.forces, atol=1e-9)
    assert model.last_layer is not None
    numbers = np.random.default_rng(3).standard_normal((count, len(model.last_layer.root)))
    prepared = model.prepare(atoms)
    along_energy = model.features.of(*prepared)[0] @ model.last_layer.root
    along_forces = model.features.derivatives(*prepared) @ model.last_layer.root
    assert raw.energy_std.item() == pytest.approx(np.std(numbers @ along_energy, ddof=1), rel=1e-6)
    np.testing.assert_allclose(raw.forces_std, np.std(along_forces @ numbers.T, axis=2, ddof=1), rtol=1e-6, atol=1e-12)
    assert "settings" not in members.metadata.training  # not to be trained on: see drawn.py


def test_draws_need_data_and_a_place(model: Model, labelled: tuple[Path, Path], tmp_path: Path) -> None:
    with refused("setting-missing", "out"):
        calibrate(model.files[0], labelled[1], labelled[0], draws=4, progress=False)
    pair, out = [model.files[0], write_random_model(tmp_path / "other.pt", seed=9)], tmp_path / "run"
    for given in (pair, model.files[0]):
        with refused("setting-missing", "train"):
            calibrate(given, labelled[1], draws=4, out=out, progress=False)


def test_files_that_do_not_belong_together(calibrated_file: Path, model: Model, tmp_path: Path) -> None:
    copied = tmp_path / "model.pt"
    copied.write_bytes(calibrated_file.read_bytes())
    beside = uncertainty_file(copied)
    beside.write_bytes(b"nothing")
    with refused("calibration-invalid", str(beside)):
        load_model(copied)
    with np.load(uncertainty_file(calibrated_file)) as content:
        arrays = dict(content)
    np.savez(beside, **{**arrays, "root": np.eye(3)})
    with refused("calibration-invalid", "root"):
        load_model(copied)
    text = json.loads(arrays["calibration"].tobytes())
    text["members"] = ["0" * 64]
    np.savez(beside, root=arrays["root"], calibration=np.frombuffer(json.dumps(text).encode(), dtype=np.uint8))
    with refused("calibration-stale", "00000000"):
        load_model(copied)


def test_what_is_trained_on_is_asked_of_a_single_model_only(
    model: Model, labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    other = write_random_model(tmp_path / "other.pt", seed=4)
    pair = [model.files[0], str(other)]
    with refused("members-too-few"):
        calibrate(model.files[0], labelled[1], progress=False)
    with refused("train-not-for-committees"):
        calibrate(pair, labelled[1], labelled[0], progress=False)
