"""The model's force beside a bias on a collective variable: a restraint, and OpenMM's own metadynamics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ase.io import read

from dp_sim import load_model

mm = pytest.importorskip("openmm", reason="the extra 'openmm' is not installed")
from openmm import app, unit  # noqa: E402

from dp_sim.plugins.openmm_force import create_force  # noqa: E402
from dp_sim.units import ANGSTROM_IN_NM, EV_IN_KJ_PER_MOL  # noqa: E402

FOLDER = "example_systems/ethanol/"
#: C-C-O-H of the shipped ethanol.
DIHEDRAL = (0, 1, 2, 3)
STRENGTH, TARGET = 200.0, 1.0  # kJ/mol/rad^2, rad


def torsion() -> mm.CustomTorsionForce:
    force = mm.CustomTorsionForce("theta")
    force.addTorsion(*DIHEDRAL)
    return force


def system_of(atoms, backend: str) -> mm.System:
    system = mm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    force = create_force(
        FOLDER + "ethanol.pt", species=atoms.get_chemical_symbols(), periodic=False, backend=backend, dtype="float64"
    )
    force.setForceGroup(1)
    system.addForce(force)
    return system


@pytest.mark.parametrize("backend", ["torchscript", "python"])
def test_a_restraint_adds_its_energy_and_forces(backend):
    """E = E(model) + k/2 (theta - theta0)^2, and forces that are its slope."""
    atoms = read(FOLDER + "ethanol_gauche.extxyz")
    assert [atoms.symbols[index] for index in DIHEDRAL] == ["C", "C", "O", "H"]
    system = system_of(atoms, backend)
    bias = mm.CustomCVForce(f"0.5*{STRENGTH}*(theta-{TARGET})^2")
    bias.addCollectiveVariable("theta", torsion())
    bias.setForceGroup(2)
    system.addForce(bias)
    context = mm.Context(system, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName("Reference"))
    context.setPositions(atoms.positions * ANGSTROM_IN_NM)
    angle = math.radians(atoms.get_dihedral(*DIHEDRAL))
    angle -= 2 * math.pi * round(angle / (2 * math.pi))
    assert abs(bias.getCollectiveVariableValues(context)[0]) == pytest.approx(abs(angle), abs=1e-6)
    theta = bias.getCollectiveVariableValues(context)[0]
    whole, alone = (context.getState(energy=True, forces=True, groups=groups) for groups in (-1, {1}))
    expected = load_model(FOLDER + "ethanol.pt", dtype="float64").evaluate(atoms, forces=True)
    kJ = whole.getPotentialEnergy()._value
    assert kJ == pytest.approx(
        float(expected.energy) * EV_IN_KJ_PER_MOL + 0.5 * STRENGTH * (theta - TARGET) ** 2, abs=1e-6
    )
    model_forces = expected.forces.numpy() * EV_IN_KJ_PER_MOL / ANGSTROM_IN_NM
    np.testing.assert_allclose(alone.getForces(asNumpy=True)._value, model_forces, atol=1e-5)
    # The slope of the sum along a random direction.
    direction = np.random.default_rng(0).normal(size=(9, 3))
    energies = []
    for sign in (1, -1):
        context.setPositions(atoms.positions * ANGSTROM_IN_NM + sign * 1e-6 * direction)
        energies.append(context.getState(energy=True).getPotentialEnergy()._value)
    slope = (energies[0] - energies[1]) / 2e-6
    assert -(whole.getForces(asNumpy=True)._value * direction).sum() == pytest.approx(slope, rel=1e-4, abs=1e-2)


def test_metadynamics_of_openmm_on_the_dihedral():
    """Hills fall where the molecule is; the model's own energy stays what it was."""
    atoms = read(FOLDER + "ethanol.extxyz")
    system = system_of(atoms, "python")
    variable = app.BiasVariable(torsion(), -math.pi, math.pi, 0.3, periodic=True)
    meta = app.Metadynamics(system, [variable], 300 * unit.kelvin, 10.0, 1.0 * unit.kilojoules_per_mole, 5)
    topology = app.Topology()
    residue = topology.addResidue("ETH", topology.addChain())
    for symbol in atoms.get_chemical_symbols():
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    integrator = mm.LangevinMiddleIntegrator(300, 5, 0.0005)
    simulation = app.Simulation(topology, system, integrator, mm.Platform.getPlatformByName("Reference"))
    simulation.context.setPositions(atoms.positions * ANGSTROM_IN_NM)
    meta.step(simulation, 20)
    bias = -meta.getFreeEnergy().value_in_unit(unit.kilojoules_per_mole)
    (theta,) = meta.getCollectiveVariables(simulation)
    grid = np.linspace(-math.pi, math.pi, bias.size)
    turn = (grid[np.argmax(bias)] - theta + math.pi) % (2 * math.pi) - math.pi
    assert bias.max() > 2.0  # four hills of up to 1 kJ/mol
    assert abs(turn) < 0.6
    state = simulation.context.getState(positions=True, energy=True, groups={1})
    moved = atoms.copy()
    moved.positions = state.getPositions(asNumpy=True)._value / ANGSTROM_IN_NM
    energy = float(load_model(FOLDER + "ethanol.pt", dtype="float64").evaluate(moved).energy)
    assert state.getPotentialEnergy()._value == pytest.approx(energy * EV_IN_KJ_PER_MOL, abs=1e-5)
