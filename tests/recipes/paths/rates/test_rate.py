"""dp-sim rate: the stages one after the other, what is taken up again, exit status and verdict."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import adatom_hop
import pytest
from adatom_hop import adatom

from dp_sim.cli.main import status
from dp_sim.recipes.results.page.html import rebuild_report

EMT = ["--calculator", "emt", "--match-atoms", "-q"]


@pytest.fixture(scope="module")
def hopped(tmp_path_factory):
    """The directory of `dp-sim rate`, and its exit status; atoms of the product stand in another order."""
    folder = tmp_path_factory.mktemp("hop")
    for name, offset in (("reactant", (0, 0)), ("product", (1, 0))):
        slab = adatom(offset)
        (slab if name == "reactant" else slab[[1, 0, 2, 4, 3, 5, 7, 6, 8]]).write(folder / f"{name}.extxyz")
    ends = [str(folder / "reactant.extxyz"), str(folder / "product.extxyz")]
    return folder, ends, status(["rate", *ends, *EMT, "-T", "300", "--images", "5", "-o", str(folder / "rate")])


def content(folder) -> dict:
    return json.loads((folder / "result.json").read_text())


def test_a_hop_passes_with_status_0_and_its_stages_in_folders(hopped):
    folder, _, ended = hopped
    assert ended == 0
    found = content(folder / "rate")
    assert found["values"]["verdict"]["value"] == "PASS"
    assert found["values"]["rate_constant"]["unit"] == "1/s"
    # 0.42 eV and some 1e12 to 1e13 1/s: between 1e4 and 1e7 1/s.
    assert 1e4 < found["values"]["rate_constant"]["value"] < 1e7
    assert found["values"]["reverse_rate_constant"]["value"] == pytest.approx(
        found["values"]["rate_constant"]["value"], rel=0.05
    )
    stages = found["values"]["stages"]["value"]
    assert stages[:3] == ["neb", "ts", "irc"]
    assert min(found["values"]["force_calls"]["value"][:3]) > 5
    for stage in ("neb", "ts", "irc", "rate-constant"):
        assert content(folder / "rate" / stage)["converged"]
    page = (folder / "rate" / "report.html").read_text()
    assert "PASS: k(300 K)" in page[page.index('class="verdict') :][:200]


def test_resume_takes_finished_stages_and_another_temperature(hopped):
    folder, ends, _ = hopped
    before = (folder / "rate" / "ts" / "result.json").stat().st_mtime_ns
    again = ["rate", *ends, *EMT, "-T", "400", "--images", "5", "-o", str(folder / "rate"), "--resume"]
    assert status(again) == 0
    assert (folder / "rate" / "ts" / "result.json").stat().st_mtime_ns == before
    found = content(folder / "rate")["values"]
    assert found["temperature"]["value"] == 400
    assert min(found["force_calls"]["value"][:3]) > 5  # of the first session


def test_a_stage_that_was_cut_off_is_done_again_with_all_after_it(hopped):
    folder, ends, _ = hopped
    (folder / "rate" / "ts" / "result.json").unlink()
    before = {name: (folder / "rate" / name / "result.json").stat().st_mtime_ns for name in ("neb", "irc")}
    again = ["rate", *ends, *EMT, "-T", "300", "--images", "5", "-o", str(folder / "rate"), "--resume"]
    assert status(again) == 0
    assert (folder / "rate" / "neb" / "result.json").stat().st_mtime_ns == before["neb"]
    assert (folder / "rate" / "irc" / "result.json").stat().st_mtime_ns > before["irc"]


def test_a_run_that_is_killed_or_terminated_in_each_stage_ends_as_one_that_is_not(hopped, tmp_path):
    whole = content(hopped[0] / "rate")["values"]
    out = tmp_path / "rate"

    def cut(stage, number):
        # Not a fork, which copies the locks of the threads of what this process has imported and not the threads.
        code = f"from adatom_hop import *; session(Path({str(out)!r}), {stage!r}, {int(number)})"
        environment = {**os.environ, "PYTHONPATH": str(Path(adatom_hop.__file__).parent)}
        ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        if number == signal.SIGKILL:
            assert ended.returncode == -number, ended.stderr
        else:
            assert ended.stderr.endswith("Terminated\n"), ended.stderr
        assert not (out / "result.json").exists()

    cut("neb", signal.SIGKILL)
    cut("ts", signal.SIGTERM)
    cut("irc", signal.SIGKILL)
    cut("rate-constant", signal.SIGTERM)
    found = adatom_hop.session(out, "none", signal.SIGKILL)
    log = (out / "log.txt").read_text()
    assert [f"{stage}: taken from" in log for stage in ("neb", "ts", "irc")] == [True] * 3
    assert found.verdict == "PASS", found.reasons
    ended = content(out)["values"]
    for name, off in (("barrier", 1e-4), ("imaginary_frequency", 0.5)):
        assert ended[name]["value"] == pytest.approx(whole[name]["value"], abs=off)
    # The search for the transition state began again, and what the first session spent on it counts.
    assert ended["force_calls"]["value"][1] > whole["force_calls"]["value"][1]


def test_a_failure_is_status_3_with_the_reason_in_the_first_line_of_the_page(hopped, capsys):
    """A bound on the forces that no stationary point keeps."""
    folder, ends, _ = hopped
    strict = ["rate", *ends, *EMT, "--images", "5", "--fmax", "1e-9", "-o", str(folder / "strict")]
    assert status(strict) == 3
    assert "FAIL: " in capsys.readouterr().err
    found = content(folder / "strict")
    assert (found["values"]["verdict"]["value"], found["values"]["rate_constant"]["value"]) == ("FAIL", None)
    page = rebuild_report(folder / "strict").read_text()
    assert "FAIL: the transition state is not stationary" in page[page.index('class="verdict') :][:200]


def test_bad_input_is_status_2_and_leaves_nothing(hopped, capsys):
    folder, ends, _ = hopped
    assert status(["rate", *ends, *EMT, "-T", "-5", "-o", str(folder / "cold")]) == 2
    assert "temperature_K" in capsys.readouterr().err
    wider = adatom((1, 0))
    wider.cell[0] *= 1.1
    wider.write(folder / "wider.extxyz")
    assert status(["rate", ends[0], str(folder / "wider.extxyz"), *EMT, "-o", str(folder / "cold")]) == 2
    message = capsys.readouterr().err
    assert "in the reactant and" in message
    assert "in the product" in message
    assert status(["rate", ends[0], ends[0], *EMT, "-o", str(folder / "same")]) == 2
    assert "are the same structure" in capsys.readouterr().err
    assert not (folder / "cold").exists()
    assert not (folder / "same" / "result.json").exists()
