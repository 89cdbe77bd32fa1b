"""A committee whose errors are drawn with a known scale: found, kept with the members, applied; refused when stale."""

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from random_model import write_random_model
from refusals import refused

from dp_sim import load_model, write_committee
from dp_sim.model.committee_writing import attach_calibration
from dp_sim.model.evaluator import Model
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import calibrate, evaluate, load_result, optimize
from dp_sim.uncertainty.calibration import Calibration
from dp_sim.uncertainty.likelihood import STANDARD, student_quantile
from dp_sim.uncertainty.scale import Scale

#: Errors are this times spread times Student's t of 3 degrees: what four members and the truth of one normal
#: distribution would give for alpha^2 = 4 - 1/4.
SCALE = 2.0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("members")
    return [write_random_model(folder / f"{seed}.pt", seed=seed) for seed in range(4)]


def frames(model: Model, count: int = 60, seed: int = 0) -> list[Atoms]:
    random = np.random.default_rng(seed)
    labelled = []
    for _ in range(count):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.1, rng=random)
        output = model.evaluate(atoms)
        assert output.energy_std is not None
        assert output.forces is not None
        assert output.forces_std is not None
        energy = output.energy + SCALE * output.energy_std * random.standard_t(3)
        forces = output.forces + SCALE * output.forces_std * torch.from_numpy(random.standard_t(3, size=(9, 3)))
        atoms.calc = SinglePointCalculator(atoms, energy=energy.item(), forces=forces.numpy())
        labelled.append(atoms)
    return labelled


@pytest.fixture(scope="module")
def raw(files: list[Path]) -> Model:
    return load_model(files)


