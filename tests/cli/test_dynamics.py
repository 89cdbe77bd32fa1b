"""dp-sim nve, nvt, npt: the exit status tells the verdict."""

from __future__ import annotations

import json

import pytest
from ase.build import bulk


def test_a_short_run_ends_with_3_and_can_be_lengthened(dp_sim, tmp_path):
    bulk("Cu").write(tmp_path / "cu.extxyz")
    run = ("nvt", "cu.extxyz", "--calculator", "emt", "-T", "300", "--frame-every", "10", "-o", "run")
    outcome = dp_sim(*run, "--steps", "20")
    assert outcome.code == 3
    assert "the heat capacity is not given" in outcome.err + outcome.out
    assert json.loads((tmp_path / "run" / "result.json").read_text())["values"]["steps"]["value"] == 20
    dp_sim(*run, "--steps", "40", "--resume")
    assert json.loads((tmp_path / "run" / "result.json").read_text())["values"]["steps"]["value"] == 40
    assert len((tmp_path / "run" / "thermo.csv").read_text().splitlines()) == 1 + 5


def test_model_in_openmm(dp_sim, models, water):
    pytest.importorskip("openmm", reason="the extra 'openmm' is not installed")
    outcome = dp_sim("nvt", water, "-m", models[0], "-T", "100", "--steps", "20", "--engine", "openmm", "-o", "run")
    assert outcome.code == 3, outcome.err
    assert {"topology.pdb", "trajectory.dcd", "trajectory.extxyz"} <= {
        file.name for file in (water.parent / "run").iterdir()
    }


def test_bad_input_ends_with_2(dp_sim, water):
    outcome = dp_sim("npt", water, "--calculator", "emt", "-T", "300", "--steps", "100", "-o", "run")
    assert outcome.code == 2
    assert "constant pressure needs a structure that is periodic along all three axes" in outcome.err
    assert not (water.parent / "run").exists()
