"""The run directory: claimed or refused, filled, resumable, and never a danger to a user's own files."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read
from refusals import refused

from dp_sim.errors import InputError
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.interrupts import Terminated


@dataclass(frozen=True, kw_only=True)
class Number(Result):
    recipe: ClassVar[str] = "number"
    title: ClassVar[str] = "A number"
    number: float

    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {"number": Quantity(self.number, "eV")}

    def figures(self):
        from dp_sim.recipes.results.figures import new_figure

        figure, axes = new_figure("x", "y")
        axes.plot([self.number, 1.0])
        return {"line": figure}

    def write_data(self, path) -> None:
        path("data.txt").write_text(str(self.number))


def open_run(directory: Path | None, *, atoms: Atoms | None = None, settings: dict | None = None, **options):
    return RunDirectory(
        "number",
        directory,
        settings={"fmax": 0.1, "steps": 5} if settings is None else settings,
        structures=[molecule("H2O") if atoms is None else atoms],
        calculator=EMT(),
        seed=3,
        may_change=("steps",),
        **options,
    )


def finished(directory: Path) -> Path:
    with open_run(directory) as run:
        run.finish(Number(converged=True, number=2.0))
    return directory


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_a_run_leaves_every_promised_file(tmp_path):
    directory = finished(tmp_path / "run")
    assert {file.name for file in directory.iterdir()} == {
        ".dp-sim.json", "config.yaml", "data.txt", "input.extxyz", "line.png", "log.txt", "report.html", "result.json",
        "result.npz",
    }  # fmt: skip
    result = json.loads((directory / "result.json").read_text())
    assert result["schema"] == 1
    assert (result["recipe"], result["converged"], result["cause"]) == ("number", True, "")
    assert result["values"] == {"number": {"value": 2.0, "unit": "eV", "error": None, "cause": ""}}
    provenance = result["provenance"]
    assert provenance["seed"] == 3
    assert provenance["versions"].keys() >= {"dp_sim", "ase", "numpy", "python"}
    assert provenance["model_sha256"] == []
    assert provenance["wall_s"] >= 0
    assert yaml.safe_load((directory / "config.yaml").read_text()) == {
        "recipe": "number", "calculator": "ase.calculators.emt:EMT", "seed": 3, "fmax": 0.1, "steps": 5,
    }  # fmt: skip
    np.testing.assert_allclose(read(directory / "input.extxyz").positions, molecule("H2O").positions, atol=1e-8)
    assert (directory / "line.png").read_bytes().startswith(b"\x89PNG")


def test_no_directory_means_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_run(None) as run:
        assert run.path("anything") is None
        run.log("nothing")
        result = run.finish(Number(converged=True, number=1.0))
    assert list(tmp_path.iterdir()) == []
    assert result.provenance["seed"] == 3


def test_an_existing_run_needs_a_flag(tmp_path):
    before = contents(finished(tmp_path / "run"))
    with (
        refused("target-occupied"),
        open_run(tmp_path / "run"),
    ):
        pass
    assert contents(tmp_path / "run") == before


def test_overwriting_removes_the_run_and_keeps_a_users_file(tmp_path):
    directory = finished(tmp_path / "run")
    (directory / "notes.md").write_text("mine")
    with open_run(directory, overwrite=True):
        assert {file.name for file in directory.iterdir()} == {
            ".dp-sim.json", "config.yaml", "input.extxyz", "log.txt", "notes.md",
        }  # fmt: skip


@pytest.mark.parametrize("flags", [{}, {"overwrite": True}, {"resume": True}])
def test_foreign_files_are_left_alone(tmp_path, flags):
    (tmp_path / "thesis.tex").write_text("years of work")
    with refused("target-occupied"), open_run(tmp_path, **flags):
        pass
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


def test_a_tampered_manifest_cannot_remove_files_elsewhere(tmp_path):
    directory = finished(tmp_path / "run")
    victim = tmp_path / "victim.txt"
    victim.write_text("keep")
    manifest = json.loads((directory / ".dp-sim.json").read_text())
    (directory / ".dp-sim.json").write_text(json.dumps(manifest | {"files": ["../victim.txt"]}))
    with refused("target-occupied"), open_run(directory, overwrite=True):
        pass
    assert victim.exists()


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with refused("target-is-file"), open_run(tmp_path / "run"):
        pass


def test_a_directory_without_permission_is_refused(tmp_path, monkeypatch):
    # The superuser may write anywhere, so the answer of the system is replaced rather than the mode of a folder.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with refused("target-not-writable"), open_run(tmp_path / "run"):
        pass
    assert not (tmp_path / "run").exists()


def test_resume_continues_and_counts_the_time_of_both_sessions(tmp_path):
    def first_session():
        with open_run(tmp_path / "run") as run:
            run.path("state.txt").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first_session()
    earlier = json.loads((tmp_path / "run" / ".dp-sim.json").read_text())["wall_s"]
    with open_run(tmp_path / "run", resume=True, settings={"fmax": 0.1, "steps": 50}) as run:
        assert run.resumed
        assert run.path("state.txt").read_text() == "half"
        assert run.provenance()["wall_s"] >= round(earlier, 3)
    assert "interrupted; --resume continues it" in (tmp_path / "run" / "log.txt").read_text()
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["steps"] == 50


def test_resume_without_an_earlier_run_starts_one_and_says_so(tmp_path, caplog):
    with open_run(tmp_path / "run", resume=True) as run:
        assert not run.resumed
    assert "no earlier run is there, starting from the beginning" in caplog.text


def test_a_recipe_that_cannot_continue_starts_over_and_says_so(tmp_path, caplog):
    finished(tmp_path / "run")
    with open_run(tmp_path / "run", resume=True, resumable=False) as run:
        assert not run.resumed
        assert not (tmp_path / "run" / "result.json").exists()
    assert "cannot be continued half-way" in caplog.text


def test_resume_refuses_another_setting_structure_or_flag(tmp_path):
    directory = finished(tmp_path / "run")
    before = contents(directory)
    other = molecule("H2O")
    other.positions[0] += 1e-9
    for refusal, options in (
        (("run-differs", "fmax: 0.1", "0.2"), {"settings": {"fmax": 0.2, "steps": 5}}),
        (("run-differs", "structure", "positions"), {"atoms": other}),
        (("options-exclude-each-other", "overwrite", "resume"), {"overwrite": True}),
    ):
        with refused(*refusal), open_run(directory, resume=True, **options):
            pass
    assert contents(directory) == before


@pytest.mark.parametrize("content", ["{[", "[1]", ""])
def test_a_damaged_configuration_cannot_be_resumed(tmp_path, content):
    directory = finished(tmp_path / "run")
    (directory / "config.yaml").write_text(content)
    with (
        refused("config-malformed", "config.yaml"),
        open_run(directory, resume=True),
    ):
        pass


def test_bad_input_found_late_leaves_nothing(tmp_path):
    def session():
        with open_run(tmp_path / "run") as run:
            run.path("begun.txt").write_text("half")
            raise InputError("late", "late")

    with refused("late"):
        session()
    assert not (tmp_path / "run").exists()


def test_another_error_leaves_the_files_and_its_name(tmp_path):
    with pytest.raises(ZeroDivisionError), open_run(tmp_path / "run"):
        raise ZeroDivisionError("0/0")
    assert "stopped by ZeroDivisionError: 0/0" in (tmp_path / "run" / "log.txt").read_text()
    assert not (tmp_path / "run" / "result.json").exists()


def test_sigterm_runs_the_hooks(tmp_path):
    saved = []

    def session():
        with open_run(tmp_path / "run") as run:
            run.on_interrupt(lambda: saved.append("state"))
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Terminated):
        session()
    assert saved == ["state"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_signals_wait_for_the_end_of_a_whole_step(tmp_path):
    steps = []

    def session():
        with open_run(tmp_path / "run") as run:
            with run.whole_steps():
                steps.append("first half")
                signal.raise_signal(signal.SIGINT)
                steps.append("second half")
            steps.append("next step")

    with pytest.raises(KeyboardInterrupt):
        session()
    assert steps == ["first half", "second half"]


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    steps = []

    def session():
        with open_run(tmp_path / "run") as run, run.whole_steps():
            signal.raise_signal(signal.SIGINT)
            steps.append("first half")
            signal.raise_signal(signal.SIGINT)
            steps.append("second half")

    with pytest.raises(KeyboardInterrupt):
        session()
    assert steps == ["first half"]


def test_saving_a_result_later_writes_the_same_files(tmp_path):
    with open_run(None) as run:
        result = run.finish(Number(converged=False, cause="too short", number=1.0))
    result.save(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "result.json").read_text()) == result.to_dict()
    with refused("target-occupied"):
        result.save(tmp_path / "saved")
    result.save(tmp_path / "saved", overwrite=True)
    assert (tmp_path / "saved" / "data.txt").read_text() == "1.0"


def test_a_result_that_is_not_a_number_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="must not hold nan"), open_run(tmp_path / "run") as run:
        run.finish(Number(converged=True, number=float("nan")))
    assert not (tmp_path / "run" / "result.json").exists()


class Soft(EMT):
    """A calculator with parameters."""

    default_parameters: ClassVar[dict] = {"asap_cutoff": False, "softness": 1.0, "grid": np.zeros(3)}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda atoms: atoms.set_masses([15.999, 2.014, 2.014]), "masses"),
        (lambda atoms: atoms.info.update(charge=0), "total charge or spin"),
        (lambda atoms: atoms.set_initial_charges([0.5, 0, 0]), "charges on atoms"),
        (lambda atoms: atoms.set_initial_magnetic_moments([1, 0, 0]), "magnetic moments"),
        (lambda atoms: atoms.set_constraint(FixAtoms([0])), "constraints"),
        (lambda atoms: atoms.set_momenta(np.ones((3, 3))), "momenta"),
    ],
)
def test_resume_names_what_differs_in_the_structure(tmp_path, change, named):
    directory = finished(tmp_path / "run")
    other = molecule("H2O")
    change(other)
    with refused("run-differs", f"its {named} differ"), open_run(directory, resume=True, atoms=other):
        pass


def test_resume_names_what_differs_in_the_calculator(tmp_path):
    def run_with(resume: bool = False, **parameters: object) -> RunDirectory:
        return RunDirectory(
            "number", tmp_path / "run", settings={}, structures=[molecule("H2O")], calculator=Soft(**parameters),
            seed=0, resume=resume,
        )  # fmt: skip

    with run_with(softness=2.0) as run:
        run.finish(Number(converged=True, number=2.0))
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["calculator_arg"] == {"softness": 2.0}
    with run_with(resume=True, softness=2.0):
        pass
    with refused("run-differs", "calculator_arg.softness", "2.0", "3.0"), run_with(resume=True, softness=3.0):
        pass
    with refused("run-differs", "grid"), run_with(resume=True, softness=2.0, grid=np.ones(3)):
        pass
    with refused("run-differs", "grid"), run_with(resume=True, softness=2.0, grid=np.ones(300)):
        pass
