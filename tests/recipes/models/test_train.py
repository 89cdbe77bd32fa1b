"""Training as a recipe: what a run leaves behind, how it goes on, what it refuses."""

import csv
import json
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.calculators.emt import EMT
from refusals import refused

import dp_sim
from dp_sim.config.training_input import parse_config
from dp_sim.files import write_text
from dp_sim.recipes.models import live_page
from dp_sim.recipes.models.train import TrainResult, train


def copper_frames(count: int) -> list[Atoms]:
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(count):
        atoms = Atoms("Cu4", positions=2.4 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]))
        atoms.positions += rng.normal(scale=0.1, size=(4, 3))
        atoms.calc = EMT()
        atoms.get_forces()
        frames.append(atoms)
    return frames


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    ase.io.write(tmp_path / "copper.extxyz", copper_frames(8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(**training: Any) -> dict[str, Any]:
    return {
        "model": {"cutoff": 4.0, "embedding": [4, 8], "axis_width": 2, "fitting": [8]},
        "data": {"train": ["copper.extxyz@:6"], "valid": ["copper.extxyz@6:"]},
        "training": {"steps": 10, "report_every": 4, "save_every": 5, "knots": 16, **training},
    }


@pytest.fixture
def input_file(folder: Path) -> Path:
    (folder / "copper.yaml").write_text(yaml.safe_dump(settings()))
    return folder / "copper.yaml"


def quiet(*arguments: Any, **options: Any) -> TrainResult:
    return train(*arguments, **options, progress=False)


def test_run_directory(input_file: Path) -> None:
    result = quiet("copper.yaml")
    run = input_file.with_suffix("")
    assert result.model_path.resolve() == run / "model.pt"
    for name in ("model.pt", "checkpoint.pt", "learning_curve.csv", "learning_curve.png", "parity.png", "result.json"):
        assert (run / name).stat().st_size > 0, name
    content = json.loads((run / "result.json").read_text())
    assert content["recipe"] == "train"
    assert content["values"]["steps"]["value"] == 10
    assert content["values"]["species"]["value"] == "Cu"
    assert content["values"]["held_out_forces_rmse"]["unit"] == "eV/Angstrom"
    assert "training_virial_rmse" not in content["values"]
    energy = dp_sim.load_model(run / "model.pt").evaluate(copper_frames(1)[0]).energy
    assert np.isfinite(energy.item())
    assert result.model.metadata.training["last"]["step"] == 10


def test_learning_curve(input_file: Path) -> None:
    result = quiet("copper.yaml")
    with open("copper/learning_curve.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["4", "8", "10"]
    assert {"train_energy (eV/atom)", "valid_forces (eV/Angstrom)", "seconds (s)"} <= set(rows[0])
    assert all(float(row["valid_forces (eV/Angstrom)"]) > 0 for row in rows)
    assert {row["train_virial (eV/atom)"] for row in rows} == {""}, "no frame has a virial"
    assert result.held_out is not None
    # the curve runs on the spline, the final figure on the model file: the same held-out frames, the same number
    assert float(rows[-1]["valid_forces (eV/Angstrom)"]) == pytest.approx(result.held_out.forces.rmse, rel=1e-2)


def test_a_training_that_runs_has_a_page_which_comes_again(input_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = []

    def kept(target: Path, text: str) -> None:
        pages.append(text)
        write_text(target, text)

    monkeypatch.setattr(live_page, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(live_page, "write_text", kept)
    quiet("copper.yaml")
    assert ["step 4 of 10" in pages[0], "step 8 of 10" in pages[1]] == [True, True]
    assert all("still training" in page.lower() and 'http-equiv="refresh"' in page for page in pages)
    last = (input_file.with_suffix("") / "report.html").read_text(encoding="utf-8")
    assert "still training" not in last.lower()
    assert "refresh" not in last


def test_mapping_and_config_need_out_and_give_the_same(folder: Path) -> None:
    with refused("target-missing"):
        quiet(settings())
    first = quiet(settings(), out="a")
    second = quiet(parse_config(settings()), out="b")
    assert [p[:-1] for p in first.curve] == [p[:-1] for p in second.curve]


def test_the_settings_it_leaves_repeat_the_run(input_file: Path) -> None:
    first = quiet("copper.yaml", seed=3)
    again = quiet("copper/config.yaml", out="again")
    assert [p[:-1] for p in again.curve] == [p[:-1] for p in first.curve]
    assert yaml.safe_load(Path("copper/config.yaml").read_text())["training"]["seed"] == 3


def test_interrupted_and_resumed(input_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dp_sim.training import trainer as training

    whole = quiet("copper.yaml", out="whole")
    step = training.Trainer.step

    def interrupted(self: training.Trainer) -> Any:
        if self.step_number == 6:
            raise KeyboardInterrupt
        return step(self)

    with monkeypatch.context() as patch:
        patch.setattr(training.Trainer, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            quiet("copper.yaml")
    assert not Path("copper/result.json").exists()
    with refused("target-occupied"):
        quiet("copper.yaml")
    resumed = quiet("copper.yaml", resume=True)
    assert [p[:-1] for p in resumed.curve] == [p[:-1] for p in whole.curve]
    atoms = copper_frames(1)[0]
    energies = [dp_sim.load_model(f"{run}/model.pt").evaluate(atoms).energy.item() for run in ("copper", "whole")]
    assert energies[0] == energies[1]


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"learning_rate": 2e-3}, ("run-differs", "training.learning_rate", "0.001", "0.002")),
        (
            {"steps": 20},
            ("run-differs", "training.steps", "10", "20"),
        ),
    ],
)
def test_resumed_with_other_settings(input_file: Path, change: dict[str, Any], refusal: tuple[str, ...]) -> None:
    quiet("copper.yaml")
    input_file.write_text(yaml.safe_dump(settings(**change)))
    with refused(*refusal):
        quiet("copper.yaml", resume=True)


def test_overwrite(input_file: Path) -> None:
    quiet("copper.yaml")
    with refused("target-occupied"):
        quiet("copper.yaml")
    assert quiet("copper.yaml", overwrite=True, seed=1).provenance["seed"] == 1


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"modle": {}}, ("setting-invalid", "modle", "model")),
        ({"data": {"train": ["nothing.extxyz"]}}, ("file-missing", "nothing.extxyz")),
        ({"data": {"train": ["copper.extxyz@9:"]}}, ("frames-missing",)),
        ({"model": {"species": ["Ag"]}}, ("species-unknown",)),
        ({"training": {"device": "cudda"}}, ("device-unusable", "cudda")),
    ],
)
def test_bad_input_leaves_nothing(input_file: Path, change: dict[str, Any], refusal: tuple[str, ...]) -> None:
    input_file.write_text(yaml.safe_dump({**settings(), **change}))
    before = sorted(input_file.parent.iterdir())
    with refused(*refusal):
        quiet("copper.yaml")
    assert sorted(input_file.parent.iterdir()) == before


def test_a_run_that_diverges_keeps_its_files(input_file: Path) -> None:
    change = {"training": {"steps": 4, "learning_rate": 1e30, "learning_rate_end": 1e30}}
    input_file.write_text(yaml.safe_dump({**settings(), **change}))
    with refused("training-diverged"):
        quiet("copper.yaml")
    assert "training diverged" in (input_file.parent / "copper" / "log.txt").read_text()


def test_a_negative_seed_is_refused(input_file: Path) -> None:
    with refused("setting-invalid", "training.seed"):
        train(input_file, seed=-1, progress=False)


def test_dp_sim_train_is_this(input_file: Path) -> None:
    assert dp_sim.train is train
