"""Geometry optimisation against minima that are known."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import CalculationFailed
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.io import read
from refusals import refused

from dp_sim.recipes import optimize


def test_a_lennard_jones_dimer_finds_its_minimum():
    """r = 2^(1/6) sigma, E = -epsilon (shifted by the truncation, which does not move the minimum)."""
    dimer = Atoms("Ar2", [[0, 0, 0], [0, 0, 1.3]])
    result = optimize(dimer, LennardJones(sigma=1.0, epsilon=1.0, rc=100.0), fmax=1e-7)
    assert result.converged
    assert result.cause == ""
    assert result.atoms.get_distance(0, 1) == pytest.approx(2 ** (1 / 6), abs=1e-7)
    assert result.energy_eV == pytest.approx(-1, abs=1e-7)
    assert result.energies_eV.shape == result.fmaxes_eV_A.shape == (result.steps + 1,)
    assert dimer.get_distance(0, 1) == pytest.approx(1.3)  # the input stays as it was


@pytest.mark.parametrize("optimizer", ["lbfgs", "bfgs", "fire", "fire2", "precon-lbfgs"])
def test_every_optimizer_reaches_the_bound(optimizer):
    result = optimize(molecule("H2O"), EMT(), optimizer=optimizer, fmax=0.005)
    assert result.converged
    assert result.fmax_eV_A < 0.005


@pytest.mark.parametrize("pressure_GPa", [0.0, 10.0])
def test_the_cell_balances_the_pressure(pressure_GPa):
    crystal = bulk("Cu", a=3.8, cubic=True)
    result = optimize(crystal, EMT(), cell=True, pressure_GPa=pressure_GPa, fmax=1e-4)
    assert result.converged
    np.testing.assert_allclose(result.stress_GPa, [-pressure_GPa] * 3 + [0, 0, 0], atol=0.01)
    assert result.volume_A3 == pytest.approx(result.atoms.get_volume())


def test_constraints_are_kept():
    water = molecule("H2O")
    water.set_constraint(FixAtoms([1]))
    result = optimize(water, EMT(), fmax=0.005)
    assert result.converged
    np.testing.assert_array_equal(result.atoms.positions[1], water.positions[1])


def test_too_few_steps_are_not_converged_and_say_why():
    result = optimize(molecule("H2O"), EMT(), steps=1)
    assert not result.converged
    assert result.ended_by == "steps used up"
    for words in (f"{result.fmax_eV_A:.4g} eV/Angstrom", "1 steps", "0.01"):
        assert words in result.cause


def test_the_files_tell_the_way(tmp_path):
    result = optimize(molecule("H2O"), EMT(), out=tmp_path / "opt")
    frames = read(tmp_path / "opt" / "trajectory.extxyz", index=":")
    np.testing.assert_allclose([f.get_potential_energy() for f in frames], result.energies_eV, atol=1e-6)
    np.testing.assert_allclose(frames[-1].positions, result.atoms.positions, atol=1e-7)
    values = json.loads((tmp_path / "opt" / "result.json").read_text())["values"]
    assert values["steps"]["value"] == result.steps
    assert (tmp_path / "opt" / "convergence.png").exists()


def test_resuming_goes_on_from_the_last_structure(tmp_path):
    first = optimize(molecule("H2O"), EMT(), steps=3, out=tmp_path / "opt")
    second = optimize(molecule("H2O"), EMT(), steps=60, out=tmp_path / "opt", resume=True)
    assert not first.converged
    assert second.converged
    np.testing.assert_allclose(second.energies_eV[:4], first.energies_eV, atol=1e-6)
    assert len(read(tmp_path / "opt" / "trajectory.extxyz", index=":")) == second.steps + 1


def test_resuming_survives_a_frame_cut_in_two(tmp_path):
    optimize(molecule("H2O"), EMT(), steps=3, out=tmp_path / "opt")
    trajectory = tmp_path / "opt" / "trajectory.extxyz"
    trajectory.write_bytes(trajectory.read_bytes()[:-40])
    result = optimize(molecule("H2O"), EMT(), steps=60, out=tmp_path / "opt", resume=True)
    assert result.converged
    assert len(read(trajectory, index=":")) == result.steps + 1


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"fmax": 0}, ("setting-out-of-range",)),
        ({"fmax": float("nan")}, ("setting-out-of-range",)),
        ({"fmax": float("inf")}, ("setting-out-of-range",)),
        ({"cell": True, "pressure_GPa": float("inf")}, ("setting-out-of-range", "pressure_GPa")),
        ({"steps": -1}, ("setting-out-of-range",)),
        ({"optimizer": "lbgfs"}, ("choice-unknown", "lbfgs")),
        ({"cell": True}, ("periodicity-unsupported",)),
        ({"pressure_GPa": 1.0}, ("pressure-without-cell",)),
    ],
)
def test_bad_settings_are_refused_before_any_file(tmp_path, options, refusal):
    with refused(*refusal):
        optimize(molecule("H2O"), EMT(), out=tmp_path / "opt", **options)
    assert not (tmp_path / "opt").exists()


class FailsFarAway(LennardJones):
    """Fails wherever the two atoms are nearer or farther than it can compute, as an SCF does."""

    nearest, farthest = 0.0, np.inf

    def calculate(self, atoms=None, *args, **keywords):
        if not self.nearest <= atoms.get_distance(0, 1) <= self.farthest:
            raise CalculationFailed("SCF not converged in 250 cycles")
        super().calculate(atoms, *args, **keywords)


def test_a_failed_evaluation_shortens_the_step():
    calculator = FailsFarAway(sigma=1.0, epsilon=1.0, rc=100.0)
    calculator.nearest = 1.115  # the minimum is at 1.1225; the first steps go past it
    result = optimize(Atoms("Ar2", [[0, 0, 0], [0, 0, 1.25]]), calculator, fmax=0.05)
    assert result.converged
    assert result.atoms.get_distance(0, 1) == pytest.approx(2 ** (1 / 6), abs=2e-3)


def test_a_calculator_that_goes_on_failing_ends_the_run_with_its_files(tmp_path):
    calculator = FailsFarAway(sigma=1.0, epsilon=1.0, rc=100.0)
    calculator.nearest = 1.3
    result = optimize(Atoms("Ar2", [[0, 0, 0], [0, 0, 1.31]]), calculator, fmax=1e-3, out=tmp_path / "opt")
    assert not result.converged
    assert "SCF not converged in 250 cycles" in result.cause
    assert result.atoms.get_distance(0, 1) >= 1.3
    assert (tmp_path / "opt" / "optimized.extxyz").exists()
