"""The highest frequency from a dozen forces, against known ones, and time steps that it makes too long."""

import json

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from dp_sim.recipes import run_nve, run_nvt, vibrations
from dp_sim.recipes.dynamics.fastest_vibration import EVALUATIONS, highest_frequency_cm1, timestep_remark


class Bond(Calculator):
    """E = k (r - r0)^2 / 2 between the first two atoms, and a soft spring of each atom to its first place."""

    implemented_properties = ("energy", "forces")

    def __init__(self, atoms: Atoms, k: float, soft: float = 0.0):
        super().__init__()
        self.k, self.soft, self.places = k, soft, atoms.get_positions()
        self.rest, self.calls = atoms.get_distance(0, 1), 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        away = atoms.positions - self.places
        energy, forces = self.soft * np.sum(away**2) / 2, -self.soft * away
        arrow = atoms.positions[1] - atoms.positions[0]
        length = np.linalg.norm(arrow)
        pull = self.k * (length - self.rest) * arrow / length
        forces[0] += pull
        forces[1] -= pull
        self.results = {"energy": energy + self.k * (length - self.rest) ** 2 / 2, "forces": forces}


def diatomic_cm1(k: float, mass_1: float, mass_2: float) -> float:
    mu = mass_1 * mass_2 / (mass_1 + mass_2) * units._amu
    return np.sqrt(k * units._e * 1e20 / mu) / (2 * np.pi * units._c * 100)


def stiff(n_others: int = 0, k: float = 36.0) -> tuple[Atoms, Bond]:
    """H2 of some 4400 cm^-1, and argon about it on soft springs."""
    others = [[4.0 * i, 5.0, 0.0] for i in range(n_others)]
    atoms = Atoms(f"H2{'Ar' * n_others}", [[0, 0, 0], [0.5, 0.4, 0.37], *others])
    return atoms, Bond(atoms, k, soft=0.5 if n_others else 0.0)


@pytest.mark.parametrize("n_others", [0, 1, 300])
def test_a_stiff_bond_is_found_among_many_soft_ones_with_a_dozen_forces(n_others):
    atoms, calculator = stiff(n_others)
    found = highest_frequency_cm1(atoms, calculator)
    assert calculator.calls <= EVALUATIONS
    assert found == pytest.approx(diatomic_cm1(36.0, 1.008, 1.008), rel=0.03)


def test_masses_and_fixed_atoms_count():
    atoms, calculator = stiff()
    atoms.set_masses([2.014, 1.008])
    assert highest_frequency_cm1(atoms, calculator) == pytest.approx(diatomic_cm1(36.0, 2.014, 1.008), rel=0.01)
    atoms.set_constraint(FixAtoms([0]))
    assert highest_frequency_cm1(atoms, calculator) == pytest.approx(diatomic_cm1(36.0, 1e12, 1.008), rel=0.01)


def test_in_a_crystal_it_is_the_top_of_the_hessian():
    """A band of frequencies is harder than one bond: within 5 %, and not above."""
    crystal = bulk("Cu", cubic=True) * 2
    crystal.rattle(0.05, seed=1)
    exact = vibrations(crystal, EMT(), fmax=9.0).frequencies_cm1[-1]
    found = highest_frequency_cm1(crystal, EMT())
    assert 0.95 * exact < found < 1.005 * exact


def test_a_saddle_in_every_direction_says_nothing():
    atoms, calculator = stiff(k=-36.0)
    assert highest_frequency_cm1(atoms, calculator) < 100
    assert timestep_remark(atoms, calculator, 5.0, 1000, thermostat=False) == ""


@pytest.mark.parametrize(
    ("recipe", "steps", "told"), [(run_nve, 9, True), (run_nve, 11, False), (run_nvt, 4.5, True), (run_nvt, 6, False)]
)
def test_too_few_steps_in_a_period_are_told_on_the_page(tmp_path, caplog, recipe, steps, told):
    atoms, calculator = stiff()
    timestep = 1e15 / (diatomic_cm1(36.0, 1.008, 1.008) * 100 * units._c) / steps
    recipe(atoms, calculator, temperature_K=50, steps=120, timestep_fs=timestep, out=tmp_path / "run")
    notes = json.loads((tmp_path / "run" / "result.json").read_text())["provenance"].get("notes", [])
    assert bool(notes) == told
    assert ("is long" in caplog.text) == told
    if told:
        assert f"{timestep:g} fs" in notes[0]
        assert f"{steps:.1f} steps a period" in notes[0]
        assert "is long" in (tmp_path / "run" / "report.html").read_text()


def test_a_short_run_pays_for_no_estimate_and_a_longer_one_a_tenth():
    atoms, calculator = stiff(5)
    atoms.set_masses([1, 1, 4, 20, 40, 84, 131])  # else the Krylov space is complete earlier
    assert timestep_remark(atoms, calculator, 5.0, 19, thermostat=True) == ""
    assert calculator.calls == 0
    assert "is long" in timestep_remark(atoms, calculator, 5.0, 60, thermostat=True)
    assert calculator.calls == 6


def test_a_calculator_that_fails_beside_the_start_is_told_and_the_run_goes_on(tmp_path):
    atoms, calculator = stiff()
    calculate = calculator.calculate

    def fails(atoms=None, properties=("energy",), system_changes=()):
        if calculator.calls == 3:
            calculator.calls += 1
            raise RuntimeError("no convergence")
        calculate(atoms, properties, system_changes)

    calculator.calculate = fails
    result = run_nve(atoms, calculator, temperature_K=50, steps=100, timestep_fs=0.2, out=tmp_path / "nve")
    note = result.provenance["notes"][0]
    assert "no convergence" in note
    assert "not known" in note
