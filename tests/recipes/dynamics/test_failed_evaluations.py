"""A calculator that fails on the way: the run ends with its last good state, says why, and can go on."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write
from failing_calculators import WORDS, Failing, cold_xtb
from refusals import refused
from systems_dynamics import VolumeSpring, einstein_crystal

from dp_sim.cli.main import status
from dp_sim.recipes import run_npt, run_nve, run_nvt


def run_springs(recipe, out, fails, **options):
    """Six atoms on springs, or at constant pressure in a cell that is a spring of its volume; 40 steps."""
    atoms, calculator = einstein_crystal(6)
    if recipe is run_npt:
        atoms.set_cell([10, 10, 10])
        atoms.pbc = True
        calculator = VolumeSpring(bulk_modulus=0.02, volume=900.0)
    settings = {"temperature_K": 300, "timestep_fs": 5, "steps": 40, "sample_every": 4, "frame_every": 8}
    return recipe(atoms, Failing(calculator, fails), **settings, out=out, progress=False, **options)


@pytest.mark.parametrize("recipe", [run_nve, run_nvt, run_npt])
def test_the_last_good_state_is_kept_and_the_run_goes_on_from_it(tmp_path, recipe):
    """Bit for bit the run that never failed, once the calculator works again."""
    whole = run_springs(recipe, tmp_path / "whole", lambda number, atoms: False)
    failed = run_springs(recipe, tmp_path / "parts", lambda number, atoms: number > 19)
    reached = failed.rows[-1].step
    assert 8 <= reached <= 20
    assert not failed.converged
    assert WORDS in failed.cause
    assert f"{reached}" in failed.cause
    assert np.allclose(read(tmp_path / "parts" / "final.extxyz").positions, failed.atoms.positions)
    saved = json.loads((tmp_path / "parts" / "result.json").read_text())
    assert WORDS in saved["cause"]
    assert WORDS in (tmp_path / "parts" / "report.html").read_text()
    assert WORDS in (tmp_path / "parts" / "log.txt").read_text()
    resumed = run_springs(recipe, tmp_path / "parts", lambda number, atoms: False, resume=True)
    assert np.array_equal(resumed.atoms.positions, whole.atoms.positions)
    for name in ("thermo.csv", "trajectory.extxyz"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_numbers_come_from_what_was_recorded():
    """The samples before the failure are sound: 120 of them give a mean."""
    atoms, calculator = einstein_crystal(6)
    # Two evaluations go into the fastest vibration of these equal springs.
    failing = Failing(calculator, lambda number, atoms: number > 484)
    result = run_nvt(atoms, failing, temperature_K=300, steps=2000, timestep_fs=8, sample_every=4, progress=False)
    assert not result.converged
    assert len(result.rows) == 121
    assert result.temperature_K.value == pytest.approx(300, rel=0.3)


@pytest.mark.parametrize("recipe", [run_nve, run_nvt, run_npt])
def test_a_first_structure_that_cannot_be_evaluated_is_refused(tmp_path, recipe):
    with refused("calculator-failed", WORDS):
        run_springs(recipe, tmp_path / "run", lambda number, atoms: True)
    assert not (tmp_path / "run").exists()


def test_an_element_that_the_calculator_does_not_know_is_refused(tmp_path):
    with refused("calculator-failed", "EMT", "W"):
        run_nvt(bulk("W", cubic=True), EMT(), temperature_K=300, steps=10, progress=False, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_mistake_in_a_program_is_no_failed_evaluation(tmp_path):
    """It goes on as it is; the checkpoint is kept all the same."""

    def mistaken(number, atoms):
        if number > 19:
            raise AttributeError("'NoneType' object has no attribute 'energy'")
        return False

    with pytest.raises(AttributeError):
        run_springs(run_nvt, tmp_path / "run", mistaken)
    whole = run_springs(run_nvt, tmp_path / "whole", lambda number, atoms: False)
    resumed = run_springs(run_nvt, tmp_path / "run", lambda number, atoms: False, resume=True)
    assert "continued from step 16" in (tmp_path / "run" / "log.txt").read_text()
    assert np.array_equal(resumed.atoms.positions, whole.atoms.positions)


XTB = """
from tblite.ase import TBLite

class Cold(TBLite):
    def calculate(self, *arguments, **keywords):
        self._res = None
        super().calculate(*arguments, **keywords)
"""


def flying_apart() -> Atoms:
    """LiF, its bond being stretched: from 1.6 Angstrom on an SCF from scratch takes more than 9 iterations."""
    atoms = Atoms("LiF", [[0, 0, 0], [0, 0, 1.5]])
    atoms.set_velocities([[0, 0, -0.5], [0, 0, 0.183]])
    return atoms


def test_tblite_without_convergence(tmp_path, monkeypatch, capsys):
    """On the command line, by tblite itself: status 3, the cause on the terminal, a directory that can go on."""
    pytest.importorskip("tblite.ase", reason="tblite is the calculator that fails here")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cold.py").write_text(XTB)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    write("lif.extxyz", flying_apart())
    spec = ["--calculator", "mine.cold:Cold", "--calculator-arg", "max_iterations=9", "--calculator-arg", "verbosity=0"]
    command = ["nve", "lif.extxyz", *spec, "--steps", "20", "--timestep", "1", "--sample-every", "2", "-o", "run"]
    assert status(command) == 3
    assert "SCF not converged in 9 cycles" in capsys.readouterr().err
    assert status([*command, "--resume"]) == 3
    assert "SCF not converged in 9 cycles" in json.loads((tmp_path / "run" / "result.json").read_text())["cause"]
    assert read("run/final.extxyz").get_distance(0, 1) < 1.75


def test_tblite_with_enough_iterations_goes_on():
    pytest.importorskip("tblite.ase", reason="tblite is the calculator that fails here")
    result = run_nve(flying_apart(), cold_xtb(100), steps=20, timestep_fs=1, sample_every=2, progress=False)
    assert result.rows[-1].step == 20
    assert "failed" not in result.cause
