"""Both OpenMM backends against DPCalculator and against physics: gradients, boxes that change, conserved energy."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ase import Atoms
from finite_difference import finite_difference_forces
from openmm_contexts import (
    BACKENDS,
    KJ_PER_MOL,
    context_of,
    energy_and_forces,
    force_for,
    openmm,
    platform,
    topology_of,
)

import dp_sim
from dp_sim.compiled import library
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.plugins.openmm_force import create_force
from dp_sim.plugins.openmm_module import model_message

has_operators = pytest.mark.skipif(library.register_operators() != "", reason=library.register_operators())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("platform_name", "system", "dtype"),
    [
        ("Reference", "ethanol", "float64"),
        ("Reference", "triclinic", "float64"),
        ("Reference", "triclinic", "float32"),
        ("CPU", "triclinic", "float64"),
        ("CUDA", "triclinic", "float64"),
        ("CUDA", "ethanol", "float32"),
    ],
)
def test_numbers_are_those_of_the_ase_calculator(platform_name, system, dtype, backend, either_file, request):
    """Reference and CPU hand positions and energies over in float64; CUDA rounds both."""
    platform(platform_name)
    atoms = request.getfixturevalue(system)
    model = dp_sim.load_model(either_file, dtype=dtype)
    atoms.calc = DPCalculator(model)
    force = create_force(model, topology_of(atoms), backend=backend, periodic=bool(atoms.pbc.all()))
    energy, forces = energy_and_forces(context_of(atoms, force, platform_name=platform_name))
    rounded = dtype == "float32" or platform_name == "CUDA"
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-6 if rounded else 1e-12)
    np.testing.assert_allclose(forces, atoms.get_forces(), rtol=0, atol=1e-4 if rounded else 1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_forces_are_the_gradient_through_openmm(backend, either_file, triclinic):
    context = context_of(triclinic, force_for(triclinic, either_file, backend=backend))

    def energy(positions):
        context.setPositions(positions / 10)
        return context.getState(energy=True).getPotentialEnergy()._value * KJ_PER_MOL

    forces = energy_and_forces(context)[1]
    np.testing.assert_allclose(forces, finite_difference_forces(energy, triclinic.positions, 1e-4), atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_part_of_the_system_in_any_order(backend, either_file, triclinic):
    """Only the named atoms feel the force, each its own, however they are listed; the others may be of any element."""
    part = [12, 9, 10, 11, 13, 14, 15]
    expected = triclinic[part]
    expected.calc = DPCalculator(either_file)
    triclinic.symbols[0] = "Fe"
    energy, forces = energy_and_forces(
        context_of(triclinic, force_for(triclinic, either_file, backend=backend, atoms=part))
    )
    assert energy == pytest.approx(expected.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(forces[part], expected.get_forces(), atol=1e-11)
    assert not forces[:9].any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_box_of_the_context_counts_and_images_do_not(backend, either_file, triclinic):
    context = context_of(triclinic, force_for(triclinic, either_file, backend=backend))
    triclinic.calc = DPCalculator(either_file)
    triclinic.set_cell(triclinic.cell * 1.1, scale_atoms=False)
    context.setPeriodicBoxVectors(*(triclinic.cell[:] / 10))
    assert energy_and_forces(context)[0] == pytest.approx(triclinic.get_potential_energy(), rel=1e-12)
    context.setPositions((triclinic.positions + np.arange(len(triclinic))[:, None] % 3 @ triclinic.cell[[0]]) / 10)
    assert energy_and_forces(context)[0] == pytest.approx(triclinic.get_potential_energy(), rel=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_barostat_moves_the_box_and_energies_follow(backend, either_file, triclinic):
    integrator = openmm.LangevinMiddleIntegrator(300, 5.0, 0.0002)
    integrator.setRandomNumberSeed(1)
    barostat = openmm.MonteCarloBarostat(1000.0, 300, 2)
    barostat.setRandomNumberSeed(1)
    force = force_for(triclinic, either_file, backend=backend)
    context = context_of(triclinic, force, barostat, integrator=integrator)
    integrator.step(40)
    state = context.getState(positions=True, energy=True)
    moved = triclinic.copy()
    moved.cell = state.getPeriodicBoxVectors(asNumpy=True)._value * 10
    moved.positions = state.getPositions(asNumpy=True)._value * 10
    moved.calc = DPCalculator(either_file)
    assert abs(moved.get_volume() / triclinic.get_volume() - 1) > 1e-3
    assert state.getPotentialEnergy()._value * KJ_PER_MOL == pytest.approx(moved.get_potential_energy(), rel=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_energy_is_conserved_to_second_order_in_the_time_step(backend, model_file, triclinic):
    """Verlet's error in the total energy goes with dt^2: half the step, a quarter of the error."""

    def error(timestep_ps: float) -> float:
        integrator = openmm.VerletIntegrator(timestep_ps)
        context = context_of(triclinic, force_for(triclinic, model_file, backend=backend), integrator=integrator)
        context.setVelocitiesToTemperature(50, 1)
        totals = []
        for _ in range(round(0.01 / timestep_ps)):
            integrator.step(1)
            state = context.getState(energy=True)
            totals.append(state.getPotentialEnergy()._value + state.getKineticEnergy()._value)
        return float(np.std(totals)) * KJ_PER_MOL / len(triclinic)

    coarse, fine = error(2e-4), error(1e-4)
    assert fine < 1e-4  # eV per atom
    assert 3.0 < coarse / fine < 5.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_forces_in_one_system_add_up(backend, model_file, committee_files, ethanol):
    forces = [force_for(ethanol, model, backend=backend) for model in (model_file, committee_files[1])]
    context = context_of(ethanol, *forces)
    expected = []
    for path in (model_file, committee_files[1]):
        ethanol.calc = DPCalculator(path)
        expected.append((ethanol.get_potential_energy(), ethanol.get_forces()))
    energy, forces = energy_and_forces(context)
    assert energy == pytest.approx(expected[0][0] + expected[1][0], rel=1e-12)
    np.testing.assert_allclose(forces, expected[0][1] + expected[1][1], atol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_committee_runs_as_the_mean_of_its_members(backend, committee_files, ethanol):
    ethanol.calc = DPCalculator(committee_files)
    energy, forces = energy_and_forces(context_of(ethanol, force_for(ethanol, committee_files, backend=backend)))
    assert energy == pytest.approx(ethanol.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(forces, ethanol.get_forces(), atol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_committee_may_be_compressed_in_part(backend, committee_files, compressed_file, triclinic):
    files = [compressed_file, committee_files[1]]
    triclinic.calc = DPCalculator(files)
    energy, forces = energy_and_forces(context_of(triclinic, force_for(triclinic, files, backend=backend)))
    assert energy == pytest.approx(triclinic.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(forces, triclinic.get_forces(), atol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_atoms_without_neighbours_feel_nothing(backend, either_file):
    far = Atoms("HO", positions=[[0, 0, 0], [50, 0, 0]])
    energy, forces = energy_and_forces(context_of(far, force_for(far, either_file, backend=backend)))
    far.calc = DPCalculator(either_file)
    assert energy == pytest.approx(far.get_potential_energy(), rel=1e-12)
    assert not forces.any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_contexts_in_two_threads(backend, either_file, ethanol):
    contexts = [context_of(ethanol, force_for(ethanol, either_file, backend=backend)) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda c: [energy_and_forces(c)[0] for _ in range(10)], contexts))
    assert len({round(energy, 12) for energies in results for energy in energies}) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_contexts_of_one_system_in_two_threads(backend, either_file, triclinic):
    """Each along a trajectory of its own, with a jump: the numbers of one structure at a time."""
    first = context_of(triclinic, force_for(triclinic, either_file, backend=backend))  # the System lives as long as it
    contexts = [first, openmm.Context(first.getSystem(), openmm.VerletIntegrator(0.001), platform("Reference"))]
    rng = np.random.default_rng(3)
    walks = [triclinic.positions + rng.normal(scale=0.05, size=(40, len(triclinic), 3)).cumsum(0) for _ in contexts]
    walks[0][10:, 4] += triclinic.cell[0] + 0.5

    def energies(context, walk):
        found = []
        for positions in walk:
            context.setPositions(positions / 10)
            found.append(energy_and_forces(context)[0])
        return found

    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(energies, contexts, walks))
    model = dp_sim.load_model(either_file)
    for walk, found in zip(walks, got, strict=True):
        frames = [Atoms(triclinic.numbers, positions, cell=triclinic.cell, pbc=True) for positions in walk]
        assert found == pytest.approx(model.evaluate(frames).energy.numpy(), rel=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_ends_the_run(backend, either_file, ethanol):
    context = context_of(ethanol, force_for(ethanol, either_file, backend=backend))
    positions = ethanol.positions / 10
    positions[2] = np.nan
    context.setPositions(positions)
    with pytest.raises(openmm.OpenMMException, match="coordinate is NaN"):
        context.getState(energy=True)
    positions[2] = positions[1]
    context.setPositions(positions)
    with pytest.raises(openmm.OpenMMException, match="on one spot"):
        context.getState(energy=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_system_of_another_size_ends_the_run(backend, model_file, ethanol):
    """The model's own sentence is found in the trace that OpenMM hands over."""
    larger = ethanol + Atoms("H", positions=[[9.0, 9.0, 9.0]])
    context = context_of(larger, force_for(ethanol, model_file, backend=backend))
    with pytest.raises(openmm.OpenMMException) as caught:
        context.getState(energy=True)
    sentence = model_message(caught.value)
    assert sentence.startswith("the force was made for 9 particles, and the System hands it 10;")
    assert "\n" not in sentence
    if backend == "python":
        assert str(caught.value).endswith(sentence)
        assert str(caught.value).count("\n") == 0, "TorchForce wraps it into a trace, a PythonForce need not"
    assert model_message(openmm.OpenMMException("Particle coordinate is NaN")) == ""
