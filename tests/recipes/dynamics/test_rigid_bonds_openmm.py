"""Rigid bonds in OpenMM: gases of known heat capacity and pressure, and the water of the example."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.io import read
from ase.stress import full_3x3_to_voigt_6_stress
from refusals import refused
from systems_dynamics import IdealGas, far_apart

from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import run_nve, run_nvt
from dp_sim.recipes.dynamics import npt, nvt
from dp_sim.recipes.dynamics.engines.protocol import Conditions
from dp_sim.recipes.dynamics.rigid_bonds.search import find_rigid_bonds
from dp_sim.units import EV_PER_A3_IN_BAR, EV_PER_A3_IN_GPA, EV_PER_ANGSTROM_IN_KJ_PER_MOL_NM

mm = pytest.importorskip("openmm", reason="the extra 'openmm' is not installed")
from systems_openmm import no_force, run_with  # noqa: E402

from dp_sim.recipes.dynamics.engines.openmm_engine import OpenMMEngine  # noqa: E402

KT_300 = units.kB * 300.0
WATER, WATER_MODEL = Path("example_systems/water/water.extxyz"), "example_systems/water/water.pt"
ETHANOL_MODEL = "example_systems/ethanol/ethanol.pt"
#: Force along a bond, eV/Angstrom: a bond that pulls at both ends with it.
PULL = 2.0


class Pulled(Calculator):
    """Molecules of atoms 2i and 2i+1, E = PULL times their distance: constant where that is, with forces and stress."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        vectors = self.atoms.positions[1::2] - self.atoms.positions[::2]
        vectors -= np.round(vectors @ np.linalg.inv(self.atoms.cell.array)) @ self.atoms.cell.array
        lengths = np.linalg.norm(vectors, axis=1)
        pull = PULL * vectors / lengths[:, None]
        self.results = {
            "energy": PULL * float(lengths.sum()),
            "forces": np.stack([pull, -pull], axis=1).reshape(-1, 3),
            "stress": full_3x3_to_voigt_6_stress(vectors.T @ pull / self.atoms.get_volume()),
        }


def pulls(n: int):
    """`Pulled` for OpenMM."""

    def force(topology=None):
        found = mm.CustomBondForce(f"{PULL * EV_PER_ANGSTROM_IN_KJ_PER_MOL_NM}*r")
        found.setUsesPeriodicBoundaryConditions(True)
        for index in range(n):
            found.addBond(2 * index, 2 * index + 1)
        return found

    return force


def hydroxyls(n: int, edge: float) -> Atoms:
    """OH molecules, some cut by the walls of the box."""
    positions = np.repeat(far_apart(n), 2, axis=0) + np.tile([[0, 0, 0], [0, 0, -0.97]], (n, 1))
    atoms = Atoms("OH" * n, positions=positions, cell=[edge] * 3, pbc=True)
    atoms.wrap()
    return atoms


def within(estimate, truth: float, sigmas: float = 4.0) -> bool:
    return abs(estimate.value - truth) < sigmas * estimate.error


def test_rigid_dumbbells_have_five_halves_kB_and_the_pressure_of_their_number():
    """An ideal gas of n diatomics without vibration: C_V = 5/2 n k_B, p = n k_B T / V, (dp/dT)_V = n k_B / V.

    Each bond is pulled by 2 eV/Angstrom, which the constraint holds against: of the virial of atoms that would make
    n 2 eV/Angstrom 0.97 Angstrom / 3 V, 25 times the pressure.
    """
    n, edge = 16, 26.0
    result = run_with(
        nvt, hydroxyls(n, edge), Pulled(), pulls(n), temperature_K=300, steps=6000, timestep_fs=4, friction_per_ps=50,
        rigid_bonds="hydrogen",
    )  # fmt: skip
    pressure = n * KT_300 / edge**3 * EV_PER_A3_IN_BAR
    assert (result.rigid_bonds, result.degrees_of_freedom) == (n, 5 * n)
    assert result.heat_capacity_kB.value == pytest.approx(5 / 2 * n, abs=1e-3)
    assert within(result.temperature_K, 300.0)
    assert result.temperature_K.error < 5.0
    assert within(result.pressure_bar, pressure)
    assert result.pressure_bar.error < 0.03 * pressure
    # Nothing of a centre of mass at rest is told: of 6 n momenta n are held, and none is missing.
    assert not [name for name in result.quantities() if "centre_of_mass" in name]
    assert result.quantities()["rigid_bonds"].value == n
    assert result.thermal_pressure_bar_per_K.value == pytest.approx(pressure / 300.0, rel=1e-2)


