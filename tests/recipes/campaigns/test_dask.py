"""Campaigns on a real Dask cluster on the loopback interface, whose parts are killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import ase.io
import pytest
import yaml
from ase.calculators.emt import EMT
from ase.cluster import Octahedron
from refusals import refused

from dp_sim.recipes import campaign, run_nvt
from dp_sim.recipes.run import workers

pytest.importorskip("distributed", reason="the extra dask is not installed")

SEEDS = [1, 2]
STEPS = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dask")
    ase.io.write(folder / "cluster.xyz", Octahedron("Cu", 2, 0))
    block = {
        "recipe": "nvt",
        "inputs": ["cluster.xyz"],
        "settings": {"calculator": "emt", "temperature_K": 100, "steps": STEPS, "sample_every": 20},
        "each": {"seed": SEEDS},
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump({"tasks": [block]}))
    return folder


def tables(out: Path) -> list[str]:
    return [file.read_text() for file in sorted((out / "tasks").glob("*/run/thermo.csv"))]


@pytest.fixture(scope="module")
def whole(folder: Path) -> list[str]:
    """The samples of each run, called from Python."""
    for seed in SEEDS:
        atoms, settings = (
            ase.io.read(folder / "cluster.xyz"),
            {"temperature_K": 100, "steps": STEPS, "sample_every": 20},
        )
        run_nvt(atoms, EMT(), out=folder / f"whole-{seed}", seed=seed, **settings)
    return [(folder / f"whole-{seed}" / "thermo.csv").read_text() for seed in SEEDS]


def process(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *words], stderr=subprocess.DEVNULL, start_new_session=True)


@pytest.fixture
def address() -> Iterator[str]:
    """A scheduler with two workers, which the tests may kill."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    started = [process("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")]
    started += [
        process("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny") for _ in "ab"
    ]
    yield address
    for one in started:
        one.kill()
        one.wait()


def wait_until(done: object, what: str) -> None:
    until = time.monotonic() + 60
    while not done():  # type: ignore[operator]
        assert time.monotonic() < until, what
        time.sleep(0.05)


def begun(out: Path) -> bool:
    return sum(table.count("\n") > 2 for table in tables(out)) >= 2


def in_background(folder: Path, out: Path, *words: str) -> subprocess.Popen[bytes]:
    return process(
        "dp_sim.cli.main", "campaign", str(folder / "plan.yaml"), "-o", str(out), "--engine", "dask", "-q", *words
    )


def test_a_cluster_of_this_machine_survives_the_death_of_a_worker(folder: Path, whole: list[str]) -> None:
    out = folder / "near"
    running = in_background(folder, out, "--workers", "2")
    wait_until(lambda: begun(out), "no task has begun")
    workers = subprocess.run(
        ["pgrep", "-P", str(running.pid), "-f", "spawn_main"], capture_output=True, text=True
    ).stdout.split()
    assert workers
    os.kill(int(workers[0]), signal.SIGKILL)
    assert running.wait() == 3
    assert tables(out) == whole
    logs = [file.read_text().count("$ dp-sim") for file in (out / "tasks").glob("*/log.txt")]
    assert logs == [1] * len(SEEDS)  # the command of the dead worker went on, and was waited for


@pytest.mark.parametrize("part", ["client", "scheduler"])
def test_what_is_left_is_run_after_a_part_was_killed(folder: Path, whole: list[str], address: str, part: str) -> None:
    out = folder / f"without-{part}"
    running = in_background(folder, out, "--scheduler", address, "--attempts", "1")
    wait_until(lambda: begun(out), "no task has begun")
    if part == "client":
        running.kill()
    else:
        port = address.rpartition(":")[2]
        found = subprocess.run(["pgrep", "-f", f"dask_scheduler.*{port}"], capture_output=True, text=True, check=False)
        os.kill(int(found.stdout.split()[0]), signal.SIGKILL)
    assert running.wait() != 0
    engine = {"engine": "dask", "scheduler": address} if part == "client" else {"workers": 2}
    campaign(folder / "plan.yaml", out=out, resume=True, progress=False, **engine)  # type: ignore[arg-type]
    assert tables(out) == whole
    assert all(file.read_text().count("$ dp-sim") == 1 for file in (out / "tasks").glob("*/log.txt"))


def test_no_scheduler_there(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ANSWER_S", 1.0)
    with refused("scheduler-unreachable", "tcp://127.0.0.1:9"):
        campaign(
            folder / "plan.yaml", out=tmp_path / "none", engine="dask", scheduler="tcp://127.0.0.1:9", progress=False
        )
