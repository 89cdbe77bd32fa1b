"""Thermostats of the ASE engine: the momenta that they drive, their averages, and what they do not sample."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from refusals import refused
from systems_dynamics import EinsteinCrystal, einstein_crystal

from dp_sim.recipes import run_nve, run_nvt
from dp_sim.recipes.dynamics.engines.ase_engine import ASEEngine
from dp_sim.recipes.dynamics.engines.protocol import Conditions
from dp_sim.recipes.dynamics.estimators import standard_error

TEMPERATURE_K = 300.0
SCALING = ("bussi", "nose-hoover")


def engine_for(atoms: Atoms, calculator, thermostat: str, **conditions) -> ASEEngine:
    usual = {"timestep_fs": 2.0, "temperature_K": TEMPERATURE_K, "thermostat": thermostat}
    return ASEEngine(atoms, calculator, Conditions(**{**usual, **conditions}))


def boxed(name: str) -> Atoms:
    atoms = molecule(name)
    atoms.center(vacuum=6)
    atoms.pbc = True
    return atoms


def fixed(atoms: Atoms, *indices: int) -> Atoms:
    atoms.set_constraint(FixAtoms(list(indices)))
    return atoms


def wire() -> Atoms:
    atoms = Atoms("Cu4", positions=[[0, 0, 0], [0.8, 0, 2.2], [0, 0.6, 4.5], [-0.5, 0.4, 6.9]], cell=[0, 0, 9])
    atoms.pbc = (False, False, True)
    atoms.rotate(40, "x", rotate_cell=True)
    return atoms


@pytest.mark.parametrize(
    ("atoms", "calculator", "count"),
    [
        (bulk("Cu", cubic=True), EMT(), 3 * 4 - 3),  # the crystal as a whole rests
        (molecule("H2O"), EMT(), 3 * 3 - 6),  # no turning either
        (molecule("CO"), EMT(), 3 * 2 - 5),
        (molecule("CO2"), EMT(), 3 * 3 - 6),  # straight at the start only
        (boxed("H2O"), EMT(), 3 * 3 - 6),  # cells far apart do not hinder it
        (wire(), EMT(), 3 * 4 - 3 - 1),  # it turns about its axis, wherever that points
        (fixed(molecule("CH3OH"), 0), EMT(), 3 * 5 - 3),  # about the atom that is held
        (fixed(molecule("CH3OH"), 0, 1), EMT(), 3 * 4 - 1),  # about the line through both
        (fixed(molecule("CH3OH"), 0, 1, 2), EMT(), 3 * 3),
        (*einstein_crystal(4), 3 * 4 - 1),  # springs to places on a line hinder all but turning about it
    ],
)
@pytest.mark.parametrize("thermostat", SCALING)
def test_momenta_that_are_driven(atoms, calculator, count, thermostat):
    """One factor for all momenta leaves what the forces conserve: it is zero, stays so, and does not count."""
    engine = engine_for(atoms, calculator, thermostat, timestep_fs=0.5)
    assert engine.degrees_of_freedom == count
    engine.run(20)
    end = engine.structure()
    if not end.constraints and not isinstance(calculator, EinsteinCrystal):
        assert np.abs(end.get_momenta().sum(axis=0)).max() < 1e-9 * np.abs(end.get_momenta()).max() * len(end)
    if atoms.get_chemical_formula() == "H2O":
        assert np.abs(end.get_angular_momentum()).max() < 1e-3 * np.abs(end.get_momenta()).max()
        assert "angular momentum" in engine.notes[0]
    if end.constraints:
        assert not end.get_momenta()[end.constraints[0].index].any()


def test_langevin_drives_every_momentum():
    assert engine_for(molecule("H2O"), EMT(), "langevin").degrees_of_freedom == 9


@pytest.mark.parametrize("thermostat", SCALING)
def test_a_free_atom_has_nothing_to_drive(thermostat):
    with refused("thermostat-nothing-to-drive", thermostat, "langevin"):
        run_nvt(bulk("Cu"), EMT(), temperature_K=300, steps=10, thermostat=thermostat)


@pytest.mark.parametrize("thermostat", ["langevin", *SCALING])
def test_mean_and_spread_of_the_kinetic_energy(thermostat):
    """<K> = N_f k_B T / 2 and var K = N_f (k_B T)^2 / 2: a thermostat for 3 N momenta would be 14 % too hot here."""
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    kT = units.kB * TEMPERATURE_K
    engine = engine_for(atoms, EMT(), thermostat, timestep_fs=4, friction_per_ps=10, thermostat_time_fs=50)
    kinetic = []
    for _ in range(350):
        engine.run(5)
        kinetic.append(engine.sample().kinetic_eV)
    kinetic = np.array(kinetic[50:])
    half = engine.degrees_of_freedom / 2
    assert abs(kinetic.mean() - half * kT) < 4 * standard_error(kinetic)
    squares = (kinetic - half * kT) ** 2
    assert abs(squares.mean() - half * kT**2) < 4 * standard_error(squares)
    assert standard_error(kinetic) < 0.07 * half * kT
    assert standard_error(squares) < 0.4 * half * kT**2


@pytest.mark.parametrize("thermostat", SCALING)
def test_the_conserved_energy_stays(thermostat, tmp_path):
    """What the thermostat gives is counted: the rest changes a thousand times less, as at constant energy."""
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    settings = {"temperature_K": 300, "steps": 150, "timestep_fs": 2, "progress": False}
    result = run_nvt(atoms, EMT(), thermostat=thermostat, thermostat_time_fs=50, out=tmp_path / "run", **settings)
    conserved, total = result.series("conserved_eV"), result.series("total_eV")
    assert np.ptp(total) > 0.05
    assert np.ptp(conserved) < 0.02 * np.ptp(total)
    header = (tmp_path / "run" / "thermo.csv").read_text().splitlines()[0]
    assert header.endswith("conserved_eV")
    free = run_nve(atoms, EMT(), **settings)
    assert np.array_equal(free.series("conserved_eV"), free.series("total_eV"))
    assert run_nvt(atoms, EMT(), **settings).rows[0].conserved_eV is None  # Langevin: not summed


def test_bussi_leaves_the_dynamics_nearly_alone():
    """With a long time constant the path is that of constant energy; Langevin's friction bends it at once."""
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.rattle(0.05, seed=1)
    ends = {}
    for thermostat, strength in (("bussi", {"thermostat_time_fs": 1e9}), ("langevin", {"friction_per_ps": 5.0})):
        engine = engine_for(atoms, EMT(), thermostat, **strength)
        free = engine.structure()
        free_engine = ASEEngine(free, EMT(), Conditions(timestep_fs=2.0))
        engine.run(50)
        free_engine.run(50)
        ends[thermostat] = np.abs(engine.structure().positions - free_engine.structure().positions).max()
    assert ends["bussi"] < 1e-3 < 0.05 < ends["langevin"]


def test_a_chain_of_few_momenta_is_told(tmp_path):
    atoms = bulk("Cu", cubic=True)
    settings = {"temperature_K": 300, "steps": 20, "progress": False}
    result = run_nvt(atoms, EMT(), thermostat="nose-hoover", out=tmp_path / "run", **settings)
    assert any("ergodic" in note and "9 degrees" in note for note in result.provenance["notes"])
    assert "ergodic" in (tmp_path / "run" / "report.html").read_text()
    other = run_nvt(atoms, EMT(), thermostat="bussi", **settings)
    assert not any("ergodic" in note for note in other.provenance.get("notes", []))
