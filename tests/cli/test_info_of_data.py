"""dp-sim info, test and train on data: names of labels in the output, --energy-key and so on, --strict."""

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms


@pytest.fixture
def mace(tmp_path: Path) -> Path:
    """Frames in MACE's style; one of them a hundred eV off."""
    frames = []
    for seed in range(12):
        atoms = Atoms("Ar4", positions=3.8 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]]))
        atoms.rattle(0.1, seed=seed)
        forces = np.random.default_rng(seed).normal(size=(4, 3))
        atoms.arrays["REF_forces"] = forces - forces.mean(axis=0)
        energy = -1.0 - 0.001 * seed + 100.0 * (seed == 7)
        atoms.info.update(REF_energy=energy, config_energy_weight=2.0, energy_sigma=0.1)
        frames.append(atoms)
    ase.io.write(tmp_path / "mace.extxyz", frames)
    return tmp_path / "mace.extxyz"


def words(text: str) -> str:
    return " ".join(text.split())


def test_names_and_findings_in_the_output(dp_sim: Any, mace: Path) -> None:
    shown = words(dp_sim("info", mace).out)
    said = ("'REF_energy' (12 frames)", "'REF_forces' (12 frames)", "not read: 'energy_sigma'", "config_energy_weight")
    for word in (*said, "frame 7"):
        assert word in shown, word


def test_strict_refuses(dp_sim: Any, mace: Path) -> None:
    outcome = dp_sim("info", mace, "--strict")
    assert outcome.code == 2
    assert "mace.extxyz, frame 7" in outcome.err
    assert dp_sim("info", f"{mace}@:7", "--strict").code == 0


def test_names_that_are_given(dp_sim: Any, mace: Path) -> None:
    shown = words(dp_sim("info", mace, "--energy-key", "energy_sigma").out)
    assert "from 'energy_sigma' (12 frames)" in shown
    assert "not read: 'REF_energy'" in shown
    assert "no_such" in dp_sim("info", mace, "--forces-key", "no_such").err
    assert dp_sim("info", mace, "--virial-key", "").code == 2


def test_options_of_data_are_refused_for_a_model(dp_sim: Any, models: Any) -> None:
    outcome = dp_sim("info", models[0], "--strict")
    assert outcome.code == 2
