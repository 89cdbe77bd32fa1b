"""`dp-sim calibrate`: what it prints and leaves, and how it refuses."""

import json

import numpy as np
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from dp_sim import load_model


def labelled(model, count):
    random = np.random.default_rng(0)
    for _ in range(count):
        atoms = molecule("H2O")
        atoms.rattle(0.1, rng=random)
        output = model.evaluate(atoms)
        forces = output.forces.numpy() + output.forces_std.numpy() * random.normal(size=(3, 3))
        energy = output.energy.item() + output.energy_std.item() * random.normal()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        yield atoms


def test_members_in_files_become_a_folder(dp_sim, models, water, tmp_path):
    write(tmp_path / "held_out.extxyz", list(labelled(load_model(models), 25)))
    outcome = dp_sim("calibrate", *models, "--data", "held_out.extxyz", "-o", "committee")
    assert outcome.code == 0, outcome.err
    for shown in ("Calibration of uncertainties", "Intervals", "force components"):
        assert shown in outcome.out
    values = json.loads((tmp_path / "committee" / "result.json").read_text())["values"]
    assert values["energy_alpha_squared"]["cause"] == "fewer than four members"
    assert (tmp_path / "committee" / "coverage.csv").read_text().count("\n") == 13
    printed = dp_sim("eval", "committee", water)
    assert "energy uncertainty" in printed.out
    assert "energy spread" not in printed.out


def test_bad_input_is_one_sentence_and_leaves_nothing(dp_sim, models, tmp_path):
    for arguments, named in (
        ([models[0], "--data", "none.extxyz"], "members-too-few"),
        ([*models, "--data", "none.extxyz"], "none.extxyz"),
        ([*models], "--data"),
        ([*models, "--data", "none.extxyz", "--blocks", 1], "blocks"),
        (["none", "--data", "none.extxyz"], "file-missing"),
    ):
        outcome = dp_sim("calibrate", *arguments, "-o", "out")
        assert outcome.code == 2, outcome
        assert named in outcome.err
    assert not (tmp_path / "out").exists()
