"""Commands on crystals, from files of other programs."""

import json

import numpy as np
from ase.build import bulk


def test_phonons_of_copper_from_a_cif(dp_sim, tmp_path):
    bulk("Cu", a=3.5898).write("copper.cif")
    outcome = dp_sim("phonons", "copper.cif", "--calculator", "emt", "--supercell", "2x2x2", "--mesh", 20, "-o", "run")
    assert outcome.code == 0, outcome.err
    assert "Fm-3m" in outcome.out
    values = json.loads((tmp_path / "run" / "result.json").read_text())["values"]
    assert 7 < values["highest_frequency"]["value"] < 9
    for name in ("phonopy.yaml", "FORCE_CONSTANTS", "bands.csv", "dos.csv", "thermal.csv", "bands.png", "report.html"):
        assert (tmp_path / "run" / name).is_file()
    bands = np.genfromtxt(tmp_path / "run" / "bands.csv", delimiter=",", skip_header=1)
    assert bands.shape[1] == 8


def test_phonons_of_what_is_not_relaxed_leave_nothing(dp_sim, tmp_path):
    from ase import Atoms

    Atoms("CuAu", scaled_positions=[[0, 0, 0], [0.5, 0.45, 0.52]], cell=[2.8, 2.8, 3.8], pbc=True).write("POSCAR")
    outcome = dp_sim("phonons", "POSCAR", "--calculator", "emt", "-o", "run")
    assert outcome.code == 2
    assert "structure-not-relaxed" in outcome.err
    assert "--relax" in outcome.err
    assert not (tmp_path / "run").exists()


def test_elastic_constants_and_equation_of_state_of_a_poscar(dp_sim, tmp_path):
    bulk("Cu", cubic=True, a=3.6).write("POSCAR")
    outcome = dp_sim("elastic", "POSCAR", "--calculator", "emt", "--relax", "--cell", "-o", "elastic")
    assert outcome.code == 0, outcome.err
    values = json.loads((tmp_path / "elastic" / "result.json").read_text())["values"]
    assert values["C11"]["unit"] == "GPa"
    assert values["C11"]["error"] < 0.1
    outcome = dp_sim("eos", "POSCAR", "--calculator", "emt", "-o", "eos", "--volumes", 6)
    assert outcome.code == 0, outcome.err
    modulus = json.loads((tmp_path / "eos" / "result.json").read_text())["values"]["bulk_modulus"]["value"]
    assert abs(modulus - (values["C11"]["value"] + 2 * values["C12"]["value"]) / 3) < 0.5
