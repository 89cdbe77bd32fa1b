"""A committee trained in one call: its folder, its members, how it goes on after a kill, what it refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from ase.calculators.emt import EMT
from refusals import refused

import dp_sim
from dp_sim.config.training_input import parse_config
from dp_sim.errors import DPSimError, InputError, TrainingError
from dp_sim.recipes import load_result
from dp_sim.recipes.models.committee import processes
from dp_sim.recipes.models.committee.result import CommitteeResult
from dp_sim.recipes.models.train import train
from dp_sim.training.data import held_out_by_all, read_datasets


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


def settings(data: dict[str, Any] | None = None, **training: Any) -> dict[str, Any]:
    return {
        "model": {"cutoff": 4.0, "embedding": [4, 8], "axis_width": 2, "fitting": [8]},
        "data": {"train": ["copper.extxyz@:6"], "valid": ["copper.extxyz@6:"], **(data or {})},
        "training": {"steps": 10, "report_every": 4, "save_every": 5, "knots": 16, "seed": 5, **training},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """copper.extxyz, its settings, and a committee of two that was trained on it."""
    folder = tmp_path_factory.mktemp("committee")
    ase.io.write(folder / "copper.extxyz", copper_frames(8))
    (folder / "copper.yaml").write_text(yaml.safe_dump(settings()))
    train(folder / "copper.yaml", out=folder / "pair", members=2, progress=False)
    return folder


def weights(model: Path) -> list[torch.Tensor]:
    return list(dp_sim.load_model(model).module.state_dict().values())


def same(one: Path, other: Path) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_the_folder_and_its_numbers(folder: Path) -> None:
    pair = folder / "pair"
    assert json.loads((pair / "committee.json").read_text())["members"] == ["member-0/model.pt", "member-1/model.pt"]
    for name in ("report.html", "learning_curves.png", "parity.png", "member-1/report.html", "member-1/checkpoint.pt"):
        assert (pair / name).stat().st_size > 0, name
    values = json.loads((pair / "result.json").read_text())["values"]
    assert values["seed"]["value"] == [5, 6]
    assert values["members"]["value"] == 2
    result = load_result(pair)
    assert isinstance(result, CommitteeResult)
    assert result.model.folder == pair
    # the errors of the mean, by hand
    frames = ase.io.read(folder / "copper.extxyz", "6:")
    labels = np.stack([atoms.get_forces() for atoms in frames])
    calculators = [dp_sim.load_model(pair / f"member-{k}" / "model.pt") for k in range(2)]
    forces = np.array([[one.evaluate(atoms).forces.numpy() for atoms in frames] for one in calculators])
    assert result.held_out is not None
    assert result.held_out.forces.rmse == pytest.approx(np.sqrt(np.square(forces.mean(0) - labels).mean()))
    assert result.spread is not None
    assert result.spread.forces == pytest.approx(np.sqrt(np.square(forces[0] - forces[1]).mean() / 2))
    for k, own in enumerate(values["members_held_out_forces_rmse"]["value"]):
        assert own == pytest.approx(np.sqrt(np.square(forces[k] - labels).mean()))


def test_a_member_is_what_its_settings_train_alone(folder: Path, tmp_path: Path) -> None:
    """Whether trained beside others or alone, with its own seed or from the settings that it leaves."""
    member = folder / "pair" / "member-1" / "model.pt"
    train(folder / "copper.yaml", out=tmp_path / "alone", seed=6, progress=False)
    assert same(member, tmp_path / "alone" / "model.pt")
    assert not same(member, folder / "pair" / "member-0" / "model.pt")
    train(folder / "pair" / "member-1" / "config.yaml", out=tmp_path / "again", progress=False)
    assert same(member, tmp_path / "again" / "model.pt")


def test_killed_and_resumed(folder: Path, tmp_path: Path) -> None:
    """SIGKILL of the process that waits ends its members; --resume ends with the weights of a run that went through."""
    long = {"steps": 200, "report_every": 100, "save_every": 10}
    (folder / "long.yaml").write_text(yaml.safe_dump({**settings(**long), "members": 2}))
    command = [sys.executable, "-m", "dp_sim.cli.main", "train", str(folder / "long.yaml"), "-o", str(tmp_path / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoints = [tmp_path / "run" / f"member-{k}" / "checkpoint.pt" for k in range(2)]
    while not any(file.exists() for file in checkpoints) and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1.0)
    written = {file: file.stat().st_mtime_ns for file in checkpoints if file.exists()}
    assert min(torch.load(file, weights_only=True)["step"] for file in written) < 200
    time.sleep(1.0)
    assert {file: file.stat().st_mtime_ns for file in checkpoints if file.exists()} == written, "a member lives on"
    with refused("committee-missing", "run"):
        dp_sim.load_model(tmp_path / "run")
    train(folder / "long.yaml", out=tmp_path / "run", resume=True, progress=False)
    member = tmp_path / "run" / written.popitem()[0].parent.name
    train(member / "config.yaml", out=tmp_path / "whole", progress=False)
    assert same(member / "model.pt", tmp_path / "whole" / "model.pt")


def test_ended_members_are_left_alone_and_overwriting_removes_all(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "pair", tmp_path / "run")
    (tmp_path / "run" / "member-1" / "result.json").unlink()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    models = [tmp_path / "run" / f"member-{k}" / "model.pt" for k in range(2)]
    before = [file.stat().st_mtime_ns for file in models]
    again = train(folder / "copper.yaml", out=tmp_path / "run", members=2, resume=True, progress=False)
    assert len(again.model.members) == 2
    assert [file.stat().st_mtime_ns == was for file, was in zip(models, before, strict=True)] == [True, False]
    with refused("run-differs", "members", "2", "3"):
        train(folder / "copper.yaml", out=tmp_path / "run", members=3, resume=True, progress=False)
    train(folder / "copper.yaml", out=tmp_path / "run", overwrite=True, progress=False)
    left = {file.name for file in (tmp_path / "run").iterdir()}
    assert "mine.txt" in left
    assert not any(name.startswith(("member-", "committee")) for name in left)


def test_frames_of_members(folder: Path) -> None:
    """The same held-out frames unless asked otherwise; drawn with replacement, from other random numbers each."""

    def of_members(**data: Any) -> list[tuple[list[str], list[str]]]:
        sources = {"train": [str(folder / "copper.extxyz")], "valid": []}
        config = parse_config({**settings({**sources, **data}), "members": 3})
        read = [read_datasets(config.of_member(k)) for k in range(3)]
        shared = [frame.name for frame in held_out_by_all(config)]
        valid = [{frame.name for frame in one.valid} for one in read]
        assert set(shared) == set.intersection(*valid)
        return [([f.name for f in one.train], [f.name for f in one.valid]) for one in read]

    plain = of_members(valid_fraction=0.25)
    assert plain[0] == plain[1] == plain[2]
    assert len(plain[0][1]) == 2
    own = of_members(valid_fraction=0.25, own_splits=True)
    assert len({tuple(valid) for _, valid in own}) > 1
    drawn = of_members(valid_fraction=0.25, bootstrap=True)
    assert {tuple(valid) for _, valid in drawn} == {tuple(plain[0][1])}
    assert len({tuple(train) for train, _ in drawn}) == 3
    for train_frames, valid in drawn:
        assert len(train_frames) == 6 > len(set(train_frames))
        assert not set(train_frames) & set(valid)


def test_the_bootstrap_leaves_out_its_share() -> None:
    """Of many frames 1 - 1/e are drawn (Efron 1979)."""
    from dp_sim.training.data import _drawn

    frames: Any = list(range(4000))
    drawn = _drawn(frames, parse_config(settings({"bootstrap": True})))
    assert len(set(drawn)) / 4000 == pytest.approx(1 - np.exp(-1), abs=0.02)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"members": 1}, ("setting-invalid", "members", "2")),
        ({"members": 2, "data": {"train": ["nothing.extxyz"]}}, ("file-missing", "nothing.extxyz")),
        (
            {"data": {"train": ["copper.extxyz"], "own_splits": True}},
            ("setting-invalid", "own_splits", "valid_fraction"),
        ),
        (
            {"data": {"train": ["copper.extxyz"], "own_splits": True, "valid_fraction": 0.2}},
            ("setting-invalid", "own_splits", "members"),
        ),
        ({"members": 2, "model": {"species": ["Ag"]}}, ("species-unknown", "member-")),
        ({"member": 2}, ("setting-invalid", "'member'", "'members'")),
    ],
)
def test_bad_input_leaves_nothing(
    folder: Path, tmp_path: Path, change: dict[str, Any], refusal: tuple[str, ...]
) -> None:
    (folder / "bad.yaml").write_text(yaml.safe_dump({**settings(), **change}))
    with refused(*refusal):
        train(folder / "bad.yaml", out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", [TrainingError, InputError])
def test_a_member_that_fails_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[DPSimError]
) -> None:
    """One that diverges lets the others end, and all files stay; one that refuses its data leaves nothing."""
    ended = []

    def fails_once(self: processes._Processes, config: Any, directory: Path, advance: Any) -> list[str]:
        if directory.name == "member-1":
            raise kind("training-diverged", "training diverged")
        time.sleep(0.2)
        ended.append(directory.name)
        return []

    monkeypatch.setattr(processes._Processes, "train", fails_once)
    with refused("training-diverged", "member-1"):
        train(folder / "copper.yaml", out=tmp_path / "run", members=3, progress=False)
    assert (tmp_path / "run" / "log.txt").is_file() == (kind is TrainingError)
    if kind is TrainingError:
        assert ended == ["member-0", "member-2"]


def test_runs_from_before_these_keys_go_on() -> None:
    """A setting at its default is not written, so that the config.yaml and checkpoints of earlier runs stay equal."""
    written = parse_config(settings()).model_dump(mode="json")
    assert not {"members", "start_from"} & written.keys()
    assert not {"bootstrap", "split_seed", "own_splits"} & written["data"].keys()
