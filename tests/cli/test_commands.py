"""Commands: what they print and leave, and how they refuse."""

import inspect
import json
import warnings

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.io import read, write
from deepmd_models import model_file
from random_model import write_random_model

import dp_sim as package


def one_sentence(outcome) -> str:
    """The message of a refusal: exit status 2, nothing on standard output, one line on standard error."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert outcome.err.startswith("dp-sim: ")
    assert outcome.err.count("\n") == 1, outcome.err
    return outcome.err


def test_version(dp_sim):
    assert dp_sim("--version") == (0, f"dp-sim {package.__version__}\n", "")


def test_help_groups_the_commands(dp_sim):
    text = dp_sim("--help").out
    for heading in ("Models", "Structures and vibrations", "Reports"):
        assert heading in text
    assert dp_sim("-h").out == text


def test_the_help_of_a_command_shows_the_defaults_of_its_recipe(dp_sim):
    from dp_sim.recipes import optimize

    text = " ".join(dp_sim("opt", "--help").out.split())
    assert f"[default: {inspect.signature(optimize).parameters['fmax'].default}]" in text
    assert f"[default: {inspect.signature(optimize).parameters['optimizer'].default}]" in text
    for shared in ("--model", "--calculator", "--calculator-arg", "--out", "--config", "--seed", "--device", "--dtype",
                   "--threads", "--resume", "--overwrite", "--quiet", "--verbose"):  # fmt: skip
        assert shared in text


def test_opt_leaves_a_run_and_prints_it(dp_sim, water, tmp_path):
    outcome = dp_sim("opt", water, "--calculator", "emt", "-o", "run", "--fmax", "0.005")
    assert outcome.code == 0
    assert "Geometry optimisation" in outcome.out
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["converged"]
    assert result["provenance"]["command"] == f"dp-sim opt {water} --calculator emt -o run --fmax 0.005"
    settings = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert settings["calculator"] == "emt"
    assert settings["fmax"] == 0.005
    assert settings["steps"] == 500


def test_not_converged_is_status_3_with_the_cause(dp_sim, water, tmp_path):
    outcome = dp_sim("opt", water, "--calculator", "emt", "-o", "run", "--steps", 1)
    assert outcome.code == 3
    cause = json.loads((tmp_path / "run" / "result.json").read_text())["cause"]
    assert outcome.err == f"not converged: {cause}\n"


def test_quiet_prints_nothing(dp_sim, water):
    assert dp_sim("opt", water, "--calculator", "emt", "-q") == (0, "", "")


def test_verbose_shows_the_log(dp_sim, water):
    assert "step 1: " in dp_sim("opt", water, "--calculator", "emt", "-v").err


def test_vib_on_an_unrelaxed_structure(dp_sim, water):
    outcome = dp_sim("vib", water, "--calculator", "emt")
    assert outcome.code == 3
    assert "not relaxed" in outcome.err
    assert "central differences" in outcome.out


def test_vib_with_a_model_uses_its_exact_hessian(dp_sim, water, models, tmp_path):
    outcome = dp_sim("vib", water, "-m", models[0], "-m", models[1], "-o", "vib", "--fmax", 1000)
    assert outcome.code == 0, outcome.err
    result = json.loads((tmp_path / "vib" / "result.json").read_text())
    assert result["values"]["hessian_source"]["value"].startswith("exact")
    assert len(result["provenance"]["model_sha256"]) == 2
    settings = yaml.safe_load((tmp_path / "vib" / "config.yaml").read_text())
    assert settings["model"] == [str(model) for model in models]
    assert (settings["device"], settings["dtype"]) == ("cpu", "float64")


def test_the_exact_hessian_of_a_model_agrees_with_differences(dp_sim, water, models, tmp_path):
    frequencies = {}
    for method in ("exact", "differences"):
        dp_sim("vib", water, "-m", models[0], "--hessian", method, "-o", method, "--delta", 0.001)
        result = json.loads((tmp_path / method / "result.json").read_text())
        frequencies[method] = np.array(result["values"]["frequencies"]["value"])
    assert np.abs(frequencies["exact"]).max() > 10
    np.testing.assert_allclose(frequencies["exact"], frequencies["differences"], rtol=1e-4)


def test_eval_with_one_model_and_with_a_committee(dp_sim, water, models, tmp_path):
    single = dp_sim("eval", models[0], water)
    assert single.code == 0
    assert "H2O" in single.out
    assert "spread" not in single.out
    assert "energy spread" in dp_sim("eval", models[0], water, "-m", models[1], "-o", "run").out
    assert read(tmp_path / "run" / "evaluated.extxyz").get_forces().shape == (3, 3)


def test_info(dp_sim, models):
    text = dp_sim("info", models[0]).out
    for shown in ("species", "H O", "4 Angstrom", "float64", package.__version__, "energy eV", "forces eV/Angstrom"):
        assert shown in text
    model = package.load_model(models[0])
    assert f"{model.n_parameters:,} parameters" in text.splitlines()[0]


def test_info_of_what_is_no_model(dp_sim, tmp_path):
    (tmp_path / "text.pt").write_text("no structure")
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04 and no more")
    assert "text.pt" in one_sentence(dp_sim("info", "text.pt"))
    assert "cut.pt is no complete model file" in one_sentence(dp_sim("info", "cut.pt"))
    assert "there is no data file absent.xyz" in one_sentence(dp_sim("info", "absent.xyz"))


def test_info_of_structures_without_labels(dp_sim, water):
    """A water molecule: O-H 0.969 and H-H 1.526 Angstrom, one neighbour O and one or two H."""
    outcome = dp_sim("info", water, "--cutoff", "1.2")
    assert outcome.code == 0, outcome.err
    rows = [line.split() for line in outcome.out.splitlines()]
    assert ["labels", "none"] in rows
    assert ["H", "-", "H", "1.526", "0.0", "0"] in rows
    assert ["O", "-", "H", "0.969", "2.0", "2"] in rows
    assert ["O", "-", "O", "none", "within", "8", "0.0", "0"] in rows


def test_info_of_labelled_data_with_a_plot(dp_sim, tmp_path):
    from ase.build import bulk

    copper = bulk("Cu", cubic=True)
    copper.calc = EMT()
    copper.get_forces()
    write(tmp_path / "copper.extxyz", [copper, copper])
    outcome = dp_sim("info", "copper.extxyz", "--plot", "neighbours.png")
    assert outcome.code == 0, outcome.err
    assert "energy (all frames), forces (all frames)" in outcome.out
    assert (tmp_path / "neighbours.png").read_bytes().startswith(b"\x89PNG")


def test_info_refuses_options_that_do_not_belong(dp_sim, water, models):
    assert "--cutoff is for data" in one_sentence(dp_sim("info", models[0], "--cutoff", "5"))
    assert "--plot writes .png, .svg, .pdf" in one_sentence(dp_sim("info", water, "--plot", "neighbours.txt"))


def test_info_knows_before_its_work_that_a_plot_has_no_folder(dp_sim, water):
    outcome = dp_sim("info", water, "--plot", "absent/g.png")
    assert "cannot write absent/g.png: there is no folder absent" in one_sentence(outcome)
    assert not outcome.out


def test_info_of_frames_that_are_not_there(dp_sim, water):
    assert f"has fewer frames than {water}@9999999 asks for" in one_sentence(dp_sim("info", f"{water}@9999999"))


def test_info_of_a_model_of_deepmd_kit_points_to_import(dp_sim, water, tmp_path):
    model_file("mean.dp", tmp_path)
    model_file("mean.pth", tmp_path)
    assert "dp-sim import mean.dp -o model.pt" in one_sentence(dp_sim("info", "mean.dp"))
    assert "`dp-sim import` opens those" in one_sentence(dp_sim("eval", "mean.pth", water))
    assert dp_sim("import", "mean.pth", "-o", "model.pt").code == 0
    # from here on torch knows DeePMD-kit's operators, and opens such files
    assert "`dp-sim import` opens those" in one_sentence(dp_sim("eval", "mean.pth", water))
    assert "{" not in dp_sim("info", "model.pt").out  # parts are rows, not Python
    assert "'--cutoff'" in one_sentence(dp_sim("info", water, "--cutoff", "inf"))


@pytest.mark.parametrize(
    ("command", "source", "target"),
    [
        (("import",), "mean.dp", "new.pt"),
        (("compress",), "own.pt", "new.pt"),
        (("export", "--sel", "9,9"), "own.pt", "new.dp"),
    ],
)
def test_what_is_written_must_be_named_anew(dp_sim, models, tmp_path, command, source, target):
    model_file("mean.dp", tmp_path)
    (tmp_path / "own.pt").write_bytes(models[0].read_bytes())
    content = (tmp_path / source).read_bytes()
    assert dp_sim(*command, source, "-o", target).code == 0
    assert "--overwrite replaces it" in one_sentence(dp_sim(*command, source, "-o", target))
    assert dp_sim(*command, source, "-o", target, "--overwrite").code == 0
    assert "is the file to read" in one_sentence(dp_sim(*command, source, "-o", source, "--overwrite"))
    (tmp_path / f"folder{target}").mkdir()
    before = sorted(tmp_path.iterdir())
    assert "it is a folder" in one_sentence(dp_sim(*command, source, "-o", f"folder{target}", "--overwrite"))
    assert "ends in .pt" in (refused := one_sentence(dp_sim(*command, source, "-o", "bare"))) or ".dp" in refused
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / source).read_bytes() == content


def test_a_warning_is_its_sentence(dp_sim, tmp_path, monkeypatch):
    """Not python's form, which shows a line of our source."""
    model_file("hybrid.dp", tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        shown = dp_sim("import", "hybrid.dp", "-o", "model.pt").err
        assert dp_sim("import", "hybrid.dp", "-o", "quiet.pt", "-q").err == ""
    assert shown.startswith("dp-sim: warning: hybrid.dp excludes pairs of species")
    assert shown.count("\n") == 1


def test_report_is_rebuilt(dp_sim, water, tmp_path):
    dp_sim("opt", water, "--calculator", "emt", "-o", "run")
    (tmp_path / "run" / "report.html").unlink()
    assert dp_sim("report", "run") == (0, "page: run/report.html\n", "")
    assert "data:image/png" in (tmp_path / "run" / "report.html").read_text()
    (tmp_path / "run" / "result.json").write_text('{"schema": 1')
    assert "result.json cannot be read" in one_sentence(dp_sim("report", "run"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["opr", "water.xyz"], "No such command 'opr'. Did you mean 'opt'?"),
        (["opt", "water.xyz", "--calculator", "emt", "--fmx", "1"], "No such option: --fmx (Possible options: --fmax)"),
        (["opt", "water.xyz", "--calculator", "emt", "--fmax", "tight"], "'--fmax'"),
        (["opt", "water.xyz", "--calculator", "emt", "--threads", "0"], "'--threads'"),
        (["opt"], "Missing argument 'STRUCTURE'"),
        (["opt", "water.xyz"], "got neither; give one"),
        (["opt", "water.xyz", "--calculator", "emt", "-m", "m.pt"], "got both; give one"),
        (["opt", "water.xyz", "-m", "absent.pt"], "there is no model file absent.pt"),
        (["opt", "water.xyz", "--calculator", "emd"], "did you mean 'emt'?"),
        (["opt", "water.xyz", "--calculator", "emt", "--calculator-arg", "x"], "expected KEY=VALUE"),
        (["opt", "water.xyz", "--calculator", "emt", "--calculator-arg", "x=[1"], "cannot be read"),
        (["opt", "water.xyz", "--calculator", "emt", "--dtype", "float32"], "--dtype goes with a model"),
        (["opt", "water.xyz", "--calculator", "emt", "-q", "-v"], "exclude each other"),
        (["opt", "water.xyz", "--calculator", "emt", "-o", "water.xyz"], "is a file"),
        (["opt", "absent.xyz", "--calculator", "emt"], "there is no structure file absent.xyz"),
        (["opt", "water.xyz@7", "--calculator", "emt"], "has no structure number 7"),
        (["opt", "water.xyz@x", "--calculator", "emt"], "'x' in water.xyz@x is no index"),
        (["opt", "water.xyz@:", "--calculator", "emt", "--optimizer", "newton"], "optimizer must be one of"),
        (["opt", "empty.xyz", "--calculator", "emt"], "empty.xyz is empty"),
        (["opt", "broken.xyz", "--calculator", "emt"], "broken.xyz cannot be read"),
        (["opt", "nan.xyz", "--calculator", "emt"], "nan.xyz: atom 0 has no finite position"),
        (["opt", "uranium.xyz", "--calculator", "emt"], "cannot evaluate it"),
        (["report", "absent"], "there is no absent/result.json"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(dp_sim, water, tmp_path, arguments, message):
    (tmp_path / "empty.xyz").write_text("")
    (tmp_path / "broken.xyz").write_text("3\n\nO 0 0\n")
    (tmp_path / "nan.xyz").write_text("1\n\nO nan 0 0\n")
    Atoms("U").write(tmp_path / "uranium.xyz")
    before = sorted(tmp_path.iterdir())
    extra = ["-o", "run"] if arguments[0] == "opt" and "-o" not in arguments else []
    assert message in one_sentence(dp_sim(*arguments, *extra))
    assert sorted(tmp_path.iterdir()) == before


def test_an_existing_directory_needs_a_flag(dp_sim, water):
    command = ("opt", water, "--calculator", "emt", "-o", "run")
    assert dp_sim(*command).code == 0
    assert "--overwrite" in one_sentence(dp_sim(*command))
    assert dp_sim(*command, "--overwrite").code == 0
    assert dp_sim(*command, "--resume").code == 0
    assert "exclude each other" in one_sentence(dp_sim(*command, "--resume", "--overwrite"))


def test_an_index_picks_the_structure(dp_sim, tmp_path):
    frames = [molecule("H2O"), molecule("N2"), molecule("NH3")]
    write(tmp_path / "many.extxyz", frames)
    write(tmp_path / "odd@name.xyz", molecule("CO"))
    for name, formula in (
        ("many.extxyz", "H3N"),
        ("many.extxyz@0", "H2O"),
        ("many.extxyz@-2", "N2"),
        ("odd@name.xyz", "CO"),
    ):
        dp_sim("opt", name, "--calculator", "emt", "-o", "run", "--overwrite", "--steps", 0)
        assert read(tmp_path / "run" / "input.extxyz").get_chemical_formula(mode="hill") == formula
    assert "names 2 structures" in one_sentence(dp_sim("vib", "many.extxyz@1:", "--calculator", "emt"))


def test_any_other_error_is_status_1_and_a_traceback_on_request(dp_sim, water, monkeypatch):
    def broken(*arguments, **options):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("dp_sim.recipes.static.opt.relax_one", broken)
    outcome = dp_sim("opt", water, "--calculator", "emt", "-o", "run")
    assert (outcome.code, outcome.out) == (1, "")
    continued, said = outcome.err.splitlines()
    assert "--resume" in continued
    assert said == "dp-sim: unexpected ZeroDivisionError: a bug; -vv shows where"
    assert "Traceback" in dp_sim("opt", water, "--calculator", "emt", "-vv").err


def test_label(dp_sim, tmp_path):
    frames = [molecule("H2O"), molecule("N2"), Atoms("U"), molecule("CO")]
    write(tmp_path / "frames.extxyz", frames)
    outcome = dp_sim("label", "frames.extxyz@:2", "frames.extxyz@3", "--calculator", "emt", "-o", "labels.extxyz")
    assert (outcome.code, outcome.err) == (0, "")
    first, second = outcome.out.splitlines()
    assert first == "3 of 3 structures labelled: labels.extxyz"
    labels = read(tmp_path / "labels.extxyz", index=":")
    for frame, label in zip([frames[0], frames[1], frames[3]], labels, strict=True):
        frame.calc = EMT()
        assert label.get_potential_energy() == pytest.approx(frame.get_potential_energy())
        np.testing.assert_allclose(label.get_forces(), frame.get_forces(), atol=1e-7)
        assert label.info == {}
    forces = np.concatenate([label.get_forces() for label in labels])
    largest, per_atom = np.linalg.norm(forces, axis=1).max(), [one.get_potential_energy() / len(one) for one in labels]
    assert second.startswith(f"energies {min(per_atom):.3f} to {max(per_atom):.3f} eV/atom; forces ")
    assert second.endswith(f"at most {largest:.3g} on an atom")
    assert "exists" in one_sentence(dp_sim("label", "frames.extxyz@0", "--calculator", "emt", "-o", "labels.extxyz"))
    partly = dp_sim("label", "frames.extxyz", "--calculator", "emt", "-o", "labels.extxyz", "--overwrite")
    assert partly.code == 3
    assert "left out: structure 2 (U)" in partly.err
    assert len(read(tmp_path / "labels.extxyz", index=":")) == 3


def test_an_unknown_element_names_the_file(dp_sim, tmp_path):
    model = write_random_model(tmp_path / "m.pt")
    file = tmp_path / "xenon.xyz"
    file.write_text("2\n\nXe 0 0 0\nH 0 0 2\n")
    for command in (["eval", model, file], ["opt", file, "-m", model]):
        message = one_sentence(dp_sim(*map(str, command)))
        assert f"{file}: structure: the model does not know Xe" in message


def test_a_file_without_positions_says_so(dp_sim, tmp_path):
    """ASE fills in zeros."""
    file = tmp_path / "bare.extxyz"
    file.write_text("2\nProperties=species:S:1\nC\nO\n")
    message = one_sentence(dp_sim("opt", str(file), "--calculator", "emt"))
    assert "bare.extxyz has no positions: all 2 atoms lie at the origin" in message


@pytest.mark.parametrize("order", [("opt", "MODEL", "STRUCTURE"), ("opt", "STRUCTURE", "MODEL")])
def test_a_model_without_its_option_is_told_where_it_belongs(dp_sim, water, models, order):
    arguments = [{"MODEL": models[0], "STRUCTURE": water}.get(word, word) for word in order]
    assert f"-m {models[0]}" in one_sentence(dp_sim(*arguments))


def test_a_structure_behind_the_option_of_the_model_is_told(dp_sim, water, models):
    assert f"-m {models[0]}" in one_sentence(dp_sim("opt", "-m", water, models[0]))
    assert "dp-sim opt STRUCTURE -m MODEL" in one_sentence(dp_sim("opt", "-m", water))


def test_an_argument_too_many_is_named(dp_sim, water, models):
    message = one_sentence(dp_sim("nvt", water, "-m", models[0], "300"))
    assert "'300'" in message
    assert "[argument-unexpected]" in message


def test_the_data_of_a_test_are_found_from_anywhere(dp_sim, tmp_path, models):
    """config.yaml holds absolute paths, with the index behind them."""
    frame = molecule("H2O")
    frame.calc = EMT()
    frame.get_forces()
    write("frames.extxyz", [frame, frame])
    assert dp_sim("test", models[0], "frames.extxyz@:1", "-o", "accuracy").code == 0
    used = yaml.safe_load((tmp_path / "accuracy" / "config.yaml").read_text())
    assert used["data"] == [f"{tmp_path / 'frames.extxyz'}@:1"]


def test_opt_of_many_structures(dp_sim, tmp_path):
    frames = [molecule("H2O"), Atoms("U2", [[0, 0, 0], [0, 0, 2]]), molecule("CO")]
    write(tmp_path / "many.extxyz", frames)
    outcome = dp_sim("opt", "many.extxyz@:", "--calculator", "emt", "-o", "run")
    assert outcome.code == 3
    assert "1 of 3 structures" in outcome.err
    assert [len(frame) for frame in read(tmp_path / "run" / "optimized.extxyz", ":")] == [3, 2, 2]
    assert "many.extxyz" in (tmp_path / "run" / "result.json").read_text()
    header = (tmp_path / "run" / "config.yaml").read_text().partition("\n")[0]
    assert "dp-sim opt input.extxyz@: --config config.yaml" in header
    assert dp_sim("opt", "many.extxyz@1:2", "--calculator", "emt", "-o", "none").code == 2
    assert not (tmp_path / "none").exists()
