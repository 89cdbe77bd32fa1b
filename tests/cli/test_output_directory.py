"""Where files go without -o, what the terminal says of it, and how a run is repeated from elsewhere."""

import json
import os
import shlex
import signal

import pytest
import yaml
from ase.build import bulk
from ase.io import read, write

EMT = ("--calculator", "emt")


def test_without_o_files_go_to_a_directory_named_after_structure_and_command(dp_sim, water, tmp_path):
    first = dp_sim("opt", f"{water}@-1", *EMT)
    assert first.code == 0
    assert first.err == "no -o DIR given: files go to water-opt\n"
    assert first.out.endswith("files: water-opt\npage: water-opt/report.html\n")
    assert dp_sim("opt", water, *EMT, "--steps", "1").code == 3
    steps = [
        json.loads((tmp_path / name / "result.json").read_text())["values"]["steps"]["value"]
        for name in ("water-opt", "water-opt-2")
    ]
    assert steps[0] > 1 == steps[1]
    # the last of them is the one that is continued or replaced
    assert dp_sim("opt", water, *EMT, "--resume").code == 0
    assert "opt continued" in (tmp_path / "water-opt-2" / "log.txt").read_text()
    assert dp_sim("opt", water, *EMT, "--overwrite", "--steps", "1").code == 3
    assert "opt continued" not in (tmp_path / "water-opt-2" / "log.txt").read_text()
    assert not (tmp_path / "water-opt-3").exists()


def test_a_run_that_is_refused_says_and_writes_nothing_else(dp_sim, water, tmp_path):
    outcome = dp_sim("npt", water, *EMT, "-T", "300", "--steps", "100")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["water.xyz"]


