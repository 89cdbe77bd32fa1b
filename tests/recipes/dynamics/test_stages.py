"""Stages before a run: one command from a cold crystal to production, resumed anywhere to the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import systems_dynamics
import yaml
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read
from refusals import refused
from scripts import run_script
from systems_dynamics import EinsteinCrystal, einstein_crystal

from dp_sim.cli.main import status
from dp_sim.recipes import run_nve, run_nvt
from dp_sim.recipes.dynamics import loop
from dp_sim.recipes.dynamics.engines.ase_engine import ASEEngine
from dp_sim.recipes.dynamics.engines.protocol import UnstableError
from dp_sim.recipes.dynamics.nve import NVEResult
from dp_sim.recipes.dynamics.nvt import NVTResult

HEAT = {
    "stages": [
        {"name": "heat", "ensemble": "nvt", "steps": 60, "temperature_K": [20, 600], "friction_per_ps": 50},
        {"name": "hold", "ensemble": "nvt", "time_ps": 0.2, "temperature_K": 600},
    ]
}


@pytest.fixture
def stages(tmp_path):
    def write(content=HEAT):
        file = tmp_path / "heat.yaml"
        file.write_text(yaml.safe_dump(content))
        return str(file)

    return write


class Interrupting(EinsteinCrystal):
    """Sends this process Ctrl-C in the middle of a step."""

    at_call, calls = 120, 0

    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        self.calls += 1
        if self.calls == self.at_call:
            os.kill(os.getpid(), signal.SIGINT)


# The same recipe under the same name: the directory belongs to one calculator.
Interrupting.__qualname__, Interrupting.__module__ = EinsteinCrystal.__qualname__, EinsteinCrystal.__module__


def run_springs(recipe, out, stages, *, calculator=None, **options):
    atoms, springs = einstein_crystal(6)
    settings = {"steps": 60, "timestep_fs": 5, "sample_every": 4, "frame_every": 20, "progress": False, **options}
    if recipe is not run_nve:
        settings["temperature_K"] = 600
    return recipe(atoms, calculator or springs, stages=stages, out=out, **settings)


def test_a_new_target_may_show_that_the_motion_is_unstable(stages, tmp_path, monkeypatch):
    """An engine may evaluate when it is given another target."""

    def lose(engine, conditions):
        raise UnstableError("motion-unstable", "atoms left the structure")

    monkeypatch.setattr(ASEEngine, "retarget", lose)
    result = run_springs(run_nvt, tmp_path / "run", stages())
    assert not result.converged
    assert "atoms left the structure between steps 0 and 4" in result.cause


def test_a_ramp_heats(stages, tmp_path):
    """The kinetic temperature follows the ramp; the tables of the stages are kept apart from that of the run."""
    long = {"stages": [{"name": "heat", "ensemble": "nvt", "steps": 1600, "temperature_K": [100, 900]}]}
    result = run_springs(run_nvt, tmp_path / "run", stages(long), friction_per_ps=50.0)
    ((name, rows),) = result.stages.items()
    temperatures = np.array([row.temperature_K for row in rows])
    target = np.linspace(100, 900, len(rows))
    slope = np.polyfit(target, temperatures, 1)[0]
    assert slope == pytest.approx(1.0, abs=0.15)
    assert "heat" in name
    assert "100 to 900 K" in name
    assert result.rows[0].step == 0
    assert len(result.rows) == 16
    assert (tmp_path / "run" / "stage-1-heat-thermo.csv").exists()
    assert (tmp_path / "run" / "stages.png").exists()
    assert "100 to 900 K" in (tmp_path / "run" / "report.html").read_text()


def test_momenta_pass_from_stage_to_stage(stages, tmp_path):
    """Constant energy after heating: the energies of the last sample are those of the first."""
    result = run_springs(run_nve, tmp_path / "run", stages({"stages": [HEAT["stages"][0]]}), timestep_fs=2)
    heated = list(result.stages.values())[-1][-1]
    assert result.rows[0].potential_eV == pytest.approx(heated.potential_eV)
    assert result.rows[0].kinetic_eV == pytest.approx(heated.kinetic_eV, rel=0.5)  # less the motion of the whole
    assert result.rows[0].kinetic_eV > 0.2 * heated.kinetic_eV


@pytest.mark.parametrize("at_call", [30, 95, 130])
@pytest.mark.parametrize("recipe", [run_nvt, run_nve])
def test_resumed_anywhere_it_is_the_uninterrupted_run(stages, tmp_path, monkeypatch, recipe, at_call):
    """Interrupted inside the ramp, in the second stage, in production: the same files, byte for byte."""
    for kind in (NVTResult, NVEResult):
        monkeypatch.setattr(kind, "figures", lambda self: {})
    file = stages()
    whole = run_springs(recipe, tmp_path / "whole", file)
    interrupting = Interrupting(einstein_crystal(6)[1].sites)
    interrupting.at_call = at_call
    with pytest.raises(KeyboardInterrupt):
        run_springs(recipe, tmp_path / "cut", file, calculator=interrupting)
    resumed = run_springs(recipe, tmp_path / "cut", file, resume=True)
    assert np.array_equal(resumed.atoms.positions, whole.atoms.positions)
    assert np.array_equal(resumed.atoms.get_momenta(), whole.atoms.get_momenta())
    for name in ("thermo.csv", "trajectory.extxyz", "stage-1-heat-thermo.csv", "stage-2-hold-trajectory.extxyz"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


KILLED = """
import sys
from dp_sim.recipes import run_npt
from dp_sim.recipes.dynamics import loop

