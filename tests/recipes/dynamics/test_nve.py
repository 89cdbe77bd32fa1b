"""Constant energy: conserved, with the drift as an estimate."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import all_changes
from ase.calculators.emt import EMT
from ase.io import read
from refusals import refused
from systems_dynamics import EinsteinCrystal, einstein_crystal

from dp_sim.recipes import run_nve


def names_in(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_copper_conserves_its_energy():
    atoms = bulk("Cu", cubic=True)
    result = run_nve(atoms, EMT(), temperature_K=600, steps=300, timestep_fs=2, sample_every=5, progress=False)
    assert result.converged, result.cause
    assert abs(result.drift_meV_per_atom_ns.value) < 4 * result.drift_meV_per_atom_ns.error + 1.0
    assert result.energy_fluctuation_meV_per_atom < 0.5
    assert result.degrees_of_freedom == 9  # the centre of mass is at rest
    assert np.abs(result.atoms.get_momenta().sum(axis=0)).max() < 1e-8
    assert "target, 600" not in names_in(result.figures()["temperature"])  # 600 K were those of the first velocities


def test_a_leak_is_seen():
    """Forces with a friction of 1e-6 per fs: the energy falls, and the drift says so beyond doubt."""

    class Leaky(EinsteinCrystal):
        def calculate(self, atoms=None, properties=(), system_changes=tuple(all_changes)):
            super().calculate(atoms, properties, system_changes)
            self.results["forces"] -= 1e-5 * self.atoms.get_momenta()

    atoms, calculator = einstein_crystal(6)
    result = run_nve(
        atoms, Leaky(calculator.sites), temperature_K=300, steps=2000, timestep_fs=4, sample_every=5, progress=False
    )
    assert result.drift_meV_per_atom_ns.ci95[1] < 0


def test_velocities_of_the_structure_are_kept():
    atoms, calculator = einstein_crystal(2)
    atoms.set_velocities([[0.01, 0, 0], [-0.01, 0, 0]])
    result = run_nve(atoms, calculator, steps=1000, timestep_fs=2, progress=False)
    assert result.rows[0].kinetic_eV == pytest.approx(atoms.get_kinetic_energy())
    assert result.rows[-1].total_eV == pytest.approx(result.rows[0].total_eV, rel=1e-3)
    assert np.all(result.atoms.positions[:, 1:] == 0)


def test_needs_velocities():
    atoms, calculator = einstein_crystal(2)
    with refused("velocities-missing", "temperature_K"):
        run_nve(atoms, calculator, steps=10)


def test_files(tmp_path):
    atoms, calculator = einstein_crystal(2)
    run_nve(atoms, calculator, temperature_K=300, steps=200, out=tmp_path / "run", progress=False)
    assert len(read(tmp_path / "run" / "trajectory.extxyz", index=":")) == 3
    assert (tmp_path / "run" / "total_energy.png").exists()
