"""Runs of ours, analysed: what their settings and files say decides."""

import csv
import gzip

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from refusals import refused

from dp_sim.recipes import analyse, run_nve, run_nvt


@pytest.fixture(scope="module")
def crystal():
    atoms = bulk("Cu", cubic=True).repeat(2)
    atoms.rattle(0.01, seed=1)
    return atoms


def test_a_run_at_constant_energy(crystal, tmp_path):
    run = run_nve(
        crystal, EMT(), temperature_K=600, steps=300, sample_every=1, frame_every=2, out=tmp_path / "nve",
        progress=False,
    )  # fmt: skip
    assert run.directory == tmp_path / "nve"
    assert len(run.trajectory) == 151
    assert run.trajectory[-1].positions == pytest.approx(run.atoms.positions, abs=1e-6)
    assert [len(one) for one in run.trajectory[:6:2]] == [32] * 3
    result = analyse(run, first=0, q_max_per_A=3.0, out=tmp_path / "analysed", progress=False)
    assert result.frame_ps == pytest.approx(2 * run.timestep_fs / 1000)
    assert result.rdf("Cu", "Cu").r[np.argmax(result.rdf("Cu", "Cu").g)] == pytest.approx(3.61 / np.sqrt(2), abs=0.1)
    assert result.diffusion("Cu").value is None  # too few frames, and a solid
    assert any("carry no velocities" in note for note in result.provenance["notes"])
    with (tmp_path / "analysed" / "rdf_Cu_Cu.csv").open() as file:
        assert next(csv.reader(file)) == ["r_A", "g", "g_error", "Cu_about_Cu"]
    for name in ("report.html", "result.json", "rdf.png", "displacement_Cu.csv", "structure_factor_all.csv"):
        assert (tmp_path / "analysed" / name).is_file()
    packed = tmp_path / "nve" / "trajectory.extxyz.gz"
    packed.write_bytes(gzip.compress((tmp_path / "nve" / "trajectory.extxyz").read_bytes()))
    (tmp_path / "nve" / "trajectory.extxyz").unlink()
    assert len(run.trajectory) == 151
    assert analyse(run, first=0, only=["structure"], progress=False).n_frames == 151
    with refused("option-not-for-source", "frame_fs", "thermostat"):
        analyse(run, frame_fs=1.0, thermostat="none", progress=False)


def test_langevin_dynamics_gives_no_transport(crystal, tmp_path):
    run_nvt(
        crystal, EMT(), temperature_K=600, steps=100, sample_every=1, frame_every=10, out=tmp_path / "nvt",
        progress=False,
    )  # fmt: skip
    result = analyse(tmp_path / "nvt", first=0, only=["diffusion", "viscosity"], progress=False)
    for withheld in (result.diffusion("Cu"), result.viscosity.value):
        assert "Langevin" in withheld.cause
        assert "friction 5/ps" in withheld.cause


def test_a_run_without_files_has_no_frames(crystal):
    run = run_nve(crystal, EMT(), temperature_K=300, steps=10, progress=False)
    with refused("trajectory-missing", "out"):
        _ = run.trajectory
    with refused("trajectory-missing", "out"):
        analyse(run, progress=False)


def test_tables_of_pandas(crystal):
    pytest.importorskip("pandas")
    run = run_nve(crystal, EMT(), temperature_K=300, steps=20, sample_every=2, progress=False)
    table = run.to_dataframe()
    assert len(table) == 11
    assert table["total_eV"].to_numpy() == pytest.approx(run.series("total_eV"))
    numbers = analyse([crystal, crystal], only=["structure"], progress=False).to_dataframe()
    assert numbers.loc["frames", "value"] == 2
