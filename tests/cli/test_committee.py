"""The folder of a committee where commands take a model."""

import json
from pathlib import Path

import pytest

from dp_sim import load_model, write_committee
from dp_sim.model.committee_writing import attach_calibration
from dp_sim.uncertainty.calibration import Calibration
from dp_sim.uncertainty.scale import Scale


@pytest.fixture
def committee(models: list[Path], tmp_path: Path) -> Path:
    return write_committee(tmp_path / "committee", models)


def test_eval_takes_the_folder_in_either_place(dp_sim, water, models, committee) -> None:
    listed = dp_sim("eval", water, "-m", models[0], "-m", models[1], "-o", "listed")
    assert listed.code == 0
    for number, arguments in enumerate([(committee, water), (water, committee), (water, "-m", committee)]):
        assert dp_sim("eval", *arguments, "-o", f"e{number}").code == 0
        values = json.loads(Path(f"e{number}/result.json").read_text())["values"]
        assert values == json.loads(Path("listed/result.json").read_text())["values"]
    config = Path("e2/config.yaml").read_text()
    assert str(committee) in config
    assert "member-0" not in config, "the run names the folder, with what belongs to it"
    assert dp_sim("eval", water, "--config", "e2/config.yaml", "-o", "again").code == 0


def test_a_run_knows_its_committee_again(dp_sim, water, committee) -> None:
    assert dp_sim("opt", water, "-m", committee, "--steps", "1", "-o", "opt").code == 3
    assert dp_sim("opt", water, "-m", committee, "--steps", "2", "-o", "opt", "--resume").code == 3
    (committee / "member-1" / "model.pt").unlink()
    refused = dp_sim("opt", water, "-m", committee, "--steps", "3", "-o", "opt", "--resume")
    assert refused.code == 2
    assert "member-1/model.pt" in refused.err
    assert "[file-missing]" in refused.err


def test_info_shows_the_members(dp_sim, committee) -> None:
    shown = dp_sim("info", committee)
    assert shown.code == 0
    assert "Committee of 2 models" in shown.out
    assert [line.split(":")[0] for line in shown.out.splitlines()[1:3]] == ["member-0/model.pt", "member-1/model.pt"]
    assert "[option-not-for-committees]" in dp_sim("info", committee, "--plot", "a.png").err


def test_compress_makes_a_committee(dp_sim, committee) -> None:
    """Its spread is worth what that of the members was."""
    hashes = tuple(member.sha256 for member in load_model(committee).members)
    scale = Scale(1.5, (0.6, 1.0, 2.0, None))
    attach_calibration(committee, Calibration(hashes, scale, scale, scale, {}))
    assert dp_sim("compress", committee, "-o", "fast").code == 0
    fast = load_model("fast")
    assert all(member.compression for member in fast.members)
    assert fast.calibration is not None
    assert fast.calibration.forces == scale
    again = dp_sim("compress", committee, "-o", "fast", "--overwrite")
    assert again.code == 2
    assert "[target-occupied]" in again.err


def test_export_writes_each_member_for_lammps(dp_sim, committee) -> None:
    shown = dp_sim("export", committee, "--format", "lammps", "-o", "kernels")
    assert shown.code == 0
    assert "pair_style dp_sim kernels/member-0.dpsim kernels/member-1.dpsim" in shown.out
    assert sorted(file.name for file in Path("kernels").iterdir()) == ["member-0.dpsim", "member-1.dpsim"]
    assert "[target-occupied]" in dp_sim("export", committee, "--format", "lammps", "-o", "kernels").err
    alone = dp_sim("export", committee, "-o", "model.dp", "--sel", "10,10")
    assert alone.code == 2
    assert "[committee-not-exported]" in alone.err


def test_a_folder_without_a_committee_is_named(dp_sim, water, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    refused = dp_sim("opt", water, "-m", "empty", "-o", "opt")
    assert refused.code == 2
    assert "empty" in refused.err
    assert "[committee-missing]" in refused.err
