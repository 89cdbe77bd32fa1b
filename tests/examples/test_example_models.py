"""The shipped models give the expected numbers, by their run scripts and in the notebook."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ase.io import read

from dp_sim.config.training_input import read_config
from dp_sim.example_systems.expected import Number, compare, write_expected
from dp_sim.recipes.models.accuracy import measure_accuracy

EXAMPLES = Path(__file__).resolve().parents[2] / "example_systems"
SYSTEMS = ("ethanol", "water")
#: Far above what the shipped models reach, far below what a model that does not fit its data gives.
FORCE_MAE_LIMIT = {"ethanol": 0.06, "water": 0.08}  # eV/Angstrom


def test_run_script_reports_a_number_that_differs(tmp_path: Path) -> None:
    """Another molecule energy in expected.json is seen; --write-expected makes the model's numbers the right ones.

    That both scripts find the numbers which ship is shown by the README's block (tests/packaging/test_readme.py).
    """
    folder = shutil.copytree(EXAMPLES / "water", tmp_path / "water")
    expected = json.loads((folder / "expected.json").read_text())
    expected["molecule energy"]["value"] += 0.01
    (folder / "expected.json").write_text(json.dumps(expected))
    done = run_script(folder)
    assert done.returncode == 1, done.stdout + done.stderr
    assert [line.split("  ")[0] for line in done.stdout.splitlines() if "differs" in line] == ["molecule energy"]
    assert run_script(folder, "--write-expected").returncode == 0


def run_script(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The script of a system as a user runs it, without the dynamics (tests/recipes has those)."""
    command = [sys.executable, "-W", "error", str(folder / "run.py"), *options, "--steps", "0"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_number_too_many_or_too_few_is_a_difference(tmp_path: Path) -> None:
    one, two = Number(1.0, "eV", 0.1), Number(2.0, "eV", 0.1)
    write_expected(tmp_path / "expected.json", {"one": one, "two": two})
    assert compare(tmp_path / "expected.json", {"one": one._replace(value=1.09), "two": two})
    assert not compare(tmp_path / "expected.json", {"one": one})
    assert not compare(tmp_path / "expected.json", {"one": one, "two": two, "three": two})


@pytest.mark.parametrize("system", SYSTEMS)
def test_model_describes_structures_it_was_not_trained_on(system: str) -> None:
    """A share of the test frames: the whole set is measured when a model is trained."""
    folder = EXAMPLES / system
    result = measure_accuracy(str(folder / f"{system}.pt"), f"{folder / 'test.extxyz.gz'}@::6", progress=False)
    assert result.total.forces.mae < FORCE_MAE_LIMIT[system]


@pytest.mark.parametrize("file", ["ethanol/train.yaml", "water/train.yaml", "water/demo.yaml"])
def test_training_settings_are_valid(file: str) -> None:
    config = read_config(EXAMPLES / file)
    assert all(Path(name).is_file() for name in (*config.data.train, *config.data.valid))


@pytest.mark.parametrize("system", SYSTEMS)
def test_model_is_small_and_knows_its_structures(system: str) -> None:
    from dp_sim import load_model

    file = EXAMPLES / system / f"{system}.pt"
    assert file.stat().st_size < 1_000_000
    structures = sorted((EXAMPLES / system).glob("*.extxyz"))
    assert structures
    for structure in structures:
        load_model(file).species_index(read(structure).numbers)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the Jupyter packages about each other
@pytest.mark.filterwarnings("ignore:Proactor event loop:RuntimeWarning")
def test_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="the notebook is read with nbformat", exc_type=ImportError)
    nbclient = pytest.importorskip("nbclient", reason="the notebook is run with nbclient", exc_type=ImportError)
    pytest.importorskip("ipykernel", reason="the notebook needs a Python kernel", exc_type=ImportError)
    folder = shutil.copytree(EXAMPLES / "ethanol", tmp_path / "ethanol")
    # The kernel python3 of this environment, whatever the user's home holds.
    monkeypatch.setenv("JUPYTER_PATH", str(Path(sys.prefix) / "share" / "jupyter"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    notebook = nbformat.read(folder / "ethanol.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "the notebook is kept without outputs"
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("Geometry optimisation" in data.get("text/html", "") for data in shown)
    assert any("image/png" in data for data in shown)
