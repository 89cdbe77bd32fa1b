"""`start_from`: a training that begins with the weights of an earlier model."""

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.emt import EMT
from random_model import write_random_model
from refusals import refused

from dp_sim import load_model, write_committee
from dp_sim.config.training import TrainConfig
from dp_sim.config.training_input import parse_config, read_config
from dp_sim.model.compression import compress_file
from dp_sim.training.data import read_datasets
from dp_sim.training.loop import fit
from dp_sim.training.trainer import Trainer
from dp_sim.training.warm_start import members_of, start_network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of copper, two random models for them, and both as a committee."""
    folder = tmp_path_factory.mktemp("start")
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(4):
        atoms = Atoms("Cu3", positions=2.4 * np.eye(3) + rng.normal(scale=0.1, size=(3, 3)), calculator=EMT())
        atoms.get_forces()
        frames.append(atoms)
    ase.io.write(folder / "copper.extxyz", frames)
    files = [write_random_model(folder / f"{seed}.pt", seed=seed, species=("Cu",)) for seed in (1, 2)]
    write_committee(folder / "both", files)
    return folder


def settings(folder: Path, start: str, **more: Any) -> TrainConfig:
    training = {"steps": 3, "knots": 16, "learning_rate": 1e-3, **more.pop("training", {})}
    data = {"train": [str(folder / "copper.extxyz")]}
    return parse_config({"data": data, "training": training, "start_from": str(folder / start), **more})


def trainer_of(config: TrainConfig) -> Trainer:
    return Trainer(config, read_datasets(config), start_network(config))


def test_it_begins_with_the_model(folder: Path) -> None:
    """Energies before the first step are those of the file, bias and statistics included; architecture is its own."""
    (config,) = members_of(settings(folder, "1.pt"))
    assert config.model.embedding == (8, 16)
    assert config.model.precision == "float64"
    trainer = trainer_of(config)
    start = load_model(folder / "1.pt")
    for name, value in start.module.model.state_dict().items():
        assert torch.equal(trainer.model.state_dict()[name], value), name
    assert trainer.learning_rate(0) == 1e-3, "the optimiser is fresh"
    fit(trainer)
    assert not torch.equal(next(trainer.model.parameters()), next(start.module.model.parameters()))


def test_it_learns_on_from_there(folder: Path, tmp_path: Path) -> None:
    """After a training the error of the first step is that of its end, far below that of random weights."""
    from dp_sim.model.model_file import save_model

    cold = parse_config(
        {
            "model": {"cutoff": 4.0, "embedding": [4, 8], "axis_width": 2, "fitting": [8]},
            "data": {"train": [str(folder / "copper.extxyz")]},
            "training": {"steps": 300, "report_every": 300, "knots": 16, "learning_rate": 1e-2},
        }
    )
    first = Trainer(cold, read_datasets(cold))
    start = first.step()[0, 1].item()
    fit(first)
    save_model(tmp_path / "first.pt", first.model, first.config.model)
    (config,) = members_of(settings(tmp_path, "first.pt").model_copy(update={"data": cold.data}))
    assert trainer_of(config).step()[0, 1].item() < 0.2 * start


def test_weights_are_cast_to_another_precision(folder: Path) -> None:
    (config,) = members_of(settings(folder, "1.pt", model={"precision": "float32"}))
    assert next(trainer_of(config).model.parameters()).dtype == torch.float32


def test_members_begin_with_those_of_a_committee(folder: Path) -> None:
    members = members_of(settings(folder, "both", members=2))
    assert [one.start_from for one in members] == [str(folder / "both" / f"member-{k}" / "model.pt") for k in range(2)]
    assert [one.training.seed for one in members] == [0, 1]
    shared = members_of(settings(folder, "1.pt", members=3))
    assert {one.start_from for one in shared} == {str(folder / "1.pt")}


def test_a_path_is_relative_to_the_file(folder: Path) -> None:
    (folder / "input.yaml").write_text("data: {train: copper.extxyz}\nstart_from: 1.pt\n")
    assert read_config(folder / "input.yaml").start_from == str(folder / "1.pt")


@pytest.mark.parametrize(
    ("start", "more", "refusal"),
    [
        (
            "1.pt",
            {"model": {"embedding": [16, 32]}},
            ("start-differs", "model.embedding", "(16, 32)", "(8, 16)", "1.pt"),
        ),
        ("1.pt", {"model": {"cutoff": 5.0}}, ("start-differs", "model.cutoff", "5.0", "4.0")),
        ("1.pt", {"model": {"species": ["Ag"]}}, ("start-differs", "model.species", "Ag", "Cu")),
        ("both", {"members": 3}, ("start-members", "committee of 2", "3")),
        ("both", {}, ("start-members", "committee of 2", "members: 2")),
        ("none.pt", {}, ("file-missing", "none.pt")),
    ],
)
def test_what_no_training_begins_with(folder: Path, start: str, more: dict[str, Any], refusal: tuple[str, ...]) -> None:
    with refused(*refusal):
        members_of(settings(folder, start, **more))


def test_tables_are_not_trained(folder: Path, tmp_path: Path) -> None:
    compress_file(folder / "1.pt", tmp_path / "fast.pt")
    with refused("start-untrainable", "fast.pt", "compressed"):
        members_of(settings(folder, str(tmp_path / "fast.pt")))


def test_elements_that_the_model_lacks_are_refused(folder: Path) -> None:
    write_random_model(folder / "oxide.pt", species=("H", "O"))
    (config,) = members_of(settings(folder, "oxide.pt"))
    with refused("species-unknown", "Cu"):
        trainer_of(config)
