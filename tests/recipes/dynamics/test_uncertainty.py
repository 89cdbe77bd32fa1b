"""The watch on a committee: what is told, kept and ended above a limit of force uncertainty."""

import csv
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT
from random_model import write_random_model
from refusals import refused

from dp_sim import load_model
from dp_sim.model.evaluator import Model
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import run_nvt
from dp_sim.uncertainty.calibration import Calibration
from dp_sim.uncertainty.scale import Scale

SHORT = {"temperature_K": 50, "timestep_fs": 0.1, "sample_every": 5, "frame_every": 5, "progress": False}


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("members")
    return load_model([write_random_model(folder / f"{seed}.pt", seed=seed) for seed in (1, 2, 3)])


def spread_of_atoms(members: Model, atoms: ase.Atoms) -> np.ndarray:
    """From the members one by one: sqrt(sum |F - <F>|^2 / (M - 1))."""
    forces = []
    for module, metadata in zip(members.modules, members.members, strict=True):
        found = Model([module], [metadata], "cpu").evaluate(atoms).forces
        assert found is not None
        forces.append(found.numpy())
    away = np.array(forces) - np.mean(forces, axis=0)
    return np.sqrt(np.square(away).sum(axis=(0, 2)) / (len(forces) - 1))


def test_frames_above_the_limit_are_told_and_kept(members: Model, tmp_path: Path) -> None:
    atoms = molecule("CH4")
    largest = spread_of_atoms(members, atoms).max()
    result = run_nvt(atoms, members, steps=10, max_force_uncertainty_eV_A=largest / 2, out=tmp_path / "run", **SHORT)
    with (tmp_path / "run" / "thermo.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["force_uncertainty_eV_A"]) == pytest.approx(largest)
    kept = ase.io.read(tmp_path / "run" / "uncertain.extxyz", ":")
    assert [frame.info["step"] for frame in kept] == [0, 5, 10]
    for frame, row in zip(kept, rows, strict=True):
        assert frame.info["force_uncertainty_eV_A"] == pytest.approx(float(row["force_uncertainty_eV_A"]))
        assert spread_of_atoms(members, frame).max() == pytest.approx(frame.info["force_uncertainty_eV_A"], rel=1e-4)
    notes = " ".join(result.provenance["notes"])
    for words in ("3 of 3 samples", "at step 0", "not calibrated"):
        assert words in notes


def test_it_stops_where_asked_and_goes_on_with_a_larger_limit(members: Model, tmp_path: Path) -> None:
    atoms = molecule("CH4")
    limit = spread_of_atoms(members, atoms).max() / 2
    options = {**SHORT, "out": tmp_path / "run", "when_uncertain": "stop"}
    result = run_nvt(atoms, members, steps=10, max_force_uncertainty_eV_A=limit, **options)
    assert not result.converged
    assert "force uncertainty" in result.cause
    assert result.rows[-1].step == 0
    again = run_nvt(atoms, members, steps=10, max_force_uncertainty_eV_A=100 * limit, resume=True, **options)
    assert again.rows[-1].step == 10
    assert "force uncertainty" not in again.cause


def test_below_the_limit_nothing_is_said_and_nothing_kept(members: Model, tmp_path: Path) -> None:
    result = run_nvt(molecule("CH4"), members, steps=10, max_force_uncertainty_eV_A=1e3, out=tmp_path / "run", **SHORT)
    assert not (tmp_path / "run" / "uncertain.extxyz").exists()
    assert "samples have" not in " ".join(result.provenance["notes"])
    plain = run_nvt(molecule("CH4"), members, steps=10, **SHORT)
    assert plain.rows[0].force_uncertainty_eV_A is None
    np.testing.assert_array_equal(plain.atoms.positions, result.atoms.positions)


def test_a_calibrated_committee_is_watched_by_the_scale_of_atoms(members: Model) -> None:
    scales = [Scale(factor, (None,) * 4) for factor in (1.0, 2.0, 3.0)]
    hashes = tuple(one.sha256 for one in members.members)
    calibrated = Model(members.modules, members.members, "cpu", calibration=Calibration(hashes, *scales, data={}))
    result = run_nvt(molecule("CH4"), calibrated, steps=5, max_force_uncertainty_eV_A=1e3, **SHORT)
    expected = 3 * spread_of_atoms(members, molecule("CH4")).max()
    assert result.rows[0].force_uncertainty_eV_A == pytest.approx(expected)
    assert "not calibrated" not in " ".join(result.provenance.get("notes", []))


def test_refused(members: Model) -> None:
    for calc, named in ((EMT(), "another calculator"), (DPCalculator(members.files[0]), "single model")):
        with refused("uncertainty-unknown", "max_force_uncertainty_eV_A", named):
            run_nvt(molecule("CH4"), calc, steps=10, max_force_uncertainty_eV_A=0.1, **SHORT)
    with refused("setting-out-of-range", "max_force_uncertainty_eV_A"):
        run_nvt(molecule("CH4"), members, steps=10, max_force_uncertainty_eV_A=0.0, **SHORT)
