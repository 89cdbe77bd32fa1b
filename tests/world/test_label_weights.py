"""Weights in files, under the names of MACE, GPUMD and DeePMD-kit: they multiply squared errors in training."""

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.emt import EMT
from refusals import refused

from dp_sim.config.training_input import parse_config
from dp_sim.datasets.frames import Frame
from dp_sim.datasets.reading import read_all, read_frames
from dp_sim.datasets.remarks import Remarks
from dp_sim.training.data import Datasets
from dp_sim.training.trainer import Trainer


def copper(seed: int, **info: Any) -> Atoms:
    atoms = Atoms("Cu4", positions=2.4 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]]))
    atoms.rattle(0.1, seed=seed)
    atoms.calc = EMT()
    atoms.get_forces()
    atoms.info.update(info)
    return atoms


def frames(path: Path, atoms: list[Atoms]) -> tuple[list[Frame], Remarks]:
    ase.io.write(path / "a.extxyz", atoms)
    remarks = Remarks()
    return read_all([path / "a.extxyz"], remarks=remarks), remarks


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"config_weight": 2.0}, (2.0, 2.0, 2.0)),
        ({"weight": 3.0}, (3.0, 3.0, 3.0)),  # GPUMD
        ({"config_weight": 2.0, "config_energy_weight": 0.5}, (1.0, 2.0, 2.0)),  # MACE multiplies them
        ({"config_forces_weight": 4.0, "config_stress_weight": 0.1}, (1.0, 4.0, 0.1)),
        ({"energy_weight": 7.0, "config_virials_weight": 0.0}, (7.0, 1.0, 0.0)),
    ],
)
def test_names_of_weights(tmp_path: Path, info: dict[str, float], expected: tuple[float, ...]) -> None:
    (frame,), remarks = frames(tmp_path, [copper(0, **info)])
    weights = frame.weights
    assert (weights.energy, weights.forces, weights.virial) == expected
    assert all(any(f"'{key}'" in line for line in remarks.lines()) for key in info)


@pytest.mark.parametrize("value", [-1.0, float("nan"), "heavy", np.ones(3)])
def test_bad_weights_are_refused(tmp_path: Path, value: Any) -> None:
    with refused("weight-bad", "config_weight"):
        frames(tmp_path, [copper(0, config_weight=value)])


def trainer(data: list[Frame], optimizer: str) -> Trainer:
    model = {"cutoff": 4.0, "embedding": [4, 8], "axis_width": 2, "fitting": [8], "precision": "float64"}
    training = {"steps": 3, "knots": 16, "batch_size": len(data), "optimizer": optimizer}
    return Trainer(parse_config({"model": model, "data": {"train": ["a"]}, "training": training}), Datasets(data, []))


def trained(data: list[Frame], optimizer: str) -> list[torch.Tensor]:
    run = trainer(data, optimizer)
    for _ in range(3):
        run.step()
    return list(run.model.state_dict().values())


@pytest.mark.parametrize("optimizer", ["adam", "rlekf"])
def test_a_frame_of_weight_zero_that_is_500_ev_off_changes_nothing(tmp_path: Path, optimizer: str) -> None:
    good, wrong = copper(0), copper(1, config_weight=0.0)
    wrong.calc.results["free_energy"] += 500.0
    data, remarks = frames(tmp_path, [good, wrong])
    assert len(data) == 1
    assert any("of weight 0 left out" in line for line in remarks.lines())
    alone, _ = frames(tmp_path, [good])
    assert all(map(torch.equal, trained(data, optimizer), trained(alone, optimizer)))


@pytest.mark.parametrize("optimizer", ["adam", "rlekf"])
def test_weights_reach_the_step(tmp_path: Path, optimizer: str) -> None:
    plain, _ = frames(tmp_path, [copper(0), copper(1)])
    weighed, _ = frames(tmp_path, [copper(0), copper(1, config_forces_weight=9.0)])
    assert not all(map(torch.equal, trained(plain, optimizer), trained(weighed, optimizer)))


def test_the_energy_bias_follows_the_weights(tmp_path: Path) -> None:
    """Two frames of one composition, energies 1 and 5, weights 3 and 1: their weighed mean is 2."""
    atoms = [copper(0), copper(1)]
    for frame, energy, weight in zip(atoms, (1.0, 5.0), (3.0, 1.0), strict=True):
        frame.calc.results.update(energy=energy, free_energy=energy)
        frame.info["config_energy_weight"] = weight
    data, _ = frames(tmp_path, atoms)
    assert 4 * float(trainer(data, "adam").model.fitting.bias[0]) == pytest.approx(2.0)


def test_atom_pref_of_deepmd_folders_weighs_forces(tmp_path: Path) -> None:
    part = tmp_path / "sys" / "set.000"
    part.mkdir(parents=True)
    (part.parent / "type.raw").write_text("0 1")
    (part.parent / "type_map.raw").write_text("O H")
    (part.parent / "nopbc").touch()
    np.save(part / "coord.npy", [[0, 0, 0, 0, 0, 1.0]])
    np.save(part / "force.npy", [[0, 0, 1.0, 0, 0, -1.0]])
    np.save(part / "atom_pref.npy", [[2.0, 0.5]])
    np.save(part / "atom_ener.npy", [[2.0, 0.5]])
    remarks = Remarks()
    (frame,) = read_frames(tmp_path / "sys", remarks=remarks)
    assert np.asarray(frame.weights.forces).tolist() == [2.0, 0.5]
    said = " ".join(remarks.lines())
    assert "atom_pref.npy" in said
    assert "not read: 'atom_ener.npy' (1 frame)" in said
