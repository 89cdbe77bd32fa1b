"""The OpenMM engine against ASE: hand-made forces with known ensembles, and a model with its numbers."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.cell import Cell
from ase.io import read
from random_model import write_random_model
from refusals import refused
from systems_dynamics import IdealGas, einstein_crystal, far_apart

from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import run_npt, run_nve, run_nvt
from dp_sim.recipes.dynamics import npt, nve, nvt
from dp_sim.recipes.dynamics.engines.ase_engine import ASEEngine
from dp_sim.recipes.dynamics.engines.protocol import Conditions
from dp_sim.recipes.dynamics.run_files import PRESSURE_TENSOR_COLUMNS
from dp_sim.units import EV_PER_A3_IN_GPA

mm = pytest.importorskip("openmm", reason="the extra 'openmm' is not installed")
from systems_openmm import gas_of_molecules, no_force, run_with, springs  # noqa: E402

from dp_sim.recipes.dynamics.engines.openmm_engine import OpenMMEngine  # noqa: E402
from dp_sim.recipes.dynamics.engines.openmm_platform import slow_samples  # noqa: E402

KT_300 = units.kB * 300.0


def within(estimate, truth: float, sigmas: float = 4.0) -> bool:
    return abs(estimate.value - truth) < sigmas * estimate.error


def test_einstein_crystal_has_3N_kB():
    atoms, calculator = einstein_crystal(8)
    result = run_with(
        nvt, atoms, calculator, functools.partial(springs, atoms.positions), temperature_K=300, steps=20_000,
        timestep_fs=8, friction_per_ps=5, sample_every=5,
    )  # fmt: skip
    assert result.converged, result.cause
    assert within(result.heat_capacity_kB, 24.0)
    assert within(result.potential_energy_eV, 12 * KT_300)
    assert within(result.temperature_K, 300.0)
    assert result.heat_capacity_kB.error < 1.0


def test_ideal_gas_at_constant_pressure():
    """p(V) ~ V^N exp(-pV / kT): <V> = (N + 1) kT / p, kappa = 1 / p, alpha = 1 / T."""
    n, edge = 6, 16.0
    pressure = (n + 1) * KT_300 / edge**3
    atoms = Atoms(f"Ar{n}", positions=far_apart(n), cell=[edge] * 3, pbc=True)
    result = run_with(
        npt, atoms, IdealGas(), no_force, temperature_K=300, steps=80_000, timestep_fs=20, friction_per_ps=5,
        pressure_bar=pressure / units.bar, sample_every=50,
    )  # fmt: skip
    assert result.converged, result.cause
    assert within(result.volume_A3, edge**3)
    assert within(result.compressibility_per_GPa, 1 / (pressure * EV_PER_A3_IN_GPA))
    assert within(result.thermal_expansion_per_K, 1 / 300.0)
    assert within(result.pressure_bar, pressure / units.bar)
    assert result.compressibility_per_GPa.error < 0.2 * result.compressibility_per_GPa.value


def test_the_ensemble_of_a_gas_of_molecules():
    """N stiff molecules of two atoms: <V> = (N + 1) kT / p and kappa = 1 / p, N counting molecules."""
    n, edge = 32, 54.0
    atoms, bonds = gas_of_molecules(n, 1.4, edge)
    pressure = (n + 1) * KT_300 / edge**3
    result = run_with(
        npt, atoms, IdealGas(), bonds, temperature_K=300, steps=60_000, timestep_fs=2, friction_per_ps=5,
        pressure_bar=pressure / units.bar, sample_every=25,
    )  # fmt: skip
    assert result.converged, result.cause
    assert within(result.volume_A3, edge**3)
    assert within(result.compressibility_per_GPa, 1 / (pressure * EV_PER_A3_IN_GPA))


def test_molecules_that_come_apart_are_told_anew():
    """Pairs that look bonded and are not fly apart; from then on each atom counts in V^N for itself."""
    n, edge = 3, 26.0
    atoms, _ = gas_of_molecules(n, 1.4, edge)
    pressure = (2 * n + 1) * KT_300 / edge**3
    engine = OpenMMEngine(
        atoms,
        no_force,
        Conditions(timestep_fs=20.0, temperature_K=300, pressure_bar=pressure / units.bar, seed=0),
        platform="Reference",
    )
    assert engine.molecules == n
    for _ in range(200):
        engine.run(10)
    assert engine.molecules == 2 * n


def test_restart_is_exact_at_constant_volume(tmp_path):
    atoms, calculator = einstein_crystal(4)
    settings = {"temperature_K": 300, "timestep_fs": 5, "friction_per_ps": 5}
    force = functools.partial(springs, atoms.positions)
    whole = run_with(nvt, atoms, calculator, force, steps=200, **settings)
    run_with(nvt, atoms, calculator, force, out=tmp_path / "run", steps=100, **settings)
    parts = run_with(nvt, atoms, calculator, force, out=tmp_path / "run", resume=True, steps=200, **settings)
    assert np.array_equal(parts.atoms.positions, whole.atoms.positions)
    assert [row.step for row in parts.rows] == [row.step for row in whole.rows]


def test_an_unstable_run_stops():
    """A position that is no longer finite ends the run with the cause, not with OpenMM's exception."""
    atoms, calculator = einstein_crystal(3)
    result = run_with(
        nvt, atoms, calculator, functools.partial(springs, atoms.positions), temperature_K=300, steps=10_000,
        timestep_fs=80, friction_per_ps=5, sample_every=1000, frame_every=1000,
    )  # fmt: skip
    assert not result.converged
    assert "the motion is unstable" in result.cause


