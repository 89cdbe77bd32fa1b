"""Replicas: other seeds side by side, pooled estimates, and a test of the errors within by the scatter between."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential
from ase.cluster import Octahedron
from ase.io import read
from refusals import refused
from synthetic_series import autoregressive

from dp_sim.recipes import analyse, load_result, run_nvt
from dp_sim.recipes.dynamics import estimators
from dp_sim.recipes.dynamics.member_runs import with_errors_of_runs, without_error
from dp_sim.recipes.dynamics.replicas.pooling import COMPARED, agreement, pooled
from dp_sim.recipes.dynamics.run_files import Row
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.uncertainty.derived import SpreadWorth
from tests.support.random_model import write_random_committee


def rows_of(values):
    return [
        Row(10 * n, 0.01 * n, 300.0, float(one), 1.0, float(one) + 1, None, None, None) for n, one in enumerate(values)
    ]


@pytest.fixture(scope="module")
def ethanol(pytestconfig):
    folder = pytestconfig.rootpath / "example_systems" / "ethanol"
    return folder / "ethanol.extxyz", folder / "ethanol.pt"


SETTINGS = {"temperature_K": 300, "steps": 120, "sample_every": 10, "frame_every": 60, "progress": False}


@pytest.fixture(scope="module")
def pool(ethanol, tmp_path_factory):
    """Two replicas of a model, and where they are."""
    out = tmp_path_factory.mktemp("replicas") / "run"
    return run_nvt(read(ethanol[0]), ethanol[1], replicas=2, seed=5, out=out, **SETTINGS), out


def test_each_replica_is_the_run_with_its_seed(tmp_path, ethanol, pool):
    """In processes of their own; each directory is what the run alone leaves, and the pool holds all of them."""
    result, out = pool
    parts = []
    for number, seed in ((1, 5), (2, 6)):
        alone = run_nvt(read(ethanol[0]), ethanol[1], seed=seed, out=tmp_path / str(seed), **SETTINGS)
        table = (out / f"replica-{number}" / "thermo.csv").read_bytes()
        assert table == (tmp_path / str(seed) / "thermo.csv").read_bytes()
        parts += alone.rows[alone.production_start :]
    assert [row.potential_eV for row in result.rows] == [row.potential_eV for row in parts]
    assert [row.step for row in result.rows] == list(range(0, 10 * len(parts), 10))
    assert result.replica_count == 2
    assert json.loads((out / "result.json").read_text())["values"]["replicas"]["value"] == 2
    loaded = load_result(out)
    assert (loaded.replica_count, len(loaded.rows)) == (2, len(result.rows))
    assert loaded.summary() == result.summary()
    assert len(load_result(out / "replica-2").trajectory) == 3
    for refusing in (lambda: loaded.trajectory, lambda: analyse(loaded), lambda: analyse(out)):
        with refused("run-of-replicas", "replica-1"):
            refusing()
    of_one = analyse(out / "replica-2", only=["velocities"], first=0, progress=False)
    assert of_one.n_frames == 3


def test_a_resumed_pool_is_the_uninterrupted_one(tmp_path):
    """SIGTERM in the midst of it: the replicas save, and `resume` ends as the run that was not cut."""
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\nfrom ase.cluster import Octahedron\nfrom ase.calculators.emt import EMT\n"
        "from dp_sim.recipes import run_nvt\n"
        "run_nvt(Octahedron('Cu', 2), EMT(), temperature_K=100, steps=300, replicas=2, out=sys.argv[1], "
        "progress=False)\n"
    )
    process = subprocess.Popen([sys.executable, script, tmp_path / "cut"], stderr=subprocess.DEVNULL)
    table = tmp_path / "cut" / "replica-1" / "thermo.csv"
    while not (table.exists() and len(table.read_text().splitlines()) > 5):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGTERM)
    process.wait()
    assert not (tmp_path / "cut" / "result.json").exists()
    assert len(table.read_text().splitlines()) < 32
    for name, resume in (("whole", False), ("cut", True)):
        settings = {"temperature_K": 100, "steps": 300, "replicas": 2, "progress": False}
        run_nvt(Octahedron("Cu", 2), EMT(), out=tmp_path / name, resume=resume, **settings)
    for name in ("thermo.csv", "replica-1/thermo.csv", "replica-2/trajectory.extxyz"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert "continued from step" in (tmp_path / "cut" / "replica-1" / "log.txt").read_text()


def test_the_f_test_has_its_level():
    """Replicas of one process: p is uniform; 1 in 20 below 0.05 and 1 in 5 below 0.2, of 400 pools of four."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(400):
        parts = [rows_of(autoregressive(rng, 400, 5.0)) for _ in range(4)]
        found.append(agreement("potential_eV", parts).probability)
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(found) < level) == pytest.approx(level, abs=3.5 * (level * (1 - level) / 400) ** 0.5)


def test_replicas_in_two_wells_disagree():
    rng = np.random.default_rng(1)
    parts = [rows_of(autoregressive(rng, 400, 5.0) + shift) for shift in (0, 0, 3, 3)]
    found = agreement("potential_eV", parts)
    assert "disagree" in found.disagrees
    assert "potential energy" in found.disagrees
    assert found.between_error > 3 * found.within_error
    assert agreement("density_g_cm3", parts) is None
    assert set(COMPARED) == {"potential_eV", "density_g_cm3"}


