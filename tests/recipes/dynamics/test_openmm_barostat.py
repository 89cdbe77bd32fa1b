"""Constant pressure and Nose-Hoover in OpenMM: distributions that are known, exact restarts, and what is refused."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from random_model import write_random_model
from refusals import refused
from systems_dynamics import ElasticBox, IdealGas

from dp_sim.recipes import run_npt, run_nvt
from dp_sim.recipes.dynamics import npt
from dp_sim.recipes.dynamics.engines.cell_modes import cell_modes
from dp_sim.recipes.dynamics.engines.ensembles import CELL_CHANGES
from dp_sim.recipes.dynamics.engines.protocol import Conditions
from dp_sim.recipes.dynamics.estimators import standard_error
from dp_sim.recipes.dynamics.npt import NPTResult
from dp_sim.units import EV_IN_KJ_PER_MOL

mm = pytest.importorskip("openmm", reason="the extra 'openmm' is not installed")
from systems_openmm import ase_force, gas_of_molecules, no_force, rubber, run_with  # noqa: E402

from dp_sim.recipes.dynamics.engines.openmm_barostat import Barostat  # noqa: E402
from dp_sim.recipes.dynamics.engines.openmm_box import Box  # noqa: E402
from dp_sim.recipes.dynamics.engines.openmm_engine import OpenMMEngine  # noqa: E402

TEMPERATURE_K = 300.0
KT = units.kB * TEMPERATURE_K
N, EDGE = 3, 12.0
PRESSURE = N * KT / EDGE**3
#: Wide enough for strains of 0.1, where the measure of shapes counts.
MODULUS = 30 * N * KT / EDGE**3


#: Its atoms move freely: only the box has an energy.
SOLID = ElasticBox(EDGE, MODULUS, barrier=0.0)


def cube() -> Atoms:
    return Atoms(f"Ar{N}", np.random.default_rng(0).random((N, 3)) * EDGE, cell=[EDGE] * 3, pbc=True)


def sampled(force: mm.Force, change: str, *, rests: bool, attempts: int) -> np.ndarray:
    """Cells (S, 3, 3) in units of EDGE that moves alone make of a cube with N free atoms."""
    atoms = cube()
    system = mm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    box = Box(atoms)
    system.setDefaultPeriodicBoxVectors(*box.vectors_nm)
    system.addForce(force)
    context = mm.Context(system, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName("Reference"))
    context.setPositions(atoms.positions * 0.1)
    barostat = Barostat(box, change, N, [], seed=0)
    held = Conditions(timestep_fs=1, temperature_K=TEMPERATURE_K, pressure_bar=PRESSURE / units.bar, cell_change=change)
    cells = []
    for _ in range(attempts):
        barostat.attempt(context, held, rests=rests)
        cells.append(context.getState().getPeriodicBoxVectors(asNumpy=True)._value * 10 / EDGE)
    return np.array(cells[200:])


@pytest.mark.parametrize("rests", [False, True])
def test_volumes_of_an_ideal_gas(rests):
    """<V> = (N + 1) kT / p and var V = (N + 1) (kT / p)^2, of three atoms too; N less where the whole rests."""
    volume = np.linalg.det(sampled(no_force(), "isotropic", rests=rests, attempts=4000)) * N
    freedom = N + 1 - rests
    squares = (volume - freedom) ** 2
    assert abs(volume.mean() - freedom) < 4 * standard_error(volume) < 0.15 * freedom
    assert abs(squares.mean() - freedom) < 4 * standard_error(squares) < 0.5 * freedom


@pytest.mark.parametrize("change", CELL_CHANGES)
def test_strains_of_a_box_of_rubber(change):
    """<V> and <|strain|^2> of each change of the cell: the measure of shapes is the one that no strain changes."""
    cells = sampled(rubber(SOLID), change, rests=False, attempts=8000)
    found, volume = (cells @ cells.transpose(0, 2, 1) - np.eye(3)) / 2, np.linalg.det(cells)
    strain, volumes, weights = SOLID.cells(cell_modes(np.eye(3), change), N, PRESSURE, KT)
    exact = np.average(volumes, weights=weights) / EDGE**3
    assert abs(volume.mean() - exact) < 4 * standard_error(volume) < 0.1 * exact
    found, exact = (found**2).sum(axis=(1, 2)), np.average((strain**2).sum(axis=(1, 2)), weights=weights)
    assert abs(found.mean() - exact) < 4 * standard_error(found) < 0.6 * exact


@pytest.fixture(scope="module")
def model_file(tmp_path_factory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "random.pt")


def copper(change: str | None = None) -> Atoms:
    """Eight atoms; for a flexible cell turned, left-handed, and on the edge of OpenMM's reduced form, b_x = a_x / 2."""
    atoms = bulk("Cu") * (2, 2, 2) if change == "flexible" else bulk("Cu", cubic=True) * (2, 1, 1)
    if change == "flexible":
        atoms.set_cell(atoms.cell.array[[1, 0, 2]])
        atoms.rotate(40, (1, 2, 3), rotate_cell=True)
    return atoms