@pytest.fixture(scope="module")
def data(raw: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "held_out.extxyz"
    ase.io.write(path, frames(raw))
    return path


def test_the_scale_is_found_and_kept_with_the_members(
    files: list[Path], raw: Model, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "calibrated"
    result = calibrate(files, data, out=folder, progress=False)
    expected = SCALE * student_quantile(STANDARD, 1, 3)
    assert result.calibration.forces.factor == pytest.approx(expected, rel=0.1)  # 1620 components
    assert result.calibration.energy.factor == pytest.approx(expected, rel=0.4)  # 60 energies
    assert (result.energy.points, result.forces.points, result.atoms.points) == (60, 1620, 540)
    for level, share in zip((0.5, 0.68, 0.9, 0.95), result.forces.coverage, strict=True):
        assert share is not None
        assert share.value == pytest.approx(level, abs=0.05)
    calibrated = load_model(folder)
    assert calibrated.calibration == result.calibration
    ours, theirs = calibrated.evaluate(molecule("CH4")), raw.evaluate(molecule("CH4"))
    factor = result.calibration.forces.factor
    assert ours.forces_std is not None
    assert theirs.forces_std is not None
    np.testing.assert_allclose(ours.forces_std, factor * theirs.forces_std)
    np.testing.assert_array_equal(ours.forces, theirs.forces)
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [f"member-{k}" for k in range(4)]
    content = json.loads((folder / "result.json").read_text())["values"]
    assert content["forces_coverage"]["unit"] == "%"
    assert content["forces_alpha_squared"]["value"] is not None
    assert (folder / "reliability.png").stat().st_size > 0
    again = load_result(folder)
    assert again.calibration == result.calibration
    assert again.forces.coverage == result.forces.coverage
    calibrate(files, data, out=folder, overwrite=True, progress=False)  # the members of the first run go with it
    assert load_model(folder).calibration is not None


def test_the_folder_of_a_committee_is_calibrated_in_place(
    files: list[Path], raw: Model, data: Path, tmp_path: Path
) -> None:
    folder = write_committee(tmp_path / "committee", files)
    first = calibrate(folder, data, out=tmp_path / "run", progress=False)
    calculator = DPCalculator(folder)
    atoms = molecule("CH4")
    calculator.calculate(atoms)
    before = raw.evaluate(atoms).energy_std
    assert before is not None
    ratio = calculator.results["energy_std"] / before.item()
    assert ratio == pytest.approx(first.calibration.energy.factor)
    values = evaluate(atoms, calculator).quantities()
    assert values["energy_uncertainty"].value == pytest.approx(calculator.results["energy_std"])
    assert values["energy"].to_dict()["model_error"] == pytest.approx(calculator.results["energy_std"])
    relaxed = optimize(atoms, calculator, steps=1, out=tmp_path / "opt", progress=False)
    written = json.loads((tmp_path / "opt" / "result.json").read_text())["values"]["energy"]
    expected = calculator.model.evaluate(relaxed.atoms).energy_std
    assert expected is not None
    assert written["model_error"] == pytest.approx(expected.item())
    assert "by the model" in (tmp_path / "opt" / "report.html").read_text()
    low, high = written["total_ci95"]
    assert low < written["value"] < high
    assert "energy_spread" not in values
    assert "energy_spread" in evaluate(atoms, raw).quantities()
    # not calibrated twice: the raw spread is what is measured
    second = calibrate(folder, data, out=tmp_path / "again", progress=False)
    assert second.calibration == first.calibration


def test_trajectories_are_blocks(raw: Model, data: Path, tmp_path: Path) -> None:
    """Two files, the errors of the second ten times as large: a scale of one says nothing of the other."""
    other = frames(raw, 20, seed=5)
    for atoms in other:
        mean = raw.evaluate(atoms).forces
        assert mean is not None
        atoms.calc.results["forces"] = mean.numpy() + 10 * (atoms.calc.results["forces"] - mean.numpy())
    ase.io.write(tmp_path / "other.extxyz", other)
    result = calibrate(raw, [data, tmp_path / "other.extxyz"], progress=False)
    share = result.forces.coverage[1]
    assert share is not None
    assert share.error > 0.2


def test_a_stale_calibration_is_refused(files: list[Path], raw: Model, tmp_path: Path) -> None:
    folder = write_committee(tmp_path / "committee", files)
    attach_calibration(
        folder, Calibration(tuple(one.sha256 for one in raw.members), *[Scale(1.0, (None,) * 4)] * 3, {})
    )
    assert load_model(folder).calibration is not None
    write_random_model(folder / "member-1" / "model.pt", seed=77)
    with refused("calibration-stale", folder / "calibration.json", "dp-sim calibrate"):
        load_model(folder)


def test_refused(files: list[Path], raw: Model, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with refused("members-too-few", "0.pt"):
        calibrate(files[:1], data, out=out, progress=False)
    with refused("members-equal", "0.pt"):
        calibrate([files[0], files[0]], data, out=out, progress=False)
    with refused("calculator-kind", "EMT"):
        calibrate(EMT(), data, out=out, progress=False)
    with refused("file-missing"):
        calibrate(raw, tmp_path / "none.extxyz", out=out, progress=False)
    with refused("labels-too-few", "10", "energy", "4 in"):
        calibrate(raw, f"{data}@:4", out=out, progress=False)
    with refused("labels-too-few", "forces", "0 in"):
        for atoms in (bare := ase.io.read(data, ":")):
            del atoms.calc.results["forces"]
        ase.io.write(tmp_path / "bare.extxyz", bare)
        calibrate(raw, tmp_path / "bare.extxyz", out=out, progress=False)
    with refused("setting-out-of-range", "blocks"):
        calibrate(raw, data, blocks=1, out=out, progress=False)
    atom = Atoms("H")
    atom.calc = SinglePointCalculator(atom, energy=1.0, forces=np.zeros((1, 3)))
    ase.io.write(tmp_path / "atoms.extxyz", [atom] * 12)
    with refused("spread-missing", "forces"):
        calibrate(raw, tmp_path / "atoms.extxyz", out=out, progress=False)
    assert not out.exists()
    folder = write_committee(tmp_path / "committee", files)
    with refused("target-is-source", "member-0"):
        calibrate(folder, data, out=folder, overwrite=True, progress=False)