def test_constant_energy():
    atoms, calculator = einstein_crystal(4)
    result = run_with(
        nve,
        atoms,
        calculator,
        functools.partial(springs, atoms.positions),
        temperature_K=600,
        steps=2000,
        timestep_fs=2,
    )
    assert result.converged, result.cause
    assert abs(result.drift_meV_per_atom_ns.value) < 4 * result.drift_meV_per_atom_ns.error + 1e-3
    assert result.energy_fluctuation_meV_per_atom < 1.0


@pytest.fixture(scope="module")
def model_file(tmp_path_factory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "random.pt")


def box(seed: int = 3) -> Atoms:
    """Three molecules in a cell that is turned, triclinic, left-handed, and not in OpenMM's reduced form."""
    atoms = molecule("CH3CH2OH") + molecule("H2O") + molecule("NH3")
    atoms.positions[9:12] += [3.2, 2.0, 0.5]
    atoms.positions[12:] += [0.5, 2.5, 3.0]
    a, b, c = np.array([[6.0, 0.0, 0.0], [1.5, 6.5, 0.0], [-1.2, 0.9, 6.2]])
    atoms.set_cell([b + a, a, c - a])
    assert Cell(atoms.cell.array).handedness == -1
    atoms.pbc = True
    atoms.rotate(40, (1, 2, 3), rotate_cell=True)
    atoms.rattle(0.05, seed=seed)
    return atoms


@pytest.mark.parametrize("backend", ["torchscript", "python"])
def test_first_sample_is_that_of_ase(model_file, backend):
    """Same velocities from the same seed: energies, volume and pressure agree in a turned triclinic cell."""
    settings = {"temperature_K": 300, "steps": 10, "progress": False}
    in_ase, in_openmm = (
        run_nvt(box(), model_file, **settings, **options)
        for options in ({}, {"engine": "openmm", "backend": backend, "platform": "Reference"})
    )
    first, second = in_ase.rows[0], in_openmm.rows[0]
    assert second.potential_eV == pytest.approx(first.potential_eV, rel=1e-9)
    assert second.kinetic_eV == pytest.approx(first.kinetic_eV, rel=1e-6)
    assert second.volume_A3 == pytest.approx(first.volume_A3, rel=1e-9)
    assert second.pressure_bar == pytest.approx(first.pressure_bar, rel=1e-6)
    tensors = [[getattr(row, name) for name in PRESSURE_TENSOR_COLUMNS] for row in (first, second)]
    np.testing.assert_allclose(tensors[1], tensors[0], rtol=1e-6, atol=1e-6 * np.abs(tensors[0]).max())


def test_the_pressure_of_constant_energy_is_that_of_whole_steps(model_file):
    """Leap-frog's velocities are half a step behind; OpenMM's kinetic energy is not, and the tensor goes with it."""
    calculator = DPCalculator(model_file)
    conditions = Conditions(timestep_fs=1.0, start_temperature_K=300)
    engine = OpenMMEngine.make(box(), calculator, conditions, backend="python", platform="Reference")
    engine.run(7)
    sample, atoms = engine.sample(), engine.structure()
    virial = -calculator.get_property("stress", atoms)[:3].sum() * sample.volume_A3
    pressure = (2 * sample.kinetic_eV + virial) / (3 * sample.volume_A3) / units.bar
    assert sample.pressure_bar == pytest.approx(pressure, rel=1e-9)
    assert sample.pressure_tensor_bar[:3].mean() == pytest.approx(pressure, rel=1e-9)
    assert atoms.get_kinetic_energy() != pytest.approx(sample.kinetic_eV, rel=1e-4)
    assert sample.conserved_eV == sample.potential_eV + sample.kinetic_eV


def test_a_calculator_of_other_forces_is_refused():
    """Its stress would not be that of the forces."""
    atoms, force = gas_of_molecules(4, 1.4, 26.0)
    atoms.rattle(0.1, seed=0)
    with refused("forces-differ", "IdealGas"):
        OpenMMEngine(
            atoms, force, Conditions(timestep_fs=2.0, temperature_K=300), calculator=IdealGas(), platform="Reference"
        )