def engine_for(atoms: Atoms, **conditions) -> OpenMMEngine:
    held = Conditions(**{"timestep_fs": 4.0, "temperature_K": TEMPERATURE_K, **conditions})
    return OpenMMEngine(atoms, ase_force(atoms, EMT()), held, calculator=EMT(), platform="Reference")


@pytest.mark.parametrize(
    ("thermostat", "change"),
    [("nose-hoover", None), ("nose-hoover", "flexible"), *(("langevin", change) for change in CELL_CHANGES)],
)
def test_restarts_are_exact(thermostat, change):
    """Bit for bit: chain, box, step sizes, random numbers, and the steps to the next move of the cell."""
    held = Conditions(
        timestep_fs=4.0, temperature_K=300, thermostat=thermostat, cell_change=change or "isotropic",
        pressure_bar=PRESSURE / units.bar if change else None,
    )  # fmt: skip

    def engine() -> OpenMMEngine:
        return OpenMMEngine(cube(), functools.partial(rubber, SOLID), held, calculator=SOLID, platform="Reference")

    whole = engine()
    whole.run(90)
    while change and whole.state()["barostat_next"][1] == 1:  # until a move of the volume has been rejected
        whole.run(90)
    state = whole.state()
    whole.run(190)
    later = engine()
    later.restore(state)
    for steps in (7, 43, 140):
        later.run(steps)
    one, other = whole.structure(), later.structure()
    assert np.array_equal(one.positions, other.positions)
    assert np.array_equal(one.get_momenta(), other.get_momenta())
    assert np.array_equal(one.cell.array, other.cell.array)
    assert (change is None) == np.allclose(one.get_volume(), EDGE**3, rtol=1e-9)
    assert whole.sample().conserved_eV == later.sample().conserved_eV


@pytest.mark.parametrize("bound", [True, False])
def test_a_restart_knows_the_molecules(bound):
    """Those that came apart move as atoms from then on; the others stay molecules."""
    atoms, bonds = gas_of_molecules(3, 1.4, 26.0)
    held = Conditions(timestep_fs=2.0 if bound else 20.0, temperature_K=300, pressure_bar=100.0, seed=0)

    def engine() -> OpenMMEngine:
        return OpenMMEngine(atoms, bonds if bound else no_force, held, platform="Reference")

    whole, later = engine(), engine()
    whole.run(2000)
    assert whole.molecules == (3 if bound else 6)
    state = whole.state()
    whole.run(500)
    later.restore(state)
    assert later.molecules == whole.molecules
    later.run(500)
    assert np.array_equal(whole.structure().positions, later.structure().positions)


