"""What is conserved: heat capacity from the kinetic energy at constant energy, and drifts with a judgement."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from scipy.stats import binom
from synthetic_series import autoregressive, coverage
from systems_dynamics import einstein_crystal

from dp_sim.recipes import run_nve, run_nvt
from dp_sim.recipes.dynamics import estimators
from dp_sim.recipes.dynamics.remarks import LARGE_DRIFT_MEV_PER_ATOM_NS, drift_words, turns_freely
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import KB_EV_PER_K

KT = KB_EV_PER_K * 300


@pytest.mark.parametrize("per_freedom", [1.0, 1.6])
def test_heat_capacity_at_constant_energy_covers(per_freedom: float):
    """f = 300 momenta of a harmonic solid (C = f k_B, r = 1/2), and of a liquid with more."""
    f = 300
    exact = f * per_freedom
    spread = np.sqrt(f / 2 * (1 - f / 2 / exact)) * KT

    def make(rng: np.random.Generator) -> Estimate:
        return estimators.heat_capacity_at_constant_energy(
            f / 2 * KT + spread * autoregressive(rng, 2000, 5.0), degrees_of_freedom=f, steps_per_sample=1
        )

    found = coverage(make, exact, 200)
    assert found.given >= 190  # where no bound from above is found, nothing is given
    assert found.hold >= binom.ppf(0.001, found.given, 0.95)
    assert 0.8 < found.claimed_over_scatter < 1.6


def test_a_kinetic_energy_that_is_not_held_back_is_withheld():
    kinetic = 150 * KT + np.sqrt(170) * KT * autoregressive(np.random.default_rng(0), 2000, 5.0)
    found = estimators.heat_capacity_at_constant_energy(kinetic, degrees_of_freedom=300, steps_per_sample=1)
    assert found.value is None
    assert "constant temperature" in found.cause


def test_copper_at_constant_energy_has_three_k_an_atom():
    """A nearly harmonic crystal: f k_B and a little less, for f = 9; without r it would be half of that."""
    result = run_nve(
        bulk("Cu", cubic=True), EMT(), temperature_K=400, steps=2500, timestep_fs=4, sample_every=5, progress=False
    )
    found = result.heat_capacity_kB
    assert found.value == pytest.approx(9, abs=4 * found.error), found
    assert found.error < 2.5
    assert result.quantities()["heat_capacity_with_centre_of_mass"].value == pytest.approx(found.value + 1.5)


def test_a_free_molecule_has_none_at_constant_energy():
    atoms, calculator = einstein_crystal(2)
    result = run_nve(atoms, calculator, temperature_K=300, steps=20, progress=False)
    assert "angular momentum" in result.heat_capacity_kB.cause
    box = molecule("H2O", cell=[15.0] * 3, pbc=True)  # a vacuum around it, whatever its cell says
    result = run_nve(box, EMT(), temperature_K=300, steps=20, progress=False)
    assert "angular momentum" in result.heat_capacity_kB.cause


def test_only_a_lone_molecule_in_an_empty_box_turns_freely():
    assert turns_freely(molecule("H2O"))
    assert turns_freely(molecule("H2O", cell=[15.0] * 3, pbc=True))
    assert not turns_freely(molecule("H2O", cell=[4.0] * 3, pbc=True))
    assert not turns_freely(bulk("Cu"))
    two = molecule("H2O", cell=[15.0] * 3, pbc=True)
    two += Atoms("H2", positions=[[7, 7, 7], [7, 7, 7.74]])
    assert not turns_freely(two)
    held = molecule("H2O")
    held.set_constraint(FixAtoms([0]))
    assert not turns_freely(held)


def drift(value: float, error: float) -> Estimate:
    return Estimate(value, error, (value - 2 * error, value + 2 * error), 50.0, "meV/atom/ns")


def test_drifts_are_judged():
    assert "too large" in drift_words(drift(-3 * LARGE_DRIFT_MEV_PER_ATOM_NS, 1.0))
    assert "too short" in drift_words(drift(1.0, LARGE_DRIFT_MEV_PER_ATOM_NS))
    assert "none" in drift_words(drift(1.0, 1.0))
    assert "0.39 K a ns" in drift_words(drift(0.05, 0.01))  # 0.05 meV over 3 k_B / 2


def test_a_thermostat_shows_what_it_conserves(tmp_path):
    """The drift and its judgement, on the page too; Langevin conserves nothing that is summed up."""
    atoms, calculator = einstein_crystal(40)
    atoms.set_cell([40.0] * 3)
    atoms.pbc = True
    common = {"temperature_K": 300, "thermostat": "bussi", "sample_every": 5, "progress": False}
    sound = run_nvt(atoms, calculator, steps=1500, timestep_fs=4, out=tmp_path / "run", **common)
    values = json.loads((tmp_path / "run" / "result.json").read_text())["values"]
    assert values["conserved_energy_drift"]["value"] == pytest.approx(sound.conserved_drift_meV_per_atom_ns.value)
    assert "too large" not in values["conserved_energy_drift_judged"]["value"]
    langevin = run_nvt(atoms, calculator, steps=20, **{**common, "thermostat": "langevin"})
    assert langevin.conserved_drift_meV_per_atom_ns is None
    page = (tmp_path / "run" / "report.html").read_text()
    assert "heat capacity C_V per atom" in page
