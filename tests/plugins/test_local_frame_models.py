"""Models in local frames where users run them: the ASE calculator, both OpenMM backends, a short run of dynamics."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet
from openmm_contexts import BACKENDS, context_of, energy_and_forces, force_for
from random_model import write_random_model

from dp_sim.plugins.ase_calculator import DPCalculator


@pytest.fixture(scope="module", params=["local-frame", "deep-potential"])
def frame_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("frames") / "model.pt", descriptor=request.param)


@pytest.mark.parametrize("backend", BACKENDS)
def test_openmm_gives_what_ase_gives(frame_model: Path, triclinic: Atoms, backend: str) -> None:
    triclinic.calc = DPCalculator(frame_model)
    energy, forces = energy_and_forces(context_of(triclinic, force_for(triclinic, frame_model, backend=backend)))
    assert energy == pytest.approx(triclinic.get_potential_energy(), rel=1e-9)
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
