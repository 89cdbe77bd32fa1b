"""Cells that change their shape: what may change and what stays, against distributions that are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from refusals import refused
from systems_dynamics import ElasticBox, IdealGas

from dp_sim.recipes import run_npt
from dp_sim.recipes.dynamics.engines.ase_engine import ASEEngine
from dp_sim.recipes.dynamics.engines.cell_modes import cell_modes, projected
from dp_sim.recipes.dynamics.engines.ensembles import CELL_CHANGES
from dp_sim.recipes.dynamics.engines.protocol import Conditions
from dp_sim.recipes.dynamics.estimators import standard_error

TEMPERATURE_K = 300.0
KT = units.kB * TEMPERATURE_K
N, EDGE = 8, 12.0
PRESSURE = N * KT / EDGE**3
BAROSTATS = [(thermostat, change) for thermostat in ("langevin", "nose-hoover") for change in CELL_CHANGES]


def rubber() -> tuple[Atoms, ElasticBox]:
    positions = np.random.default_rng(0).random((N, 3)) * EDGE
    atoms = Atoms(f"Ar{N}", positions=positions, cell=[EDGE] * 3, pbc=True)
    return atoms, ElasticBox(EDGE, 30 * N * KT / EDGE**3)


def engine_for(atoms, calculator, thermostat, change, pressure=PRESSURE, **conditions) -> ASEEngine:
    held = Conditions(
        timestep_fs=10, temperature_K=TEMPERATURE_K, pressure_bar=pressure / units.bar, thermostat=thermostat,
        cell_change=change, friction_per_ps=10, **conditions,
    )  # fmt: skip
    return ASEEngine(atoms, calculator, held, barostat_time_fs=150)


def test_the_rubber_box_is_consistent():
    atoms, calculator = rubber()
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + np.array([[5, 2, 1], [2, -3, 0], [1, 0, 4]]) / 100), True)
    atoms.calc = calculator
    np.testing.assert_allclose(atoms.get_forces(), calculate_numerical_forces(atoms), atol=1e-8)
    stress = calculate_numerical_stress(atoms, force_consistent=False)
    np.testing.assert_allclose(atoms.get_stress(), stress, atol=1e-10)


@pytest.mark.parametrize(("thermostat", "change"), [("langevin", "flexible"), ("nose-hoover", "flexible")])
def test_strains_and_volumes_of_a_flexible_cell(thermostat, change):
    """V^N with a moving centre of mass, V^(N-1) with one at rest; a cell at 3/2 of the temperature would show here."""
    atoms, calculator = rubber()
    engine = engine_for(atoms, calculator, thermostat, change)
    volume, shear, warmth = [], [], []
    for _ in range(650):
        engine.run(5)
        sample = engine.sample()
        volume.append(sample.volume_A3 / EDGE**3)
        warmth.append(2 * sample.kinetic_eV / (engine.degrees_of_freedom * KT))
        shear.append((sample.cell_A @ sample.cell_A.T / EDGE**2)[[0, 0, 1], [1, 2, 2]] / 2)
    volume, shear = np.array(volume[50:]), (np.array(shear[50:]) ** 2).mean(axis=1)
    warmth = np.array(warmth[50:])
    assert abs(warmth.mean() - 1) < 4 * standard_error(warmth) < 0.1  # chains for 3 N momenta: 14 % too hot
    power = N if thermostat == "langevin" else N - 1
    strain, volumes, weights = calculator.cells(cell_modes(np.eye(3), change), power, PRESSURE, KT)
    exact = np.average(volumes, weights=weights) / EDGE**3
    assert abs(volume.mean() - exact) < 4 * standard_error(volume)
    assert standard_error(volume) < 0.007
    exact = np.average(strain[:, 0, 1] ** 2, weights=weights)
    assert abs(shear.mean() - exact) < 4 * standard_error(shear)
    assert standard_error(shear) < 0.14 * exact


@pytest.mark.parametrize(("thermostat", "change"), BAROSTATS)
def test_what_may_change_and_what_stays(thermostat, change):
    atoms, calculator = rubber()
    # At a pressure that is much too low everything that may grow does so.
    engine = engine_for(atoms, calculator, thermostat, change, pressure=0.0)
    engine.run(100)
    lengths, angles = engine.structure().cell.lengths() / EDGE, engine.structure().cell.angles()
    free = {"isotropic": 1, "membrane": 2, "anisotropic": 3, "flexible": 3}[change]
    assert len(np.unique(lengths.round(6))) == free
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-9) or free == 3
    assert (np.abs(angles - 90).max() > 0.1) == (change == "flexible")
    cell = engine.structure().cell.array  # upright, as the start was
    assert np.abs(cell[[0, 0, 1], [1, 2, 2]]).max() < 1e-9 * EDGE


def test_the_cell_is_shown_upright_and_the_motion_is_not_touched():
    """What is shown is the same system turned: energies, distances and the pressure along the cell's own axes."""
    atoms = bulk("Cu", cubic=True)
    atoms.rotate(30, (1, 2, 3), rotate_cell=True)
    atoms.rattle(0.05, seed=1)
    held = Conditions(
        timestep_fs=4, temperature_K=600, pressure_bar=1, thermostat="nose-hoover", cell_change="flexible"
    )
    engine = ASEEngine(atoms, EMT(), held, barostat_time_fs=50)
    engine.run(200)
    shown, sample = engine.structure(), engine.sample()
    shown.calc = EMT()
    assert shown.get_potential_energy() == pytest.approx(sample.potential_eV, abs=1e-9)
    tensor = -shown.get_stress(include_ideal_gas=True) / units.bar
    np.testing.assert_allclose(sample.pressure_tensor_bar, tensor, atol=1e-6 * np.abs(tensor).max())
    np.testing.assert_allclose(sample.cell_A, shown.cell.array)
    start, now = atoms.cell.array, shown.cell.array
    assert np.abs(np.cross(start[0], now[0])).max() < 1e-9
    assert abs(np.cross(start[0], start[1]) @ now[1]) < 1e-8
    raw = engine.state()["cell"]
    assert np.abs(raw - now).max() > 1e-7  # strains one after the other had turned it
    np.testing.assert_allclose(raw @ raw.T, now @ now.T)


