"""A model's noise in the heat capacity, from the members of a committee whose errors are known."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write
from random_model import write_random_model
from refusals import refused
from scipy.stats import binom
from synthetic_series import autoregressive
from systems_dynamics import einstein_crystal

from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import analyse, load_result, run_nvt
from dp_sim.recipes.analysis.heat_capacity.committee import of_energies
from dp_sim.units import KB_EV_PER_K

#: Standard deviations of the true energy and of one member's error, eV.
TRUE, ERROR = 0.5, 0.1


def energies(rng: np.random.Generator, n_members: int, n_frames: int, tau: float = 3.0) -> tuple[np.ndarray, ...]:
    """True energies (S,), and those of members (M, S) with errors of their own and constants that differ."""
    true = TRUE * autoregressive(rng, n_frames, tau)
    errors = np.stack([ERROR * autoregressive(rng, n_frames, tau) for _ in range(n_members)])
    return true, true + errors + rng.normal(scale=10.0, size=(n_members, 1))


@pytest.mark.parametrize(("n_members", "n_driving"), [(2, 1), (4, 1), (4, 4), (3, 2)])
def test_intervals_hold_the_variance_of_what_drove_the_run(n_members: int, n_driving: int):
    """s^2 of one model, s^2 / K of the mean of K; constants of 10 eV change nothing."""
    made = [
        of_energies(energies(np.random.default_rng([5, one]), n_members, 500)[1], n_driving, "").variance_eV2
        for one in range(80)
    ]
    exact = ERROR**2 / n_driving
    assert np.mean([one.value for one in made]) == pytest.approx(exact, rel=0.03)
    assert sum(one.ci95[0] < exact < one.ci95[1] for one in made) >= binom.ppf(0.001, 80, 0.95)
    assert {one.unit for one in made} == {"eV^2"}


def test_what_is_left_is_the_variance_of_the_true_energy():
    true, members = energies(np.random.default_rng(0), 4, 20_000, tau=1.0)
    own = of_energies(members, 1, "").variance_eV2.value
    assert members[0].var() - own == pytest.approx(true.var(), rel=0.02)
    mean = of_energies(members, 4, "").variance_eV2.value
    assert members.mean(axis=0).var() - mean == pytest.approx(true.var(), rel=0.02)


def test_an_error_that_goes_with_the_energy_is_left_in():
    true, members = energies(np.random.default_rng(1), 4, 20_000, tau=1.0)
    tilted = members + np.array([[0.3], [-0.3], [0.1], [-0.1]]) * true
    found = of_energies(tilted, 1, "spread")
    assert found.variance_eV2.value == pytest.approx(ERROR**2, rel=0.03)
    assert "goes with the energy" in found.words
    assert "goes with the energy" not in of_energies(members, 1, "spread").words


def test_members_that_are_not_alike_widen_the_interval():
    rng = np.random.default_rng(2)
    true, members = energies(rng, 4, 2000, tau=1.0)
    one_bad = true + (members - true) * np.array([[1.0], [1.0], [1.0], [4.0]])
    alike, unlike = (of_energies(one, 1, "").variance_eV2 for one in (members, one_bad))
    assert unlike.error / unlike.value > 3 * alike.error / alike.value
    assert unlike.ci95[0] >= 0


def test_too_few_frames_are_withheld():
    found = of_energies(energies(np.random.default_rng(0), 3, 12)[1], 1, "").variance_eV2
    assert found.value is None
    assert "spread of the members" in found.cause


@pytest.fixture(scope="module")
def committee(tmp_path_factory):
    """A short run that the mean of three members drove, and the run of one of them; their frames are independent."""
    base = tmp_path_factory.mktemp("committee")
    files = [write_random_model(base / f"{seed}.pt", seed=seed) for seed in (1, 2, 3)]
    settings = {"temperature_K": 300, "steps": 60, "timestep_fs": 0.5, "frame_every": 1, "sample_every": 1}
    frames = [molecule("CH4") for _ in range(61)]
    for number, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=number)
    for name, model in (("mean", files), ("one", files[0])):
        run_nvt(molecule("CH4"), model, **settings, out=base / name, progress=False)
        write(base / name / "trajectory.extxyz", frames)
    return base, [str(file) for file in files]


def expected_eV2(directory, files, n_driving: int) -> float:
    frames, calculators = list(load_result(directory).trajectory), [DPCalculator(file) for file in files]
    members = np.array([[one.get_potential_energy(atoms) for atoms in frames] for one in calculators])
    return of_energies(members, n_driving, "").variance_eV2.value


def test_the_committee_of_a_run_tells_its_noise_without_being_asked(committee, tmp_path):
    base, files = committee
    result = analyse(base / "mean", first=0, out=tmp_path / "out", progress=False)
    part = result.heat_capacity.numbers["heat_capacity_of_noise"]
    exact = expected_eV2(base / "mean", files, 3) / (KB_EV_PER_K * 300) ** 2
    assert part.value == pytest.approx(exact, rel=1e-4)  # frames are written with eight digits
    words = json.loads((tmp_path / "out" / "result.json").read_text())["values"]["noise_source"]["value"]
    for said in ("3 members", "61 frames", "mean of 3 models", "not seen"):
        assert said in words
    assert analyse(base / "mean", first=0, only=["structure"], progress=False).heat_capacity is None
    assert analyse(base / "one", first=0, progress=False).heat_capacity is None


def test_members_of_a_run_that_one_model_drove(committee):
    base, files = committee
    result = analyse(base / "one", first=0, only=["viscosity"], members=files, progress=False)
    part = result.heat_capacity.numbers["heat_capacity_of_noise"]
    assert part.value == pytest.approx(expected_eV2(base / "one", files, 1) / (KB_EV_PER_K * 300) ** 2, rel=1e-4)
    assert "one model of these" in result.heat_capacity.words["noise_source"]
    others = analyse(base / "one", first=0, only=["viscosity"], members=files[1:], progress=False)
    assert "of others" in others.heat_capacity.words["noise_source"]


def test_a_committee_that_is_gone_is_said_to_be(committee, tmp_path):
    base, _ = committee
    shutil.copytree(base / "mean", tmp_path / "run")
    config = (tmp_path / "run" / "config.yaml").read_text()
    (tmp_path / "run" / "config.yaml").write_text(config.replace("2.pt", "gone.pt"))
    part = analyse(tmp_path / "run", first=0, progress=False).heat_capacity.numbers["heat_capacity_of_noise"]
    assert part.value is None
    assert "gone.pt" in part.cause
    (tmp_path / "run" / "config.yaml").write_text(config.replace("2.pt", "3.pt"))
    part = analyse(tmp_path / "run", first=0, progress=False).heat_capacity.numbers["heat_capacity_of_noise"]
    assert "another model" in part.cause


def test_members_that_tell_nothing_are_refused(committee, tmp_path):
    base, files = committee
    with refused("members-too-few", "1.pt"):
        analyse(base / "one", members=files[:1], progress=False)
    with refused("members-too-few", "1.pt"):
        analyse(base / "one", members=[files[0], files[0]], progress=False)
    with refused("options-exclude", "members", "energy_noise_meV"):
        analyse(base / "one", members=files, energy_noise_meV=1.0, progress=False)
    atoms, calculator = einstein_crystal(3)
    run_nvt(atoms, calculator, temperature_K=300, steps=40, timestep_fs=4, out=tmp_path / "springs", progress=False)
    with refused("members-not-for-run", "EinsteinCrystal"):
        analyse(tmp_path / "springs", members=files, out=tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
    with refused("option-not-for-source", "members"):
        analyse([atoms, atoms], members=files, progress=False)
