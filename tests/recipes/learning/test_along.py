"""Searches with members that learn where the way goes."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.calculators.emt import EMT
from copper_cluster import cluster
from reference_calculators import Reference
from refusals import refused

import dp_sim
from dp_sim.recipes import load_result
from dp_sim.recipes.learning.journal import Journal
from dp_sim.recipes.learning.result import LearnResult

Run = Callable[..., LearnResult]
#: Of relaxations here.
OPT: dict[str, Any] = {"along": "opt", "threshold": 0.3, "train_steps": 40, "max_labels": 12}


class Killed(BaseException):
    """What no code answers, as SIGKILL."""


def events(directory: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (directory / "journal.jsonl").read_text().splitlines()]
    return [{key: value for key, value in event.items() if key != "elapsed_s"} for event in found]


def force_on(atoms: Atoms) -> float:
    bare = Atoms(atoms.numbers, atoms.positions)
    bare.calc = EMT()
    return float(np.linalg.norm(bare.get_forces(), axis=1).max())


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    return {}


@pytest.fixture
def relaxed(run: Run, tmp_path: Path, kept: dict[str, Any]) -> dict[str, Any]:
    """A relaxation that nobody kills, made once."""
    if not kept:
        result = run("whole", Reference(tmp_path / "whole-calls"), **OPT)
        kept |= {
            "result": result,
            "events": events(tmp_path / "whole"),
            "table": (tmp_path / "whole" / "uncertainty.csv").read_bytes(),
            "calls": (tmp_path / "whole-calls").read_text().splitlines(),
            "opt": load_result(tmp_path / "whole" / "opt"),
        }
    return kept


def test_a_relaxation_is_repeated_until_it_is_sure_of_its_way(relaxed: dict[str, Any]) -> None:
    result = relaxed["result"]
    assert result.converged
    rounds = int(result.looks[-1, 1])
    assert rounds == len(result.trainings) + 1 > 1
    of_last = result.looks[result.looks[:, 1] == rounds]
    assert (of_last[:, 3] <= 0.3).all()
    for number in range(1, rounds):
        assert (result.looks[result.looks[:, 1] == number][:, 3] > 0.3).any()
    looks = {int(number): spread for number, _, _, spread in result.looks}
    assert all(looks[one.step] == pytest.approx(one.spread, rel=1e-5) for one in result.picks)
    np.testing.assert_array_equal(result.atoms.positions, relaxed["opt"].atoms.positions)
    # Sure to 0.3 eV/Angstrom, and nearer to the minimum of EMT than the start.
    assert force_on(result.atoms) < 0.5 * force_on(cluster())


@pytest.mark.parametrize("parity", [0, 1])
def test_killed_at_every_event(
    run: Run, tmp_path: Path, relaxed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, parity: int
) -> None:
    append, cut = Journal.append, list[int]()

    def killed(self: Journal, kind: str, **content: Any) -> None:
        number = len(self.events)
        if number % 2 == parity and number not in cut:
            cut.append(number)
            raise Killed
        append(self, kind, **content)
        if number % 2 != parity:
            raise Killed

    monkeypatch.setattr(Journal, "append", killed)
    for _ in range(60):
        with suppress(Killed):
            result = run("cut", Reference(tmp_path / "calls"), resume=True, **OPT)
            break
    assert events(tmp_path / "cut") == relaxed["events"]
    assert (tmp_path / "cut" / "uncertainty.csv").read_bytes() == relaxed["table"]
    np.testing.assert_array_equal(result.atoms.positions, relaxed["result"].atoms.positions)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert list(dict.fromkeys(calls)) == relaxed["calls"]


def test_a_band_is_labelled_where_it_goes(run: Run, tmp_path: Path) -> None:
    """An atom goes through the triangle of the others; a label that is absurd and one that fails are left out."""
    (tmp_path / "neb.yaml").write_text(yaml.safe_dump({"images": 5, "steps": 5, "fmax": 0.2, "interpolation": "idpp"}))
    ends = [cluster(), cluster()]
    ends[1].positions[3] *= -1
    label = Reference(tmp_path / "calls", {4: "absurd", 5: "raises"})
    options: dict[str, Any] = {"along": "neb", "threshold": 0.5, "max_labels": 9, "picks": 3, "upper": 50.0}
    result = run("band", label, atoms=ends, along_settings=tmp_path / "neb.yaml", **options)
    assert result.failed_labels == 2
    assert result.label_count + result.failed_labels <= 9
    assert len(result.picks) >= 3
    assert sum(bool(one.cause) for one in result.picks) == 2
    labels = ase.io.read(tmp_path / "band" / "labels.extxyz", index=":")
    np.testing.assert_allclose(labels[1].positions, ends[1].positions)
    assert len(labels) == result.label_count
    assert max(np.linalg.norm(one.get_forces(), axis=1).max() for one in labels) < 30
    assert dp_sim.load_model(tmp_path / "band").n_parameters == result.model.n_parameters
    (tmp_path / "neb.yaml").write_text("images: 7\n")
    with refused("run-differs", "along_settings"):
        run("band", label, atoms=ends, along_settings=tmp_path / "neb.yaml", resume=True, **options)


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"along": "vib"}, ("choice-unknown", "along", "vib", "neb")),
        ({"along": "neb"}, ("structures-count", "neb", "product", "got 1")),
        ({"along": "opt", "steps": 10}, ("setting-not-for-along", "steps", "opt")),
        ({"along": "ts", "quiet_ps": 1.0}, ("setting-not-for-along", "quiet_ps", "ts")),
        ({"along_settings": "opt.yaml"}, ("setting-not-for-along", "along_settings", "dynamics")),
        ({"along": "opt", "along_settings": "nothing.yaml"}, ("config-malformed", "nothing.yaml")),
        ({"steps": None}, ("setting-missing", "steps")),
    ],
)
def test_bad_input_leaves_nothing(run: Run, tmp_path: Path, changed: dict[str, Any], refusal: tuple[str, ...]) -> None:
    with refused(*refusal):
        run("bad", **changed)
    assert not (tmp_path / "bad").exists()


def test_settings_of_the_search_are_checked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "opt.yaml").write_text("fmaxx: 0.1\n")
    with refused("setting-unknown", "fmaxx", "fmax"):
        run("bad", along="opt", along_settings=tmp_path / "opt.yaml")
    (tmp_path / "opt.yaml").write_text("- 1\n")
    with refused("config-malformed", "opt.yaml"):
        run("bad", along="opt", along_settings=tmp_path / "opt.yaml")