@pytest.mark.parametrize("change", CELL_CHANGES)
def test_modes_are_orthonormal_and_keep_their_shape(change):
    cell = Atoms(cell=[4.0, 5.0, 6.0]).cell.array
    modes = cell_modes(cell, change)
    np.testing.assert_allclose(np.einsum("kij,lij->kl", modes, modes), np.eye(len(modes)), atol=1e-12)
    np.testing.assert_allclose(modes, modes.transpose(0, 2, 1))
    np.testing.assert_allclose(projected(np.eye(3), modes), np.eye(3), atol=1e-12)  # each may change the volume


def test_membranes_may_be_hexagonal():
    cell = Atoms(cell=[4.0, 4.0, 9.0, 90, 90, 120]).cell
    strained = cell.array @ (np.eye(3) + np.einsum("k,kij->ij", [0.1, -0.2], cell_modes(cell.array, "membrane")))
    lengths, angles = Atoms(cell=strained).cell.lengths(), Atoms(cell=strained).cell.angles()
    assert lengths[0] == pytest.approx(lengths[1])
    np.testing.assert_allclose(angles, [90, 90, 120])


@pytest.mark.parametrize(
    ("cell", "change", "angle"),
    [
        ([4, 4, 9, 90, 90, 120], "anisotropic", "120.00"),
        ([4, 4, 9, 80, 90, 90], "membrane", "80.00"),
        (bulk("Cu").cell.cellpar(), "anisotropic", "60.00"),
    ],
)
@pytest.mark.parametrize("thermostat", ["langevin", "nose-hoover"])
def test_cells_that_a_change_would_bend_are_refused(tmp_path, cell, change, angle, thermostat):
    atoms = Atoms("Ar2", positions=[[0, 0, 0], [1.5, 1, 2]], cell=cell, pbc=True)
    with refused("cell-not-orthogonal", change, angle, "flexible"):
        run_npt(
            atoms, IdealGas(), temperature_K=300, steps=10, cell_change=change, thermostat=thermostat,
            out=tmp_path / "run",
        )  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_a_fluid_that_loses_its_shape_is_stopped():
    positions = np.random.default_rng(0).random((N, 3)) * EDGE
    gas = Atoms(f"Ar{N}", positions=positions, cell=[EDGE] * 3, pbc=True)
    result = run_npt(
        gas, IdealGas(), temperature_K=300, pressure_bar=PRESSURE / units.bar, steps=4000, timestep_fs=20,
        cell_change="flexible", barostat_time_fs=300, progress=False,
    )  # fmt: skip
    assert not result.converged
    assert "a fluid does not hold a shape" in result.cause
    assert "isotropic" in result.cause
    assert result.density_g_cm3.value is None


def test_the_table_holds_the_lattice(tmp_path):
    atoms = bulk("Cu", cubic=True)
    result = run_npt(
        atoms, EMT(), temperature_K=300, steps=20, timestep_fs=4, cell_change="flexible", out=tmp_path / "run",
        progress=False,
    )  # fmt: skip
    table = np.genfromtxt(tmp_path / "run" / "thermo.csv", delimiter=",", names=True)
    names = [f"cell_{vector}{axis}_A" for vector in "abc" for axis in "xyz"]
    last = np.array([table[name][-1] for name in names]).reshape(3, 3)
    np.testing.assert_allclose(last, result.atoms.cell.array, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(abs(np.linalg.det(last)), table["volume_A3"][-1], rtol=1e-9)
