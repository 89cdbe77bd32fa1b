"""A run that is killed, whenever that is, goes on to the same labels, weights and trajectory."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from reference_calculators import Reference
from refusals import refused

from dp_sim.recipes.learning import learn as learning
from dp_sim.recipes.learning import learner
from dp_sim.recipes.learning.journal import Journal
from dp_sim.recipes.learning.members.side_by_side import SideBySide
from dp_sim.recipes.learning.result import LearnResult
from dp_sim.recipes.run.workers import open_workers

Run = Callable[..., LearnResult]


#: A pause with two labels, from the second of which it goes on; frames lie before, between and after them.
TWO_PICKS = {"frame_every": 5, "steps": 45, "picks": 2, "max_labels": 3, "apart_fs": 8.0, "threshold": 0.5}


class Killed(BaseException):
    """What no code answers, as SIGKILL."""


def events(directory: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (directory / "journal.jsonl").read_text().splitlines()]
    return [{key: value for key, value in event.items() if key != "elapsed_s"} for event in found]


@pytest.fixture(scope="module")
def whole_run() -> dict[str, Any]:
    return {}


@pytest.fixture
def whole(run: Run, tmp_path: Path, whole_run: dict[str, Any]) -> dict[str, Any]:
    """The run that nobody kills, made once."""
    if not whole_run:
        result = run("whole", Reference(tmp_path / "whole-calls"), **TWO_PICKS)
        whole_run |= content(tmp_path / "whole", result)
        whole_run["calls"] = (tmp_path / "whole-calls").read_text().splitlines()
        assert {one["event"] for one in whole_run["events"]} == {
            "begun", "running", "paused", "labelled", "trained", "resumed"
        }  # fmt: skip
        assert (result.label_count, len(result.trainings)) == (3, 1)
        assert any(one["event"] == "running" and one["step"] > 0 for one in whole_run["events"])
    return whole_run


def content(directory: Path, result: LearnResult) -> dict[str, Any]:
    files = {
        name: (directory / name).read_bytes() for name in ("trajectory.extxyz", "uncertainty.csv", "labels.extxyz")
    }
    return {
        "events": events(directory),
        "positions": result.atoms.positions.tobytes(),
        "momenta": result.atoms.get_momenta().tobytes(),
        **files,
    }


@pytest.mark.parametrize("parity", [0, 1])
def test_killed_at_every_event(
    run: Run, tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch, parity: int
) -> None:
    """Every other event is cut in the middle of its line, the others are the last thing that a session does."""
    append, train_member = Journal.append, learner.train_member
    cut, trained = list[int](), list[str]()

    def killed_at_event(self: Journal, kind: str, **content: Any) -> None:
        number = len(self.events)
        if number % 2 == parity and number not in cut:
            cut.append(number)
            assert self.file is not None
            with self.file.open("a") as file:
                file.write('{"event": "' + kind)
            raise Killed
        append(self, kind, **content)
        if number % 2 != parity:
            raise Killed

    def killed_between_members(*arguments: Any, **keywords: Any) -> None:
        train_member(*arguments, **keywords)
        trained.append(arguments[4].name)
        if trained[-1].endswith("member-0.pt"):
            raise Killed

    monkeypatch.setattr(Journal, "append", killed_at_event)
    monkeypatch.setattr(learner, "train_member", killed_between_members)
    for _ in range(60):
        with suppress(Killed):
            result = run("cut", Reference(tmp_path / "calls"), resume=True, **TWO_PICKS)
            break
    for name, value in content(tmp_path / "cut", result).items():
        assert value == whole[name], name
    assert len(trained) == len(set(trained)), "a member that was whole is not trained again"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert list(dict.fromkeys(calls)) == whole["calls"]
    lost = [number for number in cut if whole["events"][number]["event"] == "labelled"]
    assert len(calls) == len(whole["calls"]) + len(lost), "a label that is on the disk is not computed again"


def test_a_damaged_journal_is_refused(run: Run, tmp_path: Path) -> None:
    run("cut", steps=5)
    journal = tmp_path / "cut" / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    for damaged in (lines[1:], [*lines, "nonsense\n"]):
        journal.write_text("".join(damaged))
        with refused("journal-damaged", "journal.jsonl"):
            run("cut", steps=5, resume=True)


def test_members_side_by_side_get_the_same_weights(
    run: Run, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(learning, "threads_to_use", lambda: 2)
    result = run("beside", Reference(tmp_path / "beside-calls"), **TWO_PICKS)
    for name, value in content(tmp_path / "beside", result).items():
        assert value == whole[name], name
    tasks = [{"target": tmp_path / "member.pt", "start": tmp_path / "nothing.pt"}] * 2
    with open_workers("local", 2) as place, SideBySide(place, 2, 1) as processes, refused("member-ended", "member.pt"):
        processes.train(tasks, lambda: None)
