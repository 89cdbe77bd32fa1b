"""Plans: what tasks they make, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase.io
import pytest
from ase.build import molecule
from refusals import refused

from dp_sim.errors import InputError
from dp_sim.recipes.campaigns.plan import Task, parse_plan, read_plan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("H2O", "CH4"):
        ase.io.write(tmp_path / f"{name}.xyz", molecule(name))
    ase.io.write(tmp_path / "three.extxyz", [molecule("H2O")] * 3)
    return tmp_path


def tasks_of(folder: Path, **block: Any) -> list[Task]:
    return parse_plan({"tasks": [{"recipe": "opt", **block}]}, folder, "plan.yaml")


def test_every_input_with_every_combination(folder: Path) -> None:
    tasks = tasks_of(
        folder, inputs=["H2O.xyz", "CH4.xyz"], settings={"calculator": "emt"}, each={"fmax": [0.1, 0.2], "seed": [1, 2]}
    )
    assert len(tasks) == 8
    assert [task.varied for task in tasks[:3]] == [
        {"fmax": 0.1, "seed": 1},
        {"fmax": 0.1, "seed": 2},
        {"fmax": 0.2, "seed": 1},
    ]
    assert tasks[0].settings == {"calculator": "emt", "fmax": 0.1, "seed": 1}
    assert tasks[4].inputs == (str(folder / "CH4.xyz"),)
    assert tasks[4].name == "005-opt-CH4-fmax-0.1-seed-1"
    assert len({task.name for task in tasks}) == 8


def test_patterns_and_frames_are_tasks_of_their_own(folder: Path) -> None:
    assert [Path(one.inputs[0]).name for one in tasks_of(folder, inputs="*.xyz")] == ["CH4.xyz", "H2O.xyz"]
    frames = tasks_of(folder, inputs=["three.extxyz@:"])
    assert [one.inputs[0].rpartition("@")[2] for one in frames] == ["0", "1", "2"]
    assert [one.name for one in frames][:1] == ["001-opt-three-0"]
    assert len(tasks_of(folder, inputs=["three.extxyz@1"])) == 1


def test_a_list_of_inputs_is_of_one_task(folder: Path) -> None:
    (task,) = tasks_of(folder, recipe="neb", inputs=[["H2O.xyz", "CH4.xyz"]])
    assert [Path(one).name for one in task.inputs] == ["H2O.xyz", "CH4.xyz"]


def test_files_beside_the_plan_are_found_from_anywhere(folder: Path) -> None:
    (folder / "model.pt").touch()
    (folder / "emt").touch()
    (task,) = tasks_of(folder, inputs="H2O.xyz", settings={"model": "model.pt", "calculator": "emt"})
    assert task.settings == {"model": str(folder / "model.pt"), "calculator": "emt"}


@pytest.mark.parametrize(
    ("block", "code", "sentence"),
    [
        ({"recipe": "optt", "inputs": "H2O.xyz"}, "setting-unknown-choice", "did you mean 'opt'"),
        ({"inputs": "H2O.xyz", "setting": {}}, "setting-unknown", "did you mean 'settings'"),
        ({"inputs": "H3O.xyz"}, "file-missing", "H3O.xyz"),
        ({"inputs": "*.pdb"}, "file-missing", "correct the pattern"),
        ({"inputs": []}, "structures-missing", "must not be empty"),
        ({"inputs": "H2O.xyz", "each": {"seed": []}}, "structures-missing", "must not be empty"),
        ({"inputs": "H2O.xyz", "each": {"seed": 1}}, "setting-invalid", "each.seed"),
        ({"inputs": "H2O.xyz", "settings": {"out": "x"}}, "setting-invalid", "out is the campaign's"),
        ({"inputs": "H2O.xyz", "settings": {"a": 1}, "each": {"a": [1]}}, "setting-invalid", "stands in settings"),
    ],
)  # fmt: skip
def test_a_wrong_block_is_named(folder: Path, block: dict[str, Any], code: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        tasks_of(folder, **block)
    assert "entry 1 of tasks" in str(error.value)
    assert code == "setting-unknown-choice" or error.value.code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("tasks: []", "config-malformed"),
        ("- recipe: opt", "config-malformed"),
        ("engine: dask\ntasks: [{recipe: opt, inputs: H2O.xyz}]", "setting-unknown"),
        ("tasks: !!python/object/apply:os.system [ls]", "file-unreadable"),
        ("tasks: [", "file-unreadable"),
    ],
)
def test_a_wrong_plan_is_named(folder: Path, text: str, code: str) -> None:
    (folder / "plan.yaml").write_text(text)
    with refused(code, "plan.yaml"):
        read_plan(folder / "plan.yaml")


def test_an_option_in_the_plan_is_told_as_one(folder: Path) -> None:
    with refused("setting-unknown", "give it as an option, --workers"):
        parse_plan({"workers": 2, "tasks": [{"recipe": "opt", "inputs": "H2O.xyz"}]}, folder, "plan")