def test_three_held_bonds_are_no_centre_of_mass_at_rest():
    """Three bonds under Langevin leave 3 N - 3 momenta, as Bussi's thermostat does without any."""
    result = run_with(
        nvt, hydroxyls(3, 26.0), IdealGas(), no_force, temperature_K=300, steps=2000, timestep_fs=4, friction_per_ps=20,
        rigid_bonds="hydrogen",
    )  # fmt: skip
    assert result.degrees_of_freedom == 3 * 6 - 3
    assert result.pressure_bar.value is not None
    assert not [name for name in result.quantities() if "centre_of_mass" in name]


def test_the_volumes_of_a_gas_of_rigid_molecules():
    """<V> = (n + 1) kT / p and kappa = 1 / p, n counting molecules, whose lengths stay; C_V is 5/2 n k_B."""
    n, edge = 24, 46.0
    pressure = (n + 1) * KT_300 / edge**3
    atoms = hydroxyls(n, edge)
    result = run_with(
        npt, atoms, Pulled(), pulls(n), temperature_K=300, steps=25_000, timestep_fs=4, friction_per_ps=20,
        pressure_bar=pressure / units.bar, sample_every=25, frame_every=25, rigid_bonds="hydrogen",
    )  # fmt: skip
    assert result.converged, result.cause
    assert within(result.volume_A3, edge**3)
    assert within(result.compressibility_per_GPa, 1 / (pressure * EV_PER_A3_IN_GPA))
    # C_p = C_V + n k_B of an ideal gas, and one more k_B from the (n + 1) of its volumes.
    assert within(result.heat_capacity_kB, 5 / 2 * n + n + 1)
    assert result.heat_capacity_at_constant_volume_kB.value == pytest.approx(5 / 2 * n, abs=0.01)
    assert within(result.pressure_bar, pressure / units.bar)
    assert find_rigid_bonds(result.atoms).lengths_A == pytest.approx(np.full(n, 0.97), rel=1e-5)


def engine_of(atoms: Atoms, model: str, conditions: Conditions) -> OpenMMEngine:
    return OpenMMEngine.make(
        atoms, DPCalculator(model, dtype="float64"), conditions, platform="Reference", backend="python",
        rigid_bonds=find_rigid_bonds(atoms),
    )  # fmt: skip


def test_the_bonds_of_water_keep_their_length():
    """Molecules cut by the walls too; 2 fs with a thermostat that kicks hard."""
    water = read(WATER)
    water.wrap()
    bonds = find_rigid_bonds(water)
    engine = engine_of(water, WATER_MODEL, Conditions(timestep_fs=2.0, temperature_K=330, friction_per_ps=50))
    assert engine.degrees_of_freedom == 3 * 192 - 128
    for _ in range(3):
        engine.run(20)
        atoms = engine.structure()
        assert bonds.measured(atoms).lengths_A == pytest.approx(bonds.lengths_A, rel=1e-5)
        velocities, vectors = atoms.get_velocities(), bonds.vectors(atoms)
        rates = np.einsum("ki,ki->k", vectors, velocities[bonds.pairs[:, 1]] - velocities[bonds.pairs[:, 0]])
        assert np.abs(rates).max() < 1e-10
        assert engine.sample().kinetic_eV == pytest.approx(atoms.get_kinetic_energy(), rel=1e-9)


def test_conservation_of_energy_is_of_second_order_and_better_than_with_the_stretches():
    """Ethanol at 300 K, 100 fs at constant energy: half the step, a quarter of the fluctuation."""
    ethanol, calculator = "example_systems/ethanol/ethanol.extxyz", DPCalculator(ETHANOL_MODEL, dtype="float64")
    common = {"temperature_K": 300, "engine": "openmm", "progress": False, "sample_every": 1, "frame_every": 100}
    common |= {"platform": "Reference", "backend": "python"}

    def fluctuation(timestep_fs: float, rigid_bonds: str | None) -> float:
        steps = round(100 / timestep_fs)
        result = run_nve(
            read(ethanol), calculator, steps=steps, timestep_fs=timestep_fs, rigid_bonds=rigid_bonds, **common
        )
        return result.energy_fluctuation_meV_per_atom

    held = fluctuation(2.0, "hydrogen")
    assert held / fluctuation(1.0, "hydrogen") == pytest.approx(4.0, rel=0.25)
    assert held < 0.6 * fluctuation(2.0, None)


