"""A committee in one folder: written, opened as the list of its files, and refused where it is not whole."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from random_model import write_random_model
from refusals import refused

from dp_sim import load_model, write_committee
from dp_sim.model.committee.folder import COMMITTEE, read_committee
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes.inputs.calculators import as_calculator, calculator_settings, member_calculators


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("members")
    return [write_random_model(folder / f"{seed}.pt", seed=seed) for seed in (1, 2, 3)]


@pytest.fixture
def folder(files: list[Path], tmp_path: Path) -> Path:
    return write_committee(tmp_path / "committee", files)


def methane() -> Any:
    from ase.build import molecule

    return molecule("CH4")


def test_the_folder_is_the_list_of_its_files(files: list[Path], folder: Path) -> None:
    assert json.loads((folder / COMMITTEE).read_text()) == {
        "format": "dp-sim committee",
        "version": 1,
        "members": ["member-0/model.pt", "member-1/model.pt", "member-2/model.pt"],
    }
    ours, theirs = load_model(folder), load_model(files)
    assert ours.folder == folder
    assert theirs.folder is None
    assert [one.sha256 for one in ours.members] == [one.sha256 for one in theirs.members]
    for mine, other in zip(ours.evaluate(methane()), theirs.evaluate(methane()), strict=True):
        assert (mine is None) == (other is None)
        assert mine is None or torch.equal(mine, other)


def test_it_may_move(folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "elsewhere")
    assert len(load_model([tmp_path / "elsewhere"]).members) == 3


def test_calculators_and_settings_name_the_folder(files: list[Path], folder: Path) -> None:
    calculator = as_calculator([folder])
    assert calculator_settings(calculator)["model"] == [str(folder)]
    assert calculator_settings(DPCalculator(folder))["model"] == [str(folder)]
    assert calculator_settings(as_calculator(files))["model"] == [str(file) for file in files]
    assert len(member_calculators(calculator)) == 3
    copy = pickle.loads(pickle.dumps(calculator.model))
    assert copy.folder == folder


def test_a_committee_of_a_committee(folder: Path, tmp_path: Path) -> None:
    again = write_committee(tmp_path / "again", [folder])
    assert read_committee(again).members[2] == again / "member-2" / "model.pt"


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ({"membres": []}, "committee-invalid", ["membres", "'members'"]),
        ({"version": 2}, "version-newer", ["version 2"]),
        ({"version": "1"}, "committee-invalid", ["version", "'1'"]),
        ({"format": "committee"}, "committee-invalid", ["format", "dp-sim committee", "'committee'"]),
        ({"members": ["member-0/model.pt"]}, "committee-invalid", ["members", "two or more"]),
        ({"members": "member-0/model.pt"}, "committee-invalid", ["members", "member-0/model.pt"]),
        ({"members": ["member-0/model.pt", 1]}, "committee-invalid", ["members"]),
        ({"members": ["member-0/model.pt"] * 2}, "committee-invalid", ["member-0/model.pt", "twice"]),
        ({"members": ["member-0/model.pt", "../1.pt"]}, "committee-invalid", ["'../1.pt'"]),
        ({"members": ["member-0/model.pt", "/etc/passwd"]}, "committee-invalid", ["'/etc/passwd'"]),
        ({"members": ["member-0/model.pt", r"C:\1.pt"]}, "committee-invalid", ["1.pt"]),
        ({"members": ["member-0/model.pt", ""]}, "committee-invalid", ["members"]),
        ({"members": ["member-0/model.pt", "member-7/model.pt"]}, "file-missing", ["member-7/model.pt"]),
        ({"calibration": 3}, "committee-invalid", ["calibration", "3"]),
        ({"calibration": "../calibration.json"}, "committee-invalid", ["calibration", "../calibration.json"]),
        ({"calibration": "calibration.json"}, "file-missing", ["calibration", "calibration.json"]),
    ],
)
def test_what_committee_json_may_not_say(folder: Path, change: dict[str, Any], code: str, named: list[str]) -> None:
    content = json.loads((folder / COMMITTEE).read_text())
    (folder / COMMITTEE).write_text(json.dumps({**content, **change}))
    with refused(code, folder / COMMITTEE, *named):
        load_model(folder)


@pytest.mark.parametrize("text", ["", "[1, 2", "[]", "null", "[" * 100_000, "\udcff"])
def test_what_is_no_committee_json(folder: Path, text: str) -> None:
    (folder / COMMITTEE).write_bytes(text.encode("utf-8", "surrogateescape"))
    with refused("committee-invalid", folder / COMMITTEE):
        load_model(folder)


def test_folders_that_hold_no_committee(files: list[Path], folder: Path, tmp_path: Path) -> None:
    with refused("committee-missing", tmp_path, COMMITTEE):
        load_model(tmp_path)
    with refused("committee-missing", folder / "member-1" / "model.pt"):  # the directory of a training: its model
        load_model(folder / "member-1")
    with refused("committee-among-files", folder):
        load_model([folder, files[0]])


def test_members_that_are_damaged_or_do_not_fit(folder: Path) -> None:
    write_random_model(folder / "member-1" / "model.pt", species=("H", "O"))
    with refused("committee-mismatch", "member-1", "H, O"):
        load_model(folder)
    (folder / "member-1" / "model.pt").write_bytes(b"PK\x03\x04")
    with refused("file-damaged", "member-1"):
        load_model(folder)


def test_what_no_folder_is_made_of(files: list[Path], tmp_path: Path) -> None:
    other = write_random_model(tmp_path / "other.pt", species=("H", "O"))
    for given, code, named in (
        (files[:1], "members-too-few", ["1.pt"]),
        ([files[0], files[1], files[0]], "members-equal", ["1.pt"]),
        ([files[0], other], "committee-mismatch", ["other.pt"]),
        ([files[0], tmp_path / "none.pt"], "file-missing", ["none.pt"]),
    ):
        with refused(code, *named):
            write_committee(tmp_path / "committee", given)
        assert not (tmp_path / "committee").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with refused("target-occupied", "full"):
        write_committee(tmp_path / "full", files)


def test_members_of_other_shapes_are_members(files: list[Path], tmp_path: Path) -> None:
    other = write_random_model(tmp_path / "frames.pt", descriptor="deep-potential")
    folder = write_committee(tmp_path / "committee", [files[0], other])
    assert load_model(folder).evaluate(methane()).energy_std is not None