def test_a_resumed_run_writes_the_same_files(tmp_path, monkeypatch):
    monkeypatch.setattr(NPTResult, "figures", lambda self: {})
    settings = {
        "temperature_K": 300, "timestep_fs": 4.0, "frame_every": 20, "cell_change": "flexible",
        "pressure_bar": PRESSURE / units.bar,
    }  # fmt: skip

    def run(name: str, steps: int, **options) -> None:
        run_with(
            npt, cube(), SOLID, functools.partial(rubber, SOLID), tmp_path / name, steps=steps, **settings, **options
        )

    run("whole", 120)
    run("parts", 60)
    run("parts", 120, resume=True)
    for name in ("thermo.csv", "trajectory.extxyz"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_flexible_cell_is_shown_upright_whatever_basis_openmm_has():
    """Energy and pressure are those of the structure that is shown, whose lattice vectors go on from the start's."""
    atoms = copper("flexible")
    engine = engine_for(atoms, pressure_bar=1.0, cell_change="flexible", temperature_K=600.0)
    bases, start = set(), atoms.cell.array
    for _ in range(100):  # the moves are chance, and rounding on another processor makes them others
        engine.run(25)
        bases.add(engine.state()["barostat_basis"].tobytes())
        if len(bases) > 1:
            break
    assert len(bases) > 1  # b_x has crossed a_x / 2
    engine.run(200)
    shown, sample = engine.structure(), engine.sample()
    of_force = engine._context.getState(energy=True).getPotentialEnergy()._value / EV_IN_KJ_PER_MOL
    shown.calc = EMT()
    assert shown.get_potential_energy() == pytest.approx(of_force, abs=1e-8)
    tensor = -shown.get_stress(include_ideal_gas=True) / units.bar
    np.testing.assert_allclose(sample.pressure_tensor_bar, tensor, atol=1e-6 * np.abs(tensor).max())
    np.testing.assert_allclose(sample.cell_A, shown.cell.array)
    now = shown.cell.array
    assert np.abs(np.cross(start[0], now[0])).max() < 1e-9
    assert abs(np.cross(start[0], start[1]) @ now[1]) < 1e-8
    again = engine_for(atoms, pressure_bar=1.0, cell_change="flexible", temperature_K=600.0)
    again.restore(engine.state())
    np.testing.assert_array_equal(again.structure().cell.array, now)
    assert 1e-3 < np.abs(shown.cell.angles() - atoms.cell.angles()).max() < 20


def test_velocities_turn_with_a_flexible_cell_and_are_not_strained():
    """h' = h g R, with g the strain and R a rotation, makes v' = v R of velocities, and R^T K R of the pressure's part.

    R is found in the cells alone, by polar decomposition. It must show in every move: in a frame that does not turn,
    the velocities are those before it.
    """
    held = Conditions(timestep_fs=4.0, temperature_K=300, pressure_bar=100.0, cell_change="flexible", seed=1)
    engine = OpenMMEngine(copper("flexible"), no_force, held, platform="Reference")
    before, largest, bases = engine.structure(), 0.0, set()
    for _ in range(8):  # many more, and the shape, which nothing holds, is too flat for these digits
        engine._barostat.attempt(engine._context, held, rests=False)
        after = engine.structure()
        turn, strain = scipy.linalg.polar(np.linalg.inv(before.cell.array) @ after.cell.array, side="left")
        np.testing.assert_allclose(after.get_velocities(), before.get_velocities() @ turn, atol=1e-12)
        kinetic = [one.get_momenta().T @ one.get_velocities() for one in (before, after)]
        np.testing.assert_allclose(turn @ kinetic[1] @ turn.T, kinetic[0], atol=1e-12)
        assert after.get_kinetic_energy() == pytest.approx(before.get_kinetic_energy(), rel=1e-12)
        largest = max(largest, np.abs(turn - np.eye(3)).max() * (not np.allclose(strain, np.eye(3))))
        bases.add(engine._barostat.basis.tobytes())
        before = after
    assert largest > 0.01
    assert len(bases) > 1


@pytest.mark.parametrize(("change", "free"), [("isotropic", 1), ("membrane", 2), ("anisotropic", 3)])
def test_what_may_change_and_what_stays(change, free):
    atoms = copper(change)
    engine = engine_for(atoms, pressure_bar=1.0, cell_change=change)
    engine.run(250)
    cell = engine.structure().cell
    assert len(np.unique((cell.lengths() / atoms.cell.lengths()).round(9))) == free
    np.testing.assert_allclose(cell.angles(), 90, atol=1e-9)


def test_mean_and_spread_of_the_kinetic_energy_with_a_chain():
    """<K> = N_f k_B T / 2, N_f = 3 N - 3; what atoms and chain have together stays."""
    engine = engine_for(copper(), thermostat="nose-hoover", thermostat_time_fs=50.0)
    assert engine.degrees_of_freedom == 21
    samples = []
    for _ in range(350):
        engine.run(5)
        samples.append(engine.sample())
    kinetic = np.array([one.kinetic_eV for one in samples[50:]])
    half = engine.degrees_of_freedom / 2
    assert abs(kinetic.mean() - half * KT) < 4 * standard_error(kinetic) < 0.3 * half * KT
    squares = (kinetic - half * KT) ** 2
    assert abs(squares.mean() - half * KT**2) < 4 * standard_error(squares)
    conserved, total = (
        np.array([getattr(one, name) for one in samples[50:]]) for name in ("conserved_eV", "potential_eV")
    )
    assert np.ptp(conserved) < 0.1 * np.ptp(total + kinetic)
    assert np.abs(engine.structure().get_momenta().sum(axis=0)).max() < 1e-9


def test_a_free_molecule_s_chain_drives_its_vibrations_alone():
    engine = engine_for(molecule("H2O"), timestep_fs=0.5, thermostat="nose-hoover")
    assert engine.degrees_of_freedom == 3
    assert engine._context.getIntegrator().getThermostat(0).getNumDegreesOfFreedom() == 3
    assert any("angular momentum" in note for note in engine.notes)
    engine.run(40)
    end = engine.structure()
    assert np.abs(end.get_angular_momentum()).max() < 1e-3 * np.abs(end.get_momenta()).max()


@pytest.mark.parametrize("thermostat", ["langevin", "nose-hoover"])
def test_other_conditions_on_the_way(thermostat):
    """Ramps of temperature and pressure reach thermostat and barostat."""
    engine = engine_for(copper(), thermostat=thermostat, pressure_bar=1.0)
    engine.run(50)
    engine.retarget(replace(engine._conditions, temperature_K=450.0, pressure_bar=-3e6))
    assert engine._context.getIntegrator().getTemperature()._value == 450.0
    volumes = []
    for _ in range(8):
        volumes.append(engine.structure().get_volume())
        engine.run(25)
    assert (np.diff(volumes) >= 0).all()  # the pull of that pressure lets no smaller volume through
    assert volumes[-1] > volumes[0]


def orthogonal() -> Atoms:
    """Two molecules that a random model knows."""
    atoms = molecule("CH3CH2OH") + molecule("H2O")
    atoms.positions[9:] += [3.2, 2.0, 0.5]
    atoms.set_cell([7.5, 7.0, 8.0])
    atoms.pbc = True
    return atoms


def test_stages_with_a_chain_and_a_flexible_cell(model_file, tmp_path):
    (tmp_path / "heat.yaml").write_text(
        "stages:\n"
        "  - {name: heat, ensemble: nvt, steps: 40, temperature_K: [50, 300], thermostat: nose-hoover}\n"
        "  - {name: press, ensemble: npt, steps: 60, temperature_K: 300, pressure_bar: [1, 4000], "
        "cell_change: flexible}\n"
    )
    result = run_nvt(
        orthogonal(), model_file, temperature_K=300, steps=20, stages=str(tmp_path / "heat.yaml"), engine="openmm",
        backend="python", platform="Reference", timestep_fs=0.5, thermostat="nose-hoover", progress=False,
    )  # fmt: skip
    heat, press = result.stages.values()
    assert heat[0].temperature_K < 100
    assert press[-1].cell_ax_A is not None
    assert press[-1].volume_A3 == pytest.approx(result.rows[0].volume_A3, rel=1e-6)
    assert result.rows[0].volume_A3 != pytest.approx(orthogonal().get_volume(), rel=1e-4)


def test_a_fluid_that_loses_its_shape_is_stopped():
    gas = Atoms("Ar8", np.random.default_rng(0).random((8, 3)) * EDGE, cell=[EDGE] * 3, pbc=True)
    held = Conditions(
        timestep_fs=20, temperature_K=300, pressure_bar=8 * KT / EDGE**3 / units.bar, cell_change="flexible"
    )
    engine = OpenMMEngine(gas, no_force, held, calculator=IdealGas(), platform="Reference")
    with refused("cell-flat", "a fluid does not hold a shape", "isotropic"):
        for _ in range(2000):
            engine.run(25)


def test_bad_input(model_file, tmp_path):
    settings = {"temperature_K": 300, "steps": 10, "engine": "openmm", "out": tmp_path / "run", "progress": False}
    skew = orthogonal()
    skew.set_cell([7.5, 7.0, 8.0, 90, 90, 100])
    with refused("cell-not-orthogonal", "anisotropic", "100.00", "flexible"):
        run_npt(skew, model_file, cell_change="anisotropic", **settings)
    with refused("thermostat-not-for-engine", "bussi", "langevin", "nose-hoover", "engine='ase'"):
        run_nvt(skew, model_file, thermostat="bussi", **settings)
    with refused("option-not-for-engine", "barostat_time_fs", "ase"):
        run_npt(skew, model_file, barostat_time_fs=100.0, **settings)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_without_a_barostat_is_refused():
    """As earlier versions wrote it."""
    engine = engine_for(copper(), pressure_bar=1.0)
    with refused("checkpoint-invalid", "earlier version", "--overwrite"):
        engine.restore({"checkpoint": engine.state()["checkpoint"]})
