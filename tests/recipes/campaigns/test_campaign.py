"""Campaigns on this machine: each task exactly once, whatever is killed, and one table of them all."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ase.io
import pytest
import typer
import yaml
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.cluster import Octahedron
from refusals import refused

from dp_sim.cli.main import make_app
from dp_sim.cli.support.check_commands import first_error
from dp_sim.recipes import campaign, campaign_status, load_result, run_nvt
from dp_sim.recipes.campaigns import campaign as campaigning
from dp_sim.recipes.campaigns import task
from dp_sim.recipes.campaigns.plan import Task
from dp_sim.recipes.campaigns.result import CampaignResult
from dp_sim.recipes.campaigns.task import command_of, prepare, run_task

STEPS = 600
#: A run of some seconds that saves its state.
DYNAMICS = {
    "recipe": "nvt",
    "inputs": ["cluster.xyz"],
    "settings": {"calculator": "emt", "temperature_K": 100, "steps": STEPS, "sample_every": 20},
    "each": {"seed": [1, 2]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaign")
    ase.io.write(folder / "H2O.xyz", molecule("H2O"))
    ase.io.write(folder / "CH4.xyz", molecule("CH4"))
    ase.io.write(folder / "cluster.xyz", Octahedron("Cu", 2, 0))
    return folder


def write_plan(file: Path, *tasks: dict[str, Any]) -> Path:
    file.write_text(yaml.safe_dump({"tasks": list(tasks)}))
    return file


@pytest.fixture(scope="module")
def three(folder: Path) -> CampaignResult:
    """Two that end well, and one that cannot."""
    plan = write_plan(
        folder / "three.yaml",
        {"recipe": "opt", "inputs": ["H2O.xyz", "CH4.xyz"], "settings": {"calculator": "emt", "fmax": 0.05}},
        {"recipe": "opt", "inputs": ["H2O.xyz"], "settings": {"model": "none.pt"}},
    )
    return campaign(plan, out=folder / "three", workers=2, progress=False)


def test_one_table_of_all_tasks(folder: Path, three: CampaignResult) -> None:
    assert three.table["state"] == ["done", "done", "failed"]
    assert not three.converged
    assert "none.pt" in three.cause
    with (folder / "three" / "campaign.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["input"] for row in rows] == ["H2O.xyz", "CH4.xyz", "H2O.xyz"]
    energies = [float(row["energy (eV)"]) for row in rows[:2]]
    names = three.table["task"][:2]
    runs = [load_result(folder / "three" / "tasks" / name / "run") for name in names]
    assert energies == [run.atoms.get_potential_energy() for run in runs]
    assert rows[2]["energy (eV)"] == ""


def test_the_result_comes_back(folder: Path, three: CampaignResult) -> None:
    again = load_result(folder / "three")
    assert isinstance(again, CampaignResult)
    assert again.table == three.table
    assert "1 of 3 tasks" in (folder / "three" / "report.html").read_text()


def test_a_failed_task_is_tried_again_and_the_others_are_not(folder: Path, three: CampaignResult) -> None:
    before = [(folder / "three" / "tasks" / name / "log.txt").read_text() for name in three.table["task"]]
    result = campaign(folder / "three.yaml", out=folder / "three", resume=True, progress=False)
    after = [(folder / "three" / "tasks" / name / "log.txt").read_text() for name in three.table["task"]]
    assert after[:2] == before[:2]
    assert after[2].count("$ dp-sim") == 2
    assert result.table["attempts"] == [1, 1, 2]


def run_in_background(folder: Path, out: str) -> subprocess.Popen[bytes]:
    plan = write_plan(folder / f"{out}.yaml", DYNAMICS)
    words = ["campaign", str(plan), "-o", str(folder / out), "--workers", "2", "-q"]
    return subprocess.Popen([sys.executable, "-m", "dp_sim.cli.main", *words], start_new_session=True)


def wait_for_samples(folder: Path, out: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        files = list((folder / out / "tasks").glob("*/run/thermo.csv"))
        if len(files) == 2 and all(file.read_text().count("\n") > 3 for file in files):
            return
        time.sleep(0.05)
    raise AssertionError("the tasks have not begun")


@pytest.fixture(scope="module")
def whole(folder: Path) -> list[str]:
    """The samples of each run, called from Python."""
    settings = {"temperature_K": 100, "steps": STEPS, "sample_every": 20}
    for seed in (1, 2):
        run_nvt(ase.io.read(folder / "cluster.xyz"), EMT(), out=folder / f"whole-{seed}", seed=seed, **settings)
    return [(folder / f"whole-{seed}" / "thermo.csv").read_text() for seed in (1, 2)]


def samples(out: Path) -> list[str]:
    return [file.read_text() for file in sorted((out / "tasks").glob("*/run/thermo.csv"))]


def test_what_is_killed_goes_on_to_the_same_numbers(folder: Path, whole: list[str]) -> None:
    """First the command of a task, which is begun again, then the campaign by SIGTERM."""
    out = folder / "stopped"
    process = run_in_background(folder, "stopped")
    wait_for_samples(folder, "stopped")
    found = subprocess.run(["pgrep", "-f", "config settings.yaml"], capture_output=True, text=True, check=False)
    commands = [int(word) for word in found.stdout.split() if Path(f"/proc/{word}/cwd").resolve().is_relative_to(out)]
    os.kill(commands[0], signal.SIGKILL)
    until = time.monotonic() + 60
    while sum(log.read_text().count("$ dp-sim") for log in (out / "tasks").glob("*/log.txt")) < 3:
        assert time.monotonic() < until, "the killed command is not begun again"
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert "running" not in {row.state for row in campaign_status(folder / "stopped.yaml", out)}
    result = campaign(folder / "stopped.yaml", out=out, resume=True, workers=2, progress=False)
    assert samples(out) == whole
    assert max(result.table["attempts"]) == 3
    assert result.table["state"] == ["not converged"] * 2  # too short for a heat capacity, as their pages say


def test_commands_outlive_a_campaign_that_is_killed_at_once(folder: Path, whole: list[str]) -> None:
    out = folder / "killed"
    process = run_in_background(folder, "killed")
    wait_for_samples(folder, "killed")
    process.kill()
    process.wait()
    assert "running" in {row.state for row in campaign_status(folder / "killed.yaml", out)}
    campaign(folder / "killed.yaml", out=out, resume=True, workers=2, progress=False)
    assert samples(out) == whole
    assert [log.read_text().count("$ dp-sim") for log in (out / "tasks").glob("*/log.txt")] == [1, 1]


def test_a_time_limit_stops_a_task_that_then_goes_on(folder: Path) -> None:
    """However fast the machine is: limits grow until one is enough, and the first is not."""
    settings = {**DYNAMICS["settings"], "steps": 4 * STEPS, "seed": 1}
    plan, out = write_plan(folder / "limit.yaml", {**DYNAMICS, "settings": settings, "each": {}}), folder / "limit"
    campaign(plan, out=out, engine="slurm", progress=False)
    (place,) = (out / "tasks").iterdir()
    statuses = list[int]()
    while not {0, 3} & set(statuses) and len(statuses) < 12:
        statuses.append(run_task(str(place), minutes=0.02 * 1.5 ** len(statuses)).status)
    assert len(statuses) > 1
    assert statuses[-1] in (0, 3)
    assert set(statuses[:-1]) <= {143, -signal.SIGTERM}  # the second before it could listen
    del settings["calculator"]
    run_nvt(ase.io.read(folder / "cluster.xyz"), EMT(), out=folder / "unlimited", **settings)
    assert samples(out) == [(folder / "unlimited" / "thermo.csv").read_text()]


def test_a_task_that_is_stopped_after_its_last_word_has_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, out = write_plan(folder / "late.yaml", {**DYNAMICS, "each": {}}), folder / "late"
    campaign(plan, out=out, engine="slurm", progress=False)
    (place,) = (out / "tasks").iterdir()

    def stopped_late(words: list[str], folder: Path, *others: Any) -> int:
        (folder / "run").mkdir()
        (folder / "run" / "result.json").write_text('{"converged": true}')
        return 143

    monkeypatch.setattr(task, "_execute", stopped_late)
    assert [run_task(str(place)).status for _ in range(2)] == [0, 0]


def test_labels_of_a_class_that_was_named(folder: Path) -> None:
    spec = "ase.calculators.emt:EMT"
    block = {"recipe": "label", "inputs": ["H2O.xyz"], "settings": {"calculator": spec}}
    result = campaign(write_plan(folder / "label.yaml", block), out=folder / "label", allowed=[spec], progress=False)
    assert result.table["state"] == ["done"]
    water = molecule("H2O")
    water.calc = EMT()
    label = ase.io.read(folder / "label" / "tasks" / result.table["task"][0] / "labels.extxyz")
    assert label.get_potential_energy() == pytest.approx(water.get_potential_energy(), abs=1e-6)


@pytest.fixture(scope="module")
def app() -> Any:
    return typer.main.get_command(make_app())


@pytest.mark.parametrize(
    ("recipe", "settings", "code", "sentence"),
    [
        ("opt", {"calculator": "emt", "fmaxx": 1}, "setting-unknown", "did you mean 'fmax'"),
        ("opt", {"calculator": "emt", "fmax": -1}, "setting-out-of-range", "fmax must be"),
        ("npt", {"calculator": "emt", "pressure_bar": True}, "setting-invalid", "pressure_bar"),
        ("label", {"calculater": "emt"}, "setting-invalid", "calculater"),
        ("opt", {"calculator": "emt"}, None, ""),
    ],
)
def test_a_command_is_read_and_not_run(
    app: Any, recipe: str, settings: dict[str, Any], code: str | None, sentence: str
) -> None:
    task = {"name": "007", "recipe": recipe, "inputs": ["H2O.xyz"], "settings": settings}
    error = first_error([{**task, "words": command_of(task)}], app)
    assert (None if error is None else error.code) == code
    assert error is None or (sentence in str(error) and str(error).startswith("007: "))


@pytest.mark.parametrize(
    ("settings", "code", "sentence"),
    [
        ({"calculator": "emt", "fmaxx": 1}, "setting-unknown", "did you mean 'fmax'"),
        ({"calculator": "my.code:Mine"}, "calculator-not-allowed", "--allow my.code:Mine"),
    ],
)
def test_what_a_task_cannot_take_is_told_before_any_begins(
    folder: Path, tmp_path: Path, settings: dict[str, Any], code: str, sentence: str
) -> None:
    first = {"recipe": "opt", "inputs": ["H2O.xyz"], "settings": {"calculator": "emt"}}
    plan = write_plan(folder / "wrong.yaml", first, {"recipe": "opt", "inputs": ["CH4.xyz"], "settings": settings})
    with refused(code, sentence, "002-opt-CH4"):
        campaign(plan, out=tmp_path / "wrong", progress=False)
    assert not (tmp_path / "wrong").exists()


def test_a_task_whose_worker_is_lost_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> None:
        raise RuntimeError("KilledWorker: gone")

    monkeypatch.setattr(campaigning, "run_task", lost)
    plan = write_plan(folder / "lost.yaml", {"recipe": "opt", "inputs": ["H2O.xyz"], "settings": {"calculator": "emt"}})
    result = campaign(plan, out=folder / "lost", attempts=2, progress=False)
    assert not result.converged
    (row,) = campaign_status(plan, folder / "lost")
    assert (row.state, row.attempts) == ("interrupted", 1)
    assert "worker lost" in row.cause
    assert "KilledWorker: gone" in row.cause
    monkeypatch.undo()
    assert campaign(plan, out=folder / "lost", resume=True, progress=False).converged


def test_another_plan_is_not_taken_for_this_one(folder: Path, three: CampaignResult) -> None:
    plan = write_plan(
        folder / "other.yaml", {"recipe": "opt", "inputs": ["H2O.xyz"], "settings": {"calculator": "emt"}}
    )
    with refused("run-differs", "another task"):
        campaign(plan, out=folder / "three", resume=True, progress=False)


def test_a_campaign_with_tasks_that_run_is_not_replaced(folder: Path, three: CampaignResult) -> None:
    place = folder / "three" / "tasks" / three.table["task"][1]
    with (place / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with refused("run-busy", place.name):
            campaign(folder / "three.yaml", out=folder / "three", overwrite=True, progress=False)
    assert (place / "run" / "result.json").is_file()


def test_only_calculators_that_were_named_stand_on_the_command_line(tmp_path: Path) -> None:
    own = Task("1", "learn", (), {"label": "my.code:Mine", "calculator": "emt"}, {})
    prepare(tmp_path / "1", own, threads=1, allowed=("my.code:Mine",))
    words = command_of(json.loads((tmp_path / "1" / "task.json").read_text()))
    assert words[-4:] == ["--label", "my.code:Mine", "-o", "run"]


def test_the_job_array_runs_what_is_left(folder: Path, tmp_path: Path) -> None:
    block = {"recipe": "opt", "inputs": ["H2O.xyz"], "settings": {"calculator": "emt"}}
    plan, out = write_plan(folder / "slurm.yaml", block), tmp_path / "array"
    result = campaign(plan, out=out, engine="slurm", workers=1, progress=False)
    assert result.table["state"] == ["waiting"]
    assert "#SBATCH --array=0-0%1" in (out / "campaign.sbatch").read_text()
    element = {**os.environ, "SLURM_ARRAY_TASK_ID": "0"}  # what Slurm sets for each
    assert subprocess.run(["bash", str(out / "campaign.sbatch")], env=element, check=False).returncode == 0
    assert campaign(plan, out=out, engine="slurm", resume=True, progress=False).converged


def test_a_task_that_is_done_is_not_run_again(folder: Path, three: CampaignResult) -> None:
    place = folder / "three" / "tasks" / three.table["task"][0]
    (place / "task.json").write_text(json.dumps({"recipe": "not even read"}))
    assert run_task(str(place)).status == 0
