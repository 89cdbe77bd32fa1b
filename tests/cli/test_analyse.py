"""dp-sim analyse: runs of ours, files of LAMMPS, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ase.build import bulk

LAMMPS = Path(__file__).parents[1] / "world" / "lammps"
OF_DUMP = ("--types", "Ar", "--types", "Ne", "--thermostat", "none")


def values(directory):
    return json.loads((directory / "result.json").read_text())["values"]


def test_a_run_of_ours(dp_sim, tmp_path):
    bulk("Cu", cubic=True).repeat(2).write(tmp_path / "cu.extxyz")
    dp_sim("nve", "cu.extxyz", "--calculator", "emt", "-T", "300", "--steps", "60", "--frame-every", "5",
           "--velocities", "--sample-every", "1", "-o", "run")  # fmt: skip
    outcome = dp_sim("analyse", "run", "--first", "0", "--stride", "2", "--r-max", "3.5", "--bin", "0.1", "-o", "out")
    assert outcome.code == 0, outcome.err
    found = values(tmp_path / "out")
    assert (found["frames"]["value"], found["time_between_frames"]["value"]) == (7, pytest.approx(0.02))
    assert "temperature of the run is not known" in found["viscosity"]["cause"]  # too short a run for one
    for name in ("rdf_Cu_Cu.csv", "structure_factor_all.csv", "displacement_Cu.csv", "report.html", "result.npz"):
        assert (tmp_path / "out" / name).is_file()
    assert len((tmp_path / "out" / "rdf_Cu_Cu.csv").read_text().splitlines()) == 36


def test_a_dump_with_its_log(dp_sim, tmp_path):
    outcome = dp_sim("analyse", LAMMPS / "stated.lammpstrj", *OF_DUMP, "--timestep", "0.002", "--log",
                     LAMMPS / "log.lammps", "--only", "diffusion", "--only", "viscosity", "-o", "out")  # fmt: skip
    assert outcome.code == 0, outcome.err
    found = values(tmp_path / "out")
    assert found["time_between_frames"]["value"] == pytest.approx(0.02)
    assert {"viscosity", "diffusion_Ar", "diffusion_Ne"} <= found.keys()
    assert "the average of" in outcome.err + outcome.out  # the temperature, said where it came from


@pytest.mark.parametrize(("arguments", "said"), [
    ((LAMMPS / "stated.lammpstrj", *OF_DUMP, "--units", "real"), "metal"),
    ((LAMMPS / "unwrapped.lammpstrj", "--units", "metal", "--timestep", "0.002"), "--types"),
    ((LAMMPS / "stated.lammpstrj", *OF_DUMP, "--log", "nothing.log", "--timestep", "0.002"), "nothing.log"),
    ((LAMMPS / "stated.lammpstrj", *OF_DUMP, "--only", "colours"), "structure"),
    ((LAMMPS / "stated.lammpstrj", *OF_DUMP, "--first", "9"), "first must be below"),
    ((LAMMPS / "stated.lammpstrj", *OF_DUMP, "--r-max", "9"), "half the smallest height"),
    (("nowhere",), "nowhere"),
])  # fmt: skip
def test_bad_input_ends_with_2_and_leaves_nothing(arguments, said, dp_sim, tmp_path):
    outcome = dp_sim("analyse", *arguments, "-o", "out")
    assert outcome.code == 2, outcome.out
    assert said in outcome.err
    assert not (tmp_path / "out").exists()
