"""Which force `create_force` makes: what `auto` takes and why, with and without the operators, and what it refuses."""

import logging

import numpy as np
import pytest
from openmm_contexts import BACKENDS, context_of, energy_and_forces, force_for, openmm, topology_of
from refusals import refused

import dp_sim
from dp_sim.compiled import evaluation, library
from dp_sim.errors import MissingPackageError
from dp_sim.plugins import openmm_force
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.plugins.openmm_force import create_force

has_operators = pytest.mark.skipif(library.register_operators() != "", reason=library.register_operators())


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


def test_weights_in_the_force_need_no_gradient(model_file, ethanol):
    """Else each step would differentiate with respect to them too."""
    force = force_for(ethanol, model_file, backend="torchscript")
    assert not any(parameter.requires_grad for parameter in force.getModule().parameters())


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
