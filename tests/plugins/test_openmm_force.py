"""Both OpenMM backends against DPCalculator and against physics: gradients, boxes that change, conserved energy."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ase import Atoms, units
from finite_difference import finite_difference_forces
from refusals import refused

import dp_sim
from dp_sim.compiled import evaluation, library
from dp_sim.errors import MissingPackageError
from dp_sim.plugins import openmm_force
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.plugins.openmm_force import create_force
from dp_sim.plugins.openmm_module import model_message

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed (pip install 'dp-sim[openmm]')")
app = openmm.app if hasattr(openmm, "app") else pytest.importorskip("openmm.app")

BACKENDS = ["torchscript", "python"]
has_operators = pytest.mark.skipif(library.register_operators() != "", reason=library.register_operators())
KJ_PER_MOL = units.kJ / units.mol  # in eV; OpenMM's energy. Its length is 10 Angstrom.


def platform(name):
    try:
        return openmm.Platform.getPlatformByName(name)
    except openmm.OpenMMException:
        pytest.skip(f"OpenMM has no platform {name} here")


def context_of(atoms: Atoms, *forces, platform_name="Reference", integrator=None):
    """A Context with the masses, box and positions of `atoms` and these forces alone."""
    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    if atoms.pbc.all():
        system.setDefaultPeriodicBoxVectors(*(atoms.cell[:] / 10))
    for force in forces:
        system.addForce(force)
    context = openmm.Context(system, integrator or openmm.VerletIntegrator(0.001), platform(platform_name))
    context.setPositions(atoms.positions / 10)
    return context


def energy_and_forces(context):
    """eV, eV/Angstrom."""
    state = context.getState(energy=True, forces=True)
    return state.getPotentialEnergy()._value * KJ_PER_MOL, state.getForces(asNumpy=True)._value * KJ_PER_MOL / 10


def force_for(structure: Atoms, model, **options):
    return create_force(model, species=structure.get_chemical_symbols(), periodic=bool(structure.pbc.all()), **options)


def topology_of(atoms: Atoms):
    topology = app.Topology()
    residue = topology.addResidue("MOL", topology.addChain())
    for number in atoms.numbers:
        topology.addAtom("X", app.Element.getByAtomicNumber(int(number)), residue)
    if atoms.pbc.all():
        topology.setPeriodicBoxVectors([openmm.Vec3(*row) * openmm.unit.angstrom for row in atoms.cell[:]])
    return topology


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("system", ["ethanol", "triclinic"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("platform_name", ["Reference", "CPU", "CUDA"])
def test_numbers_are_those_of_the_ase_calculator(platform_name, backend, system, dtype, either_file, request):
    """Reference and CPU hand positions and energies over in float64; CUDA rounds both."""
    atoms = request.getfixturevalue(system)
    model = dp_sim.load_model(either_file, dtype=dtype)
    atoms.calc = DPCalculator(model)
    energy, forces = energy_and_forces(
        context_of(
            atoms,
            create_force(model, topology_of(atoms), backend=backend, periodic=bool(atoms.pbc.all())),
            platform_name=platform_name,
        )
    )
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
def test_without_the_operators_a_compressed_model_takes_the_other_path(
    backend, compressed_file, triclinic, monkeypatch, caplog
):
    expected = energy_and_forces(context_of(triclinic, force_for(triclinic, compressed_file, backend=backend)))
    monkeypatch.setattr(evaluation, "register_operators", lambda: "no compiler")
    evaluation._say_once.cache_clear()
    forces = [force_for(triclinic, compressed_file, backend=backend) for _ in range(2)]
    assert [record.message for record in caplog.records] == [
        "models run several times slower here than they could: no compiler"
    ]
    energy, got = energy_and_forces(context_of(triclinic, forces[0]))
    assert energy == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(got, expected[1], atol=1e-10)


@has_operators
def test_compressed_models_take_the_fast_path(compressed_file, triclinic):
    force = force_for(triclinic, compressed_file, backend="torchscript")
    assert force.getOutputsForces()
    (member,) = force.getModule().members.children()
    assert member.original_name == "CompiledForces"


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


def test_weights_in_the_force_need_no_gradient(model_file, ethanol):
    """Else each step would differentiate with respect to them too."""
    force = force_for(ethanol, model_file, backend="torchscript")
    assert not any(parameter.requires_grad for parameter in force.getModule().parameters())


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
    context = context_of(ethanol + Atoms("H", [[9, 9, 9]]), force_for(ethanol, model_file, backend=backend))
    with pytest.raises(openmm.OpenMMException, match="made for 9 particles, and the System hands it 10"):
        context.getState(energy=True)


# --- backend="auto"


def test_auto_takes_torchforce_where_it_works(either_file, ethanol, caplog):
    caplog.set_level(logging.INFO, "dp_sim")
    force = force_for(ethanol, either_file, backend="auto")
    assert type(force).__name__ == "TorchForce"
    assert "takes TorchForce" in caplog.text


def plugin_that_does_not_import(monkeypatch):
    def broken(module, **kwargs):
        if module == "openmmtorch":
            raise MissingPackageError("package-missing", "libnvrtc.so.12: cannot open shared object file")
        return real(module, **kwargs)

    real = openmm_force.import_optional
    openmm_force.import_torch_plugin.cache_clear()
    monkeypatch.setattr(openmm_force, "import_optional", broken)
    return "libnvrtc.so.12"


def plugin_that_fails_at_the_first_step(monkeypatch):
    def broken(self, steps):
        raise openmm.OpenMMException("set_stride is not allowed on a Tensor")

    monkeypatch.setattr(openmm.VerletIntegrator, "step", broken)
    return "set_stride"


def plugin_that_computes_something_else(monkeypatch):
    def doubled(content):
        force = openmm.CustomCVForce("2*e")
        force.addCollectiveVariable("e", real(content))
        return force

    real = openmm_force._torch_force
    monkeypatch.setattr(openmm_force, "_torch_force", doubled)
    return "differ from the model's own"


def plugin_built_for_another_openmm(monkeypatch):
    monkeypatch.setattr(openmm, "__version__", "8.6.1")
    return "built for OpenMM 8.5"


@pytest.mark.parametrize(
    "breaking",
    [
        plugin_that_does_not_import,
        plugin_that_fails_at_the_first_step,
        plugin_that_computes_something_else,
        plugin_built_for_another_openmm,
    ],
)
def test_auto_falls_back_and_says_why(breaking, model_file, ethanol, monkeypatch, caplog):
    reason = breaking(monkeypatch)
    force = force_for(ethanol, model_file, backend="auto")
    assert isinstance(force, openmm.PythonForce)
    assert "takes PythonForce" in caplog.text
    assert reason in caplog.text
    ethanol.calc = DPCalculator(model_file)
    assert energy_and_forces(context_of(ethanol, force))[0] == pytest.approx(ethanol.get_potential_energy(), rel=1e-12)


def test_asking_for_torchforce_does_not_fall_back(model_file, ethanol, monkeypatch):
    plugin_that_does_not_import(monkeypatch)
    with refused("package-missing"):
        force_for(ethanol, model_file, backend="torchscript")


def test_loading_the_plugin_logs_no_foreign_warning(model_file, ethanol, caplog):
    openmm_force.import_torch_plugin()
    assert "simtk" not in caplog.text
    assert not logging.getLogger().filters


# --- bad input


def test_periodicity_is_never_guessed(model_file, ethanol):
    """A liquid was evaluated as a cluster: neither species nor a topology without a box tells of the System's box."""
    for source in ({"species": ethanol.get_chemical_symbols()}, {"topology": topology_of(ethanol)}):
        with refused("periodic-unsaid", "periodic=True", "periodic=False"):
            create_force(model_file, **source, backend="python")
        assert not create_force(model_file, **source, backend="python", periodic=False).usesPeriodicBoundaryConditions()


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"backend": "torchscrpt"}, ("choice-unknown", "torchscript")),
        ({"atoms": [0, 9]}, ("particle-out-of-range", "0", "8", "9")),
        ({"atoms": [-1]}, ("particle-out-of-range", "0", "8", "-1")),
        ({"atoms": [0, 1, 0]}, ("particle-repeated", "0")),
        ({"atoms": []}, ("particles-missing",)),
        ({"species": None}, ("species-missing",)),
        ({"species": ["C", "C", "Fe"]}, ("species-unknown", "Fe")),
        ({"species": ["C", "Oo"]}, ("species-unknown", "Oo", "O", "1")),
    ],
)
def test_bad_options_are_refused_by_name(options, refusal, model_file, ethanol):
    with refused(*refusal):
        create_force(model_file, **{"species": ethanol.get_chemical_symbols(), "periodic": False, **options})