def test_restart_is_exact_with_the_lengths_of_the_first_start(tmp_path):
    """Lengths come from the relaxed structure, not from the one where the run went on; stages have the same."""
    stages = tmp_path / "stages.yaml"
    stages.write_text("stages:\n  - {ensemble: nvt, steps: 40, temperature_K: [100, 300]}\n")
    ethanol = read("example_systems/ethanol/ethanol.extxyz")
    ethanol.rattle(0.05, seed=1)
    settings = {
        "temperature_K": 300, "engine": "openmm", "rigid_bonds": "hydrogen", "relax": True,
        "backend": "python", "stages": str(stages), "platform": "Reference", "progress": False,
    }  # fmt: skip
    model = ETHANOL_MODEL
    whole = run_nvt(ethanol, model, steps=60, out=tmp_path / "whole", **settings)
    run_nvt(ethanol, model, steps=30, out=tmp_path / "run", **settings)
    parts = run_nvt(ethanol, model, steps=60, out=tmp_path / "run", resume=True, **settings)
    assert np.array_equal(parts.atoms.positions, whole.atoms.positions)
    relaxed = read(tmp_path / "run" / "relaxed.extxyz")
    bonds = find_rigid_bonds(relaxed)
    assert bonds.measured(parts.atoms).lengths_A == pytest.approx(bonds.lengths_A, rel=1e-5)
    assert abs(bonds.lengths_A - find_rigid_bonds(ethanol).lengths_A).max() > 1e-3
    for one in (None, "none"):
        with refused("run-differs" if one is None else "choice-unknown", "rigid_bonds", "hydrogen"):
            run_nvt(ethanol, model, steps=80, out=tmp_path / "run", resume=True, **(settings | {"rigid_bonds": one}))


def test_the_pressure_is_that_of_centres_in_each_direction():
    """At constant energy and a whole step: momenta of centres, and the virial with molecules as they are."""
    water = read(WATER)
    engine = engine_of(water, WATER_MODEL, Conditions(timestep_fs=2.0, start_temperature_K=330))
    engine.run(5)
    sample, atoms = engine.sample(), engine.structure()
    atoms.calc = DPCalculator(WATER_MODEL, dtype="float64")
    oxygens = np.flatnonzero(atoms.numbers == 8)
    masses, forces = atoms.get_masses(), atoms.get_forces()
    pressure = -atoms.get_stress(voigt=False) * atoms.get_volume()
    velocities = atoms.get_velocities() + 0.5 * 2.0 * units.fs * forces / masses[:, None]
    for oxygen in oxygens:
        members = [
            oxygen,
            *np.flatnonzero((atoms.numbers == 1) & (atoms.get_distances(oxygen, range(192), mic=True) < 1.2)),
        ]
        assert len(members) == 3
        arms = atoms.get_distances(oxygen, members, mic=True, vector=True)
        arms -= np.average(arms, axis=0, weights=masses[members])
        momentum = masses[members] @ velocities[members]
        pressure += np.outer(momentum, momentum) / masses[members].sum() - (forces[members].T @ arms)
    pressure *= EV_PER_A3_IN_BAR / atoms.get_volume()
    assert sample.pressure_bar == pytest.approx(np.trace(pressure) / 3, rel=1e-6)
    assert sample.pressure_tensor_bar == pytest.approx(
        full_3x3_to_voigt_6_stress((pressure + pressure.T) / 2), rel=1e-6, abs=1e-3
    )


def test_a_bond_that_openmm_cannot_hold_ends_the_run():
    """Strong forces and a long step: the iteration ends somewhere, and the run with the bond's name."""
    atoms = hydroxyls(2, 26.0)
    engine = OpenMMEngine(
        atoms, no_force, Conditions(timestep_fs=4.0, temperature_K=300), platform="Reference",
        rigid_bonds=find_rigid_bonds(atoms),
    )  # fmt: skip
    engine._context.setPositions(engine.structure().positions * 0.1 + np.eye(4, 3) * [0.0, 0.01, 0.0])
    with refused("rigid-bonds-lost", "0 (O)", "1 (H)"):
        engine.sample()
