"""`dp-sim demo` in small: every part leaves what it promises, and the page shows them all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from refusals import refused

from dp_sim.cli.main import status
from dp_sim.recipes import load_result
from dp_sim.recipes.demo import water as demo

pytest.importorskip("openmmtorch", reason="the demo runs the liquid in OpenMM with TorchForce", exc_type=ImportError)

PROMISED = {
    "train": ("model.pt", "learning_curve.csv", "learning_curve.png", "result.json", "report.html"),
    "opt": ("optimized.extxyz", "result.json", "report.html"),
    "vib": ("hessian.npz", "modes.extxyz", "spectrum.png", "result.json", "report.html"),
    "nvt": ("thermo.csv", "final.extxyz", "result.json", "report.html"),
    "npt": ("thermo.csv", "final.extxyz", "density.png", "result.json", "report.html"),
}


def test_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    make_small(tmp_path / "water", monkeypatch)
    out = tmp_path / "demo"
    code = status(["demo", "-o", str(out), "-v"])
    text = capsys.readouterr().out
    assert code == 0, text
    assert str(out / "report.html") in text
    for part, files in PROMISED.items():
        for file in files:
            assert (out / part / file).is_file(), f"{part}/{file}"
    assert (out / "compressed.pt").is_file()
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 6
    for heading in ("1. Training", "3. Its vibrations", "5. The liquid at constant pressure"):
        assert heading in page
    assert "http" not in page.replace("http://www.w3.org", "")  # one file, no network
    values = json.loads((out / "result.json").read_text())["values"]
    assert len(values["frequencies"]["value"]) == 3
    loaded = load_result(out)
    assert loaded.training.model.metadata.species == ("H", "O")
    assert loaded.npt.series("volume_A3").shape == (len(loaded.npt.rows),)
    assert values["density"]["cause"]  # twenty steps support no density, and the page says so


def make_small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network and a number of steps for seconds, in a copy of the example."""
    shutil.copytree(demo.example("water"), folder)
    settings = yaml.safe_load((folder / "demo.yaml").read_text())
    settings["model"] |= {"embedding": [4, 8], "axis_width": 2, "fitting": [8]}
    settings["data"] = {"train": ["valid.extxyz.gz"], "valid": ["test.extxyz.gz@:5"]}
    settings["training"] |= {"steps": 40, "report_every": 20, "valid_frames": 5}
    (folder / "demo.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setattr(demo, "example", lambda name: folder)
    monkeypatch.setattr(demo, "NVT_STEPS", 20)
    monkeypatch.setattr(demo, "NPT_STEPS", 30)


def test_settings_that_ship_use_the_shipped_data() -> None:
    settings = yaml.safe_load((demo.example("water") / "demo.yaml").read_text())
    for file in (*settings["data"]["train"], *settings["data"]["valid"]):
        assert (demo.example("water") / file).is_file()


def test_unknown_example_is_refused_with_the_names_there_are() -> None:
    with refused("example-unknown", "steam"):
        demo.example("steam")