def test_python_writes_nothing_without_out(water, tmp_path, monkeypatch):
    from dp_sim.recipes import evaluate

    monkeypatch.chdir(tmp_path)
    from ase.calculators.emt import EMT as Calculator

    evaluate(read(water), Calculator())
    assert [file.name for file in tmp_path.iterdir()] == ["water.xyz"]


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C at a given evaluation of EMT: interrupted(30)."""
    from ase.calculators.emt import EMT as Calculator

    calls = []
    original = Calculator.calculate

    def interrupt_at(evaluation: int) -> list[int]:
        def counted(self, *arguments, **options):
            calls.append(1)
            if len(calls) == evaluation:
                os.kill(os.getpid(), signal.SIGINT)
            return original(self, *arguments, **options)

        monkeypatch.setattr(Calculator, "calculate", counted)
        return calls

    return interrupt_at


def test_ctrl_c_in_labelling_says_what_continues_it(dp_sim, tmp_path, interrupted):
    write(tmp_path / "many.extxyz", [bulk("Cu", a=3.5 + 0.02 * number) for number in range(9)])
    calls = interrupted(5)
    outcome = dp_sim("label", "many.extxyz", *EMT, "-o", "labelled.extxyz")
    assert len(calls) < 9
    assert "the same command with --resume goes on with labelled.extxyz" in outcome.err
    assert dp_sim("label", "many.extxyz", *EMT, "-o", "labelled.extxyz", "--resume").code == 0
    assert len(read(tmp_path / "labelled.extxyz", index=":")) == 9


def test_ctrl_c_says_what_continues_the_run(dp_sim, tmp_path, interrupted):
    bulk("Cu").write(tmp_path / "cu.extxyz")
    calls = interrupted(30)
    outcome = dp_sim("nvt", "cu.extxyz", *EMT, "-T", "300", "--steps", "1000")
    assert len(calls) < 1000
    assert "the run is in cu-nvt; the same command with -o cu-nvt --resume continues it" in outcome.err
    assert (tmp_path / "cu-nvt" / "checkpoint.npz").exists()


def test_an_error_on_the_way_says_what_continues_the_run(dp_sim, tmp_path, monkeypatch):
    """A mistake in a calculator after 30 evaluations, and one that ASE knows as a failure, in the normal modes."""
    from ase.calculators.calculator import CalculationFailed
    from ase.calculators.emt import EMT as Calculator

    original, calls = Calculator.calculate, []

    def mistaken(self, *arguments, **options):
        calls.append(1)
        if len(calls) > 30:
            raise error
        return original(self, *arguments, **options)

    monkeypatch.setattr(Calculator, "calculate", mistaken)
    (bulk("Cu", cubic=True) * (2, 1, 1)).write(tmp_path / "cu.extxyz")
    error: Exception = AttributeError("no energy")
    outcome = dp_sim("nvt", "cu.extxyz", *EMT, "-T", "300", "--steps", "1000", "-o", "run")
    assert outcome.code == 1
    assert "unexpected AttributeError: no energy" in outcome.err
    assert "the run is in run; the same command with -o run --resume continues it" in outcome.err
    assert (tmp_path / "run" / "checkpoint.npz").exists()
    calls.clear()
    error = CalculationFailed("SCF not converged in 250 cycles")
    outcome = dp_sim("vib", "cu.extxyz", *EMT, "-o", "vib")
    assert outcome.code == 1
    assert "atom 4 displaced" in outcome.err
    assert "SCF not converged in 250 cycles [evaluation-failed]" in outcome.err
    assert "--resume continues it" in outcome.err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert dp_sim("vib", "cu.extxyz", *EMT, "-o", "vib", "--resume").code in (0, 3)


def test_the_program_alone_shows_its_help(dp_sim):
    assert dp_sim() == dp_sim("--help")
    assert dp_sim().code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("opt", "cu.extxyz", "--calculator", "emt", "--fmax", "0.02", "--cell"),
        ("nvt", "cu.extxyz", "--calculator", "emt", "-T", "300", "--steps", "20", "--friction", "2", "--seed", "3"),
        ("vib", "water.xyz", "-m", "models/m.pt", "-m", "models/n.pt", "--fmax", "100"),
        ("eval", "models/m.pt", "water.xyz"),
        ("neb", "near.extxyz", "far.extxyz", "--calculator", "emt", "--steps", "2", "--images", "3", "--no-relax-ends"),
    ],
    ids=lambda command: command[0],
)
def test_config_yaml_repeats_the_run_from_any_directory(dp_sim, water, models, tmp_path, monkeypatch, command):
    (tmp_path / "models").mkdir()
    for name, model in zip(("m.pt", "n.pt"), models, strict=True):
        (tmp_path / "models" / name).write_bytes(model.read_bytes())
    copper = bulk("Cu", cubic=True) * (2, 1, 1)
    copper.positions[0] += [0.1, 0.05, 0]
    copper.write(tmp_path / "cu.extxyz")
    del copper[1]
    copper.write(tmp_path / "near.extxyz")
    copper.positions[0] += [0.2, 0.1, 0]
    copper.write(tmp_path / "far.extxyz")
    assert dp_sim(*command, "-o", "run").code in (0, 3)
    first = json.loads((tmp_path / "run" / "result.json").read_text())
    line = (tmp_path / "run" / "config.yaml").read_text().splitlines()[0]
    monkeypatch.chdir(tmp_path / "run")
    program, *again = shlex.split(line.partition("from this directory, ")[2].removesuffix(" repeats it."))
    assert program == "dp-sim"
    assert dp_sim(*again).code in (0, 3)
    second = json.loads((tmp_path / "run" / "ANOTHER" / "result.json").read_text())
    assert second["provenance"]["settings"] == first["provenance"]["settings"]
    assert second["values"].keys() == first["values"].keys()
    for name, value in first["values"].items():
        if isinstance(value["value"], float) and value["unit"] != "s":  # what it took is another time
            assert second["values"][name]["value"] == pytest.approx(value["value"], rel=1e-4, abs=1e-5)


def test_what_a_file_cannot_repeat_does_not_say_that_it_does(dp_sim, water, tmp_path):
    from ase.calculators.emt import EMT as Calculator

    from dp_sim.recipes import evaluate

    evaluate(read(water), Calculator(), out=tmp_path / "python")
    dp_sim("eval", water, "--calculator", "ase.calculators.emt:EMT", "-o", "imported")
    for name in ("python", "imported"):
        assert "repeats" not in (tmp_path / name / "config.yaml").read_text()


def test_models_of_a_configuration_file_are_found_beside_it(dp_sim, water, models, tmp_path):
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "m.pt").write_bytes(models[0].read_bytes())
    (tmp_path / "settings" / "run.yaml").write_text(yaml.safe_dump({"model": "m.pt"}))
    assert dp_sim("eval", water, "--config", "settings/run.yaml", "-o", "run").code == 0
    used = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert used["model"] == [str(tmp_path / "settings" / "m.pt")]


def test_a_run_resumes_with_its_model_under_another_path(dp_sim, water, models, tmp_path):
    for name in ("here.pt", "there.pt"):
        (tmp_path / name).write_bytes(models[0].read_bytes())
    (tmp_path / "other.pt").write_bytes(models[1].read_bytes())
    assert dp_sim("opt", water, "-m", "here.pt", "-o", "run", "--steps", "1").code == 3
    assert dp_sim("opt", water, "-m", "there.pt", "-o", "run", "--steps", "2", "--resume").code in (0, 3)
    refused = dp_sim("opt", water, "-m", "other.pt", "-o", "run", "--steps", "3", "--resume")
    assert refused.code == 2
    assert "run-differs" in refused.err


@pytest.mark.parametrize("command", ["eval", "test"])
def test_model_and_structure_in_either_order(dp_sim, water, models, tmp_path, command):
    labelled = read(water)
    labelled.info["energy"] = -1.0
    labelled.write(tmp_path / "data.extxyz")
    m, n = models
    orders = ([m, "data.extxyz"], ["data.extxyz", m], ["data.extxyz", "-m", m])
    shown = {
        dp_sim(command, *order, "-o", f"{number}").out.partition("files:")[0] for number, order in enumerate(orders)
    }
    assert len(shown) == 1
    assert "energy" in shown.pop()
    for number, order in enumerate(([m, "data.extxyz", "-m", n], ["data.extxyz", "-m", m, "-m", n])):
        assert dp_sim(command, *order, "-o", f"committee{number}").code == 0
        settings = yaml.safe_load((tmp_path / f"committee{number}" / "config.yaml").read_text())
        assert settings["model"] == [str(m), str(n)]
    for missing in ([m], ["data.extxyz"]):
        outcome = dp_sim(command, *missing)
        assert outcome.code == 2
        assert "[argument-missing]" in outcome.err


def test_training_refuses_an_occupied_directory_before_it_reads_data(dp_sim, tmp_path, monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("the input was read")

    monkeypatch.setattr("dp_sim.recipes.models.train.read_config", never)
    (tmp_path / "input.yaml").write_text("data: {train: [data.extxyz]}")
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "mine.txt").write_text("mine")
    outcome = dp_sim("train", "input.yaml")
    assert outcome.code == 2
    assert "[target-occupied]" in outcome.err
