"""calibration.json: written, read back, and what it may not say."""

import json
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from dp_sim.uncertainty.calibration import Calibration, read_calibration
from dp_sim.uncertainty.scale import Scale

MEMBERS = ("a" * 64, "b" * 64)
GOOD = Calibration(
    MEMBERS,
    Scale(1.5, (0.6, 1.0, 2.0, None), 0.9),
    Scale(2.0, (0.6, 1.0, 2.0, 2.5)),
    Scale(1.0, (None,) * 4),
    {"x": "c"},
)


def test_round_trip(tmp_path: Path) -> None:
    GOOD.write(tmp_path / "calibration.json")
    assert read_calibration(tmp_path / "calibration.json", MEMBERS) == GOOD
    assert GOOD.energy.interval(68) == 1.0


@pytest.mark.parametrize(
    ("where", "value", "code", "named"),
    [
        (["members"], ["b" * 64, "a" * 64], "calibration-stale", "dp-sim calibrate"),
        (["members"], 3, "calibration-stale", "3"),
        (["version"], 2, "version-newer", "version 2"),
        (["version"], "one", "calibration-invalid", "version"),
        (["format"], "other", "calibration-invalid", "format"),
        (["energy"], None, "calibration-invalid", "energy"),
        (["forces", "factor"], -1, "calibration-invalid", "forces.factor"),
        (["forces", "factor"], True, "calibration-invalid", "forces.factor"),
        (["atoms", "intervals"], {"50": 1}, "calibration-invalid", "atoms.intervals"),
        (["atoms", "intervals", "95"], 0, "calibration-invalid", "atoms.intervals.95"),
        (["atoms", "alpha_squared"], "x", "calibration-invalid", "atoms.alpha_squared"),
        (["data"], [], "calibration-invalid", "data"),
    ],
)
def test_what_it_may_not_say(tmp_path: Path, where: list[str], value: Any, code: str, named: str) -> None:
    file = tmp_path / "calibration.json"
    GOOD.write(file)
    content = json.loads(file.read_text())
    inner = content
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    file.write_text(json.dumps(content))
    with refused(code, file, named):
        read_calibration(file, MEMBERS)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_what_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "calibration.json").write_text(text)
    with refused("calibration-invalid", tmp_path / "calibration.json"):
        read_calibration(tmp_path / "calibration.json", MEMBERS)