def test_a_density_that_is_constant_but_for_rounding_is_not_compared():
    """Replicas of copper at constant volume were said to disagree about the density."""
    rng = np.random.default_rng(2)
    parts = [
        [row._replace(density_g_cm3=8.93 * (1 + 1e-15 * shift)) for row in rows_of(autoregressive(rng, 400, 5.0))]
        for shift in (0, 1)
    ]
    assert agreement("density_g_cm3", parts) is None


def test_a_pooled_variance_is_not_the_mean_of_small_ones(tmp_path):
    """Four short series of a process with variance 1: about the common mean the pool gives 1, their own means 0.9."""
    rng = np.random.default_rng(3)
    pools, means = [], []
    for _ in range(200):
        series = [autoregressive(rng, 60, 6.0) for _ in range(4)]
        results = [
            type("R", (), {"rows": rows_of(one), "production_start": 0, "unusable": "", "atoms": None, "stages": {},
                           "degrees_of_freedom": 3, "timestep_fs": 1.0})
            for one in series
        ]  # fmt: skip
        recorded = pooled(results, 10)
        values = np.array([row.potential_eV for row in recorded.rows])
        pools.append(values.var())
        means.append(np.mean([one.var() for one in series]))
    assert np.mean(means) < 0.9
    assert np.mean(pools) > 0.93
    assert [row.step for row in recorded.rows[:3]] == [0, 10, 20]


def test_a_calculator_that_cannot_be_made_anew_is_refused(tmp_path):
    calculator = MorsePotential()
    calculator.hook = lambda: None
    with refused("calculator-not-copied", "MorsePotential"):
        run_nvt(bulk("Cu", cubic=True), calculator, temperature_K=300, steps=10, replicas=2, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_refusal_of_a_replica_is_that_of_the_run(tmp_path, ethanol, pool):
    """Something else lies where its directory goes on: the error comes from the process, with its code."""
    shutil.copytree(pool[1], tmp_path / "run")
    (tmp_path / "run" / "replica-2" / "checkpoint.npz").write_bytes(b"damage")
    with refused("file-damaged", "replica-2", "checkpoint.npz"):
        run_nvt(read(ethanol[0]), ethanol[1], replicas=2, seed=5, out=tmp_path / "run", resume=True, **SETTINGS)


def test_a_run_of_each_member_beside_that_of_the_mean(tmp_path, monkeypatch):
    """Each is the run of its model alone, and the model's error is the spread of what they average."""
    monkeypatch.setattr(estimators, "equilibration", lambda *_: 0)  # runs of a second, in this process
    monkeypatch.setattr(estimators, "drifts", lambda *_: False)
    files = write_random_committee(tmp_path, 2, apart=0.02, species=("H", "O"), seed=6)
    start, asked = molecule("H2O2"), {**SETTINGS, "timestep_fs": 0.5, "friction_per_ps": 50, "seed": 3}
    watched = {"max_force_uncertainty_eV_A": 1e3}  # which a member alone does not know
    both = run_nvt(start, files, members="each", out=tmp_path / "run", **watched, **asked)
    alone = [run_nvt(start, file, out=tmp_path / file.stem, **asked) for file in files]
    for number, file in enumerate(files):
        table = (tmp_path / file.stem / "thermo.csv").read_bytes()
        assert (tmp_path / "run" / f"member-{number}" / "thermo.csv").read_bytes() == table
    of_the_mean = [row._replace(force_uncertainty_eV_A=None) for row in both.rows]
    assert of_the_mean == run_nvt(start, files, **asked).rows
    mean = Estimate(1.0, 0.1, (0.8, 1.2), 30.0, "eV")
    whole = replace(both, potential_energy_eV=mean, heat_capacity_kB=mean, temperature_K=mean)
    given = [
        replace(one, potential_energy_eV=replace(mean, value=value), unusable="")
        for one, value in zip(alone, (0.9, 1.2), strict=True)
    ]
    found = with_errors_of_runs(whole, given, SpreadWorth.of(2, None))
    assert found.potential_energy_eV.model == SpreadWorth.of(2, None).error([0.9, 1.2], "both")
    assert found.temperature_K.model is None
    assert without_error(found) == ["heat_capacity_kB"], "the members' runs are too short for it"
    lost = with_errors_of_runs(whole, [given[0], replace(given[1], unusable="it exploded")], SpreadWorth.of(2, None))
    assert lost.potential_energy_eV.model is None
    assert lost.quantities()["model_errors_from"].cause == "member-1: it exploded"
    for refusal, model, more in (("members-too-few", files[0], {}), ("setting-out-of-range", files, {"replicas": 2})):
        with refused(refusal):
            run_nvt(start, model, members="each", **more, **asked)
    lost = run_nvt(start, files, members="each", **{**asked, "timestep_fs": 20})
    assert lost.unusable
    assert any("members were not run" in words for words in lost.provenance["notes"])
    config = tmp_path / "run" / "config.yaml"  # of a version that had no such setting
    config.write_text(config.read_text().replace("members: each\n", ""))
    assert len(run_nvt(start, files, out=tmp_path / "run", resume=True, **asked).rows) == len(both.rows)
    run_nvt(start, files[0], out=tmp_path / "run", overwrite=True, **asked)
    assert not (tmp_path / "run" / "member-0").exists()