def test_topology_with_an_unknown_or_absent_element(model_file, ethanol):
    ethanol.symbols[4] = "Xe"
    with refused("species-unknown"):
        create_force(model_file, topology_of(ethanol), periodic=False)
    topology = topology_of(ethanol[:3])
    topology.addAtom("M", None, next(topology.residues()))
    with refused("species-missing", "3"):
        create_force(model_file, topology, periodic=False)
    create_force(model_file, topology, atoms=[0, 1, 2], backend="python", periodic=False)


def test_topology_of_another_kind(model_file, ethanol):
    with refused("topology-kind", "openmm.app.Topology"):
        create_force(model_file, ethanol)


def test_without_openmm_the_error_names_the_extra(model_file, ethanol, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openmm", None)
    with refused("package-missing"):
        force_for(ethanol, model_file)


def test_device_and_dtype_go_with_a_file(model_file, ethanol):
    """As for DPCalculator: a file is opened in the precision asked for, a loaded model has its own."""
    single, loaded = (
        energy_and_forces(context_of(ethanol, force))[0]
        for force in (
            force_for(ethanol, model_file, backend="python", device="cpu", dtype="float32"),
            force_for(ethanol, dp_sim.load_model(model_file, dtype="float32"), backend="python"),
        )
    )
    assert single == loaded != energy_and_forces(context_of(ethanol, force_for(ethanol, model_file)))[0]
    with refused("option-not-for-loaded-models", "load_model"):
        force_for(ethanol, dp_sim.load_model(model_file), dtype="float32")


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_model_s_own_sentence_is_found_in_the_trace(backend, model_file, ethanol):
    larger = ethanol + Atoms("H", positions=[[9.0, 9.0, 9.0]])
    context = context_of(larger, force_for(ethanol, model_file, backend=backend))
    with pytest.raises(openmm.OpenMMException) as caught:
        context.getState(energy=True)
    sentence = model_message(caught.value)
    assert sentence.startswith("the force was made for 9 particles, and the System hands it 10;")
    assert "\n" not in sentence
    assert model_message(openmm.OpenMMException("Particle coordinate is NaN")) == ""
