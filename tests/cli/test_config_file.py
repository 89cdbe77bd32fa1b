"""--config: settings from a file, flags over them, typos refused, and no code run from a file."""

import json

import pytest
import yaml


def write(folder, **settings) -> None:
    (folder / "run.yaml").write_text(yaml.safe_dump(settings))


def settings_of(folder) -> dict:
    return yaml.safe_load((folder / "run" / "config.yaml").read_text())


def test_settings_come_from_the_file_and_flags_override_them(dp_sim, water, tmp_path):
    write(tmp_path, calculator="emt", fmax=0.3, steps=7, out="run", optimizer="fire", pressure_GPa=None)
    assert dp_sim("opt", water, "--config", "run.yaml", "--steps", 9).code == 0
    used = settings_of(tmp_path)
    assert (used["fmax"], used["steps"], used["optimizer"], used["pressure_GPa"]) == (0.3, 9, "fire", 0.0)


def test_the_configuration_that_a_run_leaves_repeats_it(dp_sim, water, tmp_path):
    dp_sim("opt", water, "--calculator", "emt", "--fmax", "0.02", "--seed", 5, "-o", "run")
    first = json.loads((tmp_path / "run" / "result.json").read_text())
    assert dp_sim("opt", "run/input.extxyz", "--config", "run/config.yaml", "-o", "again").code == 0
    second = json.loads((tmp_path / "again" / "result.json").read_text())
    assert second["provenance"]["settings"] == first["provenance"]["settings"]
    energies = [result["values"]["energy"]["value"] for result in (first, second)]
    assert energies[0] == pytest.approx(energies[1], abs=1e-6)


def test_a_model_on_the_command_line_replaces_the_calculator_of_the_file(dp_sim, water, models, tmp_path):
    write(tmp_path, calculator="emt", calculator_arg={"asap_cutoff": True}, out="run")
    assert dp_sim("vib", water, "--config", "run.yaml", "-m", models[0], "--fmax", 1000).code == 0
    assert settings_of(tmp_path)["model"] == [str(models[0])]
    assert "calculator" not in settings_of(tmp_path)


def test_a_calculator_on_the_command_line_replaces_the_model_of_the_file(dp_sim, water, tmp_path):
    write(tmp_path, model=["absent.pt"], out="run", device="cpu", dtype="float32")
    assert dp_sim("opt", water, "--config", "run.yaml", "--calculator", "emt").code == 0
    assert settings_of(tmp_path)["calculator"] == "emt"


def test_arguments_of_the_calculator_are_a_mapping_or_a_list(dp_sim, water, tmp_path):
    for arguments in ({"asap_cutoff": True}, ["asap_cutoff=true"]):
        write(tmp_path, calculator="emt", calculator_arg=arguments, out="run")
        assert dp_sim("opt", water, "--config", "run.yaml", "--overwrite").code == 0
        assert settings_of(tmp_path)["calculator_arg"] == {"asap_cutoff": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("calculator: emt\nfmx: 1", "run.yaml: unknown setting 'fmx' for dp-sim opt; did you mean 'fmax'?"),
        ("calculator: emt\noverwrite: true", "unknown setting 'overwrite'"),
        ("recipe: vib", "holds the settings of 'vib', not of 'opt'"),
        ("calculator: emt\nfmax: tight", "run.yaml: fmax: Input should be a valid number"),
        ("calculator: emt\nsteps: [1, 2]", "run.yaml: steps: "),
        ("calculator: emt\nsteps: true", "run.yaml: steps is no switch"),
        ("calculator: emt\nfmax: -1", "run.yaml: fmax must be a finite number above 0"),
        ("calculator: emt\noptimizer: bfg", "run.yaml: optimizer must be one of"),
        ("calculator: ent", "run.yaml: calculator 'ent' is not known"),
        ("calculator: ase.calculators.emt:EMT", "give it on the command line: --calculator ase.calculators.emt:EMT"),
        ("just text", "must hold 'key: value' lines"),
        ("3: 4", "must hold 'key: value' lines"),
        ("a: [1", "cannot be read"),
        ("!!python/object/apply:os.system ['touch owned']", "cannot be read"),
    ],
)
def test_bad_files_are_one_sentence(dp_sim, water, tmp_path, text, message):
    (tmp_path / "run.yaml").write_text(text)
    outcome = dp_sim("opt", water, "--config", "run.yaml", "-o", "run")
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.yaml", "water.xyz"]


def test_an_absent_file_is_one_sentence(dp_sim, water):
    outcome = dp_sim("opt", water, "--config", "absent.yaml")
    sentence = "dp-sim: there is no configuration file absent.yaml; give the path of a YAML file [file-missing]\n"
    assert outcome == (2, "", sentence)


def test_a_bad_flag_is_not_blamed_on_the_file(dp_sim, water, tmp_path):
    (tmp_path / "run.yaml").write_text("calculator: emt\nfmax: 0.1")
    for flag, message in (
        ("-1", "dp-sim: fmax must be a finite number above 0"),
        ("tight", "dp-sim: Invalid value for '--fmax'"),
    ):
        outcome = dp_sim("opt", water, "--config", "run.yaml", "--fmax", flag)
        assert outcome.code == 2
        assert outcome.err.startswith(message)
