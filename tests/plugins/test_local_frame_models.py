"""Models in local frames where users run them: the ASE calculator, both OpenMM backends, a short run of dynamics."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet
from random_model import write_random_model

from dp_sim.plugins.ase_calculator import DPCalculator

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed (pip install 'dp-sim[openmm]')")
KJ_PER_MOL = units.kJ / units.mol


@pytest.fixture(scope="module", params=["local-frame", "deep-potential"])
def frame_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("frames") / "model.pt", descriptor=request.param)


@pytest.mark.parametrize("backend", ["torchscript", "python"])
def test_openmm_gives_what_ase_gives(frame_model: Path, triclinic: Atoms, backend: str) -> None:
    from dp_sim.plugins.openmm_force import create_force

    triclinic.calc = DPCalculator(frame_model)
    system = openmm.System()
    for mass in triclinic.get_masses():
        system.addParticle(mass)
    system.setDefaultPeriodicBoxVectors(*(triclinic.cell[:] / 10))
    symbols = triclinic.get_chemical_symbols()
    system.addForce(create_force(str(frame_model), species=symbols, periodic=True, backend=backend))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(triclinic.positions / 10)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy()._value * KJ_PER_MOL
    assert energy == pytest.approx(triclinic.get_potential_energy(), rel=1e-9)
    forces = state.getForces(asNumpy=True)._value * KJ_PER_MOL / 10
    np.testing.assert_allclose(forces, triclinic.get_forces(), atol=1e-6)
    assert np.abs(forces).max() > 1e-3


def test_energy_is_conserved_between_jumps(frame_model: Path, ethanol: Atoms) -> None:
    """A fifth of a femtosecond, too short for neighbours to change places: forces belong to the energy."""
    ethanol.calc = DPCalculator(frame_model)
    thermalize_momenta(ethanol, temperature_K=300.0, rng=np.random.default_rng(0))
    total, kinetic = ethanol.get_total_energy(), ethanol.get_kinetic_energy()
    VelocityVerlet(ethanol, timestep=0.02 * units.fs).run(10)
    assert ethanol.get_total_energy() == pytest.approx(total, abs=1e-7)
    assert abs(ethanol.get_kinetic_energy() - kinetic) > 1e-4