sys.path.append(sys.argv[1])
from systems_dynamics import VolumeSpring, einstein_crystal

loop.CHECKPOINT_EVERY_S = 0.0
atoms, _ = einstein_crystal(6)
atoms.set_cell([10, 10, 10])
atoms.pbc = True
run_npt(
    atoms, VolumeSpring(bulk_modulus=0.02, volume=900.0), temperature_K=300, steps=60, timestep_fs=2, frame_every=20,
    stages=sys.argv[2], relax_cell=True, out=sys.argv[3], resume="resume" in sys.argv, progress=False,
)
"""


def test_killed_inside_a_ramp_under_pressure(tmp_path, stages, monkeypatch):
    """SIGKILL, relaxation and both ramps: `--resume` gives the uninterrupted run's numbers."""
    file = stages(
        {
            "stages": [
                {"name": "up", "ensemble": "npt", "time_ps": 0.6, "temperature_K": [10, 300], "pressure_bar": [0, 1e4]}
            ]
        }
    )
    script, support = tmp_path / "killed.py", os.path.dirname(systems_dynamics.__file__)
    script.write_text(KILLED)
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY_S", 0.0)  # put back afterwards
    assert run_script(script, support, file, tmp_path / "whole") == 0
    process = subprocess.Popen([sys.executable, script, support, file, tmp_path / "cut"])
    table = tmp_path / "cut" / "stage-1-up-thermo.csv"
    checkpoint = tmp_path / "cut" / "stage-1-up-checkpoint.npz"
    while not (checkpoint.exists() and len(table.read_text().splitlines()) > 6):
        assert process.poll() is None
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut" / "thermo.csv").exists() or len((tmp_path / "cut" / "thermo.csv").read_text()) == 0
    assert run_script(script, support, file, tmp_path / "cut", "resume") == 0
    for name in ("thermo.csv", "trajectory.extxyz", "stage-1-up-thermo.csv", "stage-1-up-trajectory.extxyz"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    pressures = np.loadtxt(table, delimiter=",", skiprows=1)[:, 6]
    assert pressures[-1] < pressures[0]  # the volume: 1 GPa presses a spring of 3 GPa


def test_one_command_takes_a_crystal_to_production(tmp_path, monkeypatch, stages):
    monkeypatch.chdir(tmp_path)
    bulk("Cu", a=3.8, cubic=True).write("cu.extxyz")
    command = [
        "npt",
        "cu.extxyz",
        "--calculator",
        "emt",
        "-T",
        "300",
        "--steps",
        "40",
        "--relax-cell",
        "-q",
        "-o",
        "run",
    ]
    assert status([*command, "--stages", stages()]) == 3  # so short a run has no numbers
    assert read("run/relaxed.extxyz").get_volume() / 4 == pytest.approx(3.59**3 / 4, rel=0.01)
    assert "stages: " in (tmp_path / "run" / "config.yaml").read_text()
    again = ["npt", "run/input.extxyz", "--config", "run/config.yaml", "--calculator", "emt", "-q", "-o", "again"]
    assert status(again) == 3
    assert (tmp_path / "again" / "thermo.csv").read_bytes() == (tmp_path / "run" / "thermo.csv").read_bytes()


def test_a_stage_that_ends_early_says_so(tmp_path, stages):
    """Far too long a time step in the first stage: cause, table so far, no numbers."""
    file = stages({"stages": [{"name": "bad", "ensemble": "nvt", "steps": 400, "timestep_fs": 80}]})
    result = run_springs(run_nvt, tmp_path / "run", file)
    assert not result.converged
    assert result.cause.startswith("in bad")
    assert result.rows == []
    assert result.heat_capacity_kB.value is None


@pytest.mark.parametrize(
    ("content", "code", "named"),
    [
        ([{"ensemble": "nvt", "step": 10}], "setting-unknown", ("stage 1", "step", "did you mean 'steps'")),
        ([{"ensemble": "ntv", "steps": 10}], "choice-unknown", ("ntv", "did you mean 'nvt'", "nve, nvt, npt")),
        ([{"ensemble": ["nvt"], "steps": 10}], "choice-unknown", ("ensemble", "['nvt']", "nve, nvt, npt")),
        ([{"steps": 10}], "choice-unknown", ("ensemble", "missing")),
        ([{"ensemble": "nvt"}], "setting-missing", ("steps", "time_ps")),
        ([{"ensemble": "nvt", "steps": 10, "time_ps": 1}], "setting-missing", ("steps", "time_ps")),
        ([{"ensemble": "nvt", "steps": 10, "temperature_K": 0}], "setting-out-of-range", ("temperature_K", "above 0")),
        ([{"ensemble": "nvt", "steps": 10, "temperature_K": [300, -5]}], "setting-out-of-range", ("-5", "above 0")),
        ([{"ensemble": "nvt", "steps": 10, "temperature_K": [1, 2, 3]}], "setting-invalid", ("from, to",)),
        ([{"ensemble": "nvt", "steps": 10, "temperature_K": "300 K"}], "setting-invalid", ("300 K",)),
        ([{"ensemble": "npt", "steps": 10}], "setting-missing", ("pressure_bar", "from, to")),
        ([{"ensemble": "nvt", "steps": 10, "pressure_bar": 1}], "setting-unknown", ("pressure_bar", "nvt")),
        ([{"ensemble": "nve", "steps": 10, "temperature_K": 300}], "setting-unknown", ("temperature_K", "nve")),
        ([{"ensemble": "nvt", "time_ps": -1}], "setting-out-of-range", ("time_ps", "-1")),
        ([{"name": "x", "ensemble": "nvt", "steps": True}], "setting-invalid", ("'x'", "steps", "True")),
        ([{"ensemble": "npt", "steps": 10, "pressure_bar": 1}], "periodicity-unsupported", ("constant pressure",)),
        ([{"ensemble": "nve", "steps": 10}], "velocities-missing", ("velocities",)),
        (["nvt"], "config-malformed", ("stage 1",)),
        ([], "config-malformed", ("stages",)),
        (None, "config-malformed", ("stages",)),
    ],
)
def test_a_file_with_a_mistake_is_refused_before_anything_runs(tmp_path, stages, content, code, named):
    with refused(code, *named):
        run_springs(run_nvt, tmp_path / "run", stages({"stages": content}), sample_every=2)
    assert not (tmp_path / "run").exists()


def test_a_key_that_stands_twice_is_refused(tmp_path):
    """YAML takes the last, and is silent about the others."""
    file = tmp_path / "twice.yaml"
    lines = ["stages:", "  - ensemble: nvt", "    steps: 10", "    temperature_K: [20, 600]", "    steps: 20"]
    file.write_text("\n".join(lines))
    with refused("file-unreadable", "twice.yaml", "'steps'", "line 3", "line 5"):
        run_springs(run_nvt, tmp_path / "run", str(file), sample_every=2)
    assert not (tmp_path / "run").exists()


def test_other_stages_are_not_resumed(tmp_path, stages):
    run_springs(run_nvt, tmp_path / "run", stages())
    other = {"stages": [{**HEAT["stages"][0], "temperature_K": [20, 500]}, HEAT["stages"][1]]}
    with refused("run-differs", "stage 1", "temperature_K", "500"):
        run_springs(run_nvt, tmp_path / "run", stages(other), resume=True)
    with refused("run-differs", "stages"):
        run_springs(run_nvt, tmp_path / "run", None, resume=True)
    with refused("file-missing", "nothing.yaml"):
        run_springs(run_nvt, tmp_path / "new", str(tmp_path / "nothing.yaml"))


def test_relaxed_first(tmp_path):
    atoms = Atoms("Cu2", [[0, 0, 0], [0, 0, 3.0]])
    result = run_nvt(atoms, EMT(), temperature_K=1, steps=10, relax=True, progress=False)
    assert result.atoms.get_distance(0, 1) < 2.5