def test_the_structure_comes_back_as_it_went_in(model_file):
    from dp_sim import load_model
    from dp_sim.plugins.openmm_force import create_force

    atoms = box()
    model = load_model(model_file)
    engine = OpenMMEngine(
        atoms,
        lambda topology: create_force(model, topology, backend="python", periodic=True),
        Conditions(timestep_fs=0.5, temperature_K=300),
        platform="Reference",
    )
    returned = engine.structure()
    assert returned.positions == pytest.approx(atoms.positions, abs=1e-9)
    assert np.asarray(returned.cell) == pytest.approx(np.asarray(atoms.cell), abs=1e-9)
    assert returned.get_momenta() == pytest.approx(
        ASEEngine(atoms, IdealGas(), Conditions(timestep_fs=0.5, temperature_K=300)).structure().get_momenta(), abs=1e-6
    )


def test_constant_energy_takes_the_same_way_as_ase(model_file):
    """10 fs without thermostat: leap-frog and velocity Verlet share the path, but for half a kick at the start."""
    atoms = molecule("CH3CH2OH")
    settings = {"temperature_K": 100, "steps": 100, "timestep_fs": 0.1, "progress": False}
    in_ase = run_nve(atoms, model_file, **settings)
    in_openmm = run_nve(atoms, model_file, engine="openmm", backend="python", platform="Reference", **settings)
    travelled = np.abs(in_ase.atoms.positions - atoms.positions).max()
    assert np.abs(in_openmm.atoms.positions - in_ase.atoms.positions).max() < 0.05 * travelled


def test_files_for_mdtraj(model_file, tmp_path):
    mdtraj = pytest.importorskip("mdtraj", reason="the extra 'openmm' is not installed")
    result = run_npt(
        box(), model_file, temperature_K=300, steps=60, engine="openmm", backend="python", platform="Reference",
        frame_every=20, out=tmp_path / "run", progress=False,
    )  # fmt: skip
    trajectory = mdtraj.load(str(tmp_path / "run" / "trajectory.dcd"), top=str(tmp_path / "run" / "topology.pdb"))
    frames = read(tmp_path / "run" / "trajectory.extxyz", index=":")
    assert (trajectory.n_frames, trajectory.n_atoms) == (len(frames), len(frames[0])) == (4, 16)
    assert [atom.element.symbol for atom in trajectory.topology.atoms] == list(frames[0].symbols)
    assert trajectory.unitcell_volumes * 1000 == pytest.approx([frame.get_volume() for frame in frames], rel=1e-4)
    # Distances do not depend on the orientation, which DCD and PDB do not keep.
    assert mdtraj.compute_distances(trajectory, [[0, 1], [0, 12]], periodic=False) * 10 == pytest.approx(
        np.array([frame.get_distances(0, [1, 12]) for frame in frames]), abs=1e-3
    )
    assert result.engine == "openmm"


def test_bad_input(model_file, tmp_path):
    wire, water = box(), molecule("H2O")
    wire.pbc = (True, False, False)
    settings = {"temperature_K": 300, "steps": 10, "engine": "openmm", "out": tmp_path / "run", "progress": False}
    with refused("periodicity-unsupported"):
        run_nvt(wire, model_file, **settings)
    with refused("platform-unknown", "Referense", "Reference", "OpenMM"):
        run_nvt(water, model_file, platform="Referense", **settings)
    with refused("choice-unknown"):
        run_nvt(water, model_file, backend="torchscrip", platform="Reference", **settings)
    with refused("engine-needs-our-model", "openmm", "EMT"):
        run_nvt(water, EMT(), **settings)
    with refused("species-unknown"):
        run_nvt(Atoms("Ar"), model_file, **settings)
    crowd = Atoms("H192", np.random.default_rng(0).uniform(0, 0.1, (192, 3)), cell=[0.1] * 3, pbc=True)
    for recipe in (run_nvt, run_npt):
        with refused("atoms-too-dense", "192", "0.001"):
            recipe(crowd, model_file, **settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("backend", ["torchscript", "python"])
def test_the_model_s_sentence_without_openmm_s_trace(model_file, tmp_path, backend):
    """The trace quotes source that speaks of NaN: only the sentence tells one cause from the other."""
    from dp_sim import load_model
    from dp_sim.plugins.openmm_force import create_force

    atoms, model = molecule("H2O"), load_model(model_file)
    conditions = Conditions(timestep_fs=0.5, temperature_K=300)

    def engine(species: str) -> OpenMMEngine:
        force = create_force(model, species=list(species), backend=backend, periodic=False)
        return OpenMMEngine(atoms, lambda topology: force, conditions, platform="Reference")

    with refused("model-failed", "4", "3"):
        engine("OHHH").run(1)
    started = engine("OHH")
    started._context.setPositions(np.full((3, 3), np.nan))
    for act in (lambda: started.run(1), started.sample):
        with refused("motion-unstable"):
            act()


def test_a_model_on_the_processor_beside_a_gpu_is_told(model_file):
    model = DPCalculator(model_file).model
    (words,) = slow_samples("CUDA", model)
    assert "device='cuda'" in words
    assert slow_samples("CPU", model) == []
