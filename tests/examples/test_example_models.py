"""The shipped models give the expected numbers, by their run scripts and in the notebook."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ase.io import read
from scripts import run_script

from dp_sim.config.training_input import read_config
from dp_sim.example_systems.expected import Number, compare, write_expected
from dp_sim.recipes import load_result
from dp_sim.recipes.models.accuracy import measure_accuracy

EXAMPLES = Path(__file__).resolve().parents[2] / "example_systems"
SYSTEMS = ("ethanol", "water")
#: Far above what the shipped models reach, far below what a model that does not fit its data gives.
FORCE_MAE_LIMIT = {"ethanol": 0.06, "water": 0.08}  # eV/Angstrom


def test_run_script_reports_a_number_that_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another molecule energy in expected.json is seen; --write-expected makes the model's numbers the right ones.

    That both scripts find the numbers which ship a block of README.md shows (tests/packaging/test_documentation.py).
    """
    folder = shutil.copytree(EXAMPLES / "water", tmp_path / "water")
    expected = json.loads((folder / "expected.json").read_text())
    expected["molecule energy"]["value"] += 0.01
    (folder / "expected.json").write_text(json.dumps(expected))
    without_dynamics = ("--steps", 0)  # tests/recipes has those
    assert run_script(folder / "run.py", *without_dynamics) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in said if "differs" in line] == ["molecule energy"]
    assert run_script(folder / "run.py", *without_dynamics, "--write-expected") == 0


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


@pytest.mark.parametrize(
    "file", ["ethanol/train.yaml", "hydrogen_cyanide/train.yaml", "water/train.yaml", "water/demo.yaml"]
)
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


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch):
    """Run a notebook in its folder; return it with its outputs."""
    nbformat = pytest.importorskip("nbformat", reason="the notebook is read with nbformat", exc_type=ImportError)
    nbclient = pytest.importorskip("nbclient", reason="the notebook is run with nbclient", exc_type=ImportError)
    pytest.importorskip("ipykernel", reason="the notebook needs a Python kernel", exc_type=ImportError)
    # The kernel python3 of this environment, whatever the user's home holds.
    monkeypatch.setenv("JUPYTER_PATH", str(Path(sys.prefix) / "share" / "jupyter"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))

    def run(file: Path) -> Any:
        notebook = nbformat.read(file, as_version=4)
        nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(file.parent)}}).execute()
        return notebook

    return run


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the Jupyter packages about each other
@pytest.mark.filterwarnings("ignore:Proactor event loop:RuntimeWarning")
def test_notebook_runs(tmp_path: Path, executed: Callable[[Path], Any]) -> None:
    folder = shutil.copytree(EXAMPLES / "ethanol", tmp_path / "ethanol")
    kept = json.loads((folder / "ethanol.ipynb").read_text(encoding="utf-8"))
    assert not any(cell.get("outputs") for cell in kept["cells"]), "the notebook is kept without outputs"
    notebook = executed(folder / "ethanol.ipynb")
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("Geometry optimisation" in data.get("text/html", "") for data in shown)
    assert any("image/png" in data for data in shown)
    assert not any("not given" in str(data) or "withheld" in str(data) for data in shown)


def texts(cells: Any) -> list[str]:
    """What each cell of a notebook prints or ends with."""
    found = []
    for cell in cells:
        for output in cell.get("outputs", []):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            found.append("".join(text))
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the Jupyter packages about each other
@pytest.mark.filterwarnings("ignore:Proactor event loop:RuntimeWarning")
def test_notebook_of_a_finished_run_shows_what_it_gives(tmp_path: Path, executed: Callable[[Path], Any]) -> None:
    """water.ipynb is kept with its outputs; run again it has the same numbers, and each of them is given."""
    file = EXAMPLES / "water" / "water.ipynb"
    assert file.stat().st_size < 500_000
    kept = json.loads(file.read_text(encoding="utf-8"))["cells"]
    folder = tmp_path / "water"
    shutil.copytree(EXAMPLES / "water" / "npt", folder / "npt")
    shutil.copy(file, folder)
    notebook = executed(folder / "water.ipynb")
    assert texts(notebook.cells) == texts(kept)
    assert len(texts(kept)) >= 10
    assert "not given" not in "".join(texts(kept))
    pictures = [output for cell in kept for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
    assert len(pictures) == 4


def test_the_run_of_the_notebook_is_that_of_the_command_in_it() -> None:
    kept = json.loads((EXAMPLES / "water" / "water.ipynb").read_text(encoding="utf-8"))["cells"]
    words = "".join(kept[0]["source"]).replace("\\\n", " ").partition("dp-sim npt ")[2].partition("\n")[0].split()
    given = dict(zip(words[1::2], words[2::2], strict=True))
    used = load_result(EXAMPLES / "water" / "npt").provenance["settings"]
    named = {"-T": "temperature_K", "-p": "pressure_bar", "--hydrogen-mass": "hydrogen_mass_amu"}
    for option, value in given.items():
        if option not in ("-m", "-o"):
            assert str(used[named.get(option, option[2:].replace("-", "_"))]).removesuffix(".0") == value, option
    start, number = words[0].split("@")
    first = read(EXAMPLES / "water" / "npt" / "input.extxyz")
    assert first.positions == pytest.approx(read(EXAMPLES / "water" / start, int(number)).positions, abs=1e-7)
