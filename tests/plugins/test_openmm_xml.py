"""A System with a Deep Potential through XML: the same energies in this process, in a copy, and in a fresh process."""

import copy
import re
import subprocess
import sys

import numpy as np
import pytest

from dp_sim.compiled.library import register_operators
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.plugins.openmm_force import create_force

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed (pip install 'dp-sim[openmm]')")

READ = """
import sys
{imports}
import numpy, openmm
with open("system.xml") as file:
    system = openmm.XmlSerializer.deserialize(file.read())
context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("CPU"))
context.setPositions(numpy.load("positions.npy"))
print(repr(context.getState(energy=True).getPotentialEnergy()._value))
"""

IMPORTS = {
    "torchscript": "import torch, vesin_torch, openmmtorch",
    "torchscript, after openmm": "import openmm\nfrom dp_sim.plugins.openmm_force import import_torch_plugin\n"
    "import_torch_plugin()",
    "python": "",
}

WITHOUT_LIBRARY = "import dp_sim.plugins.openmm_module as module\nmodule.register_operators = lambda: 'no compiler'"
has_operators = pytest.mark.skipif(register_operators() != "", reason=register_operators())


def system_of(atoms, model, backend, **options):
    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    system.setDefaultPeriodicBoxVectors(*(atoms.cell[:] / 10))
    species = atoms.get_chemical_symbols()
    force = create_force(model, species=species, periodic=True, backend=backend, atoms=range(12), **options)
    force.setForceGroup(3)
    system.addForce(force)
    return system


def energy_of(system, atoms):
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(atoms.positions / 10)
    return context.getState(energy=True, groups={3}).getPotentialEnergy()._value


@pytest.mark.parametrize("backend", ["torchscript", "python"])
@pytest.mark.parametrize(
    "copied", [lambda s: openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(s)), copy.deepcopy]
)
def test_xml_and_copies_keep_energy_group_and_periodicity(copied, backend, either_file, triclinic):
    system = system_of(triclinic, either_file, backend)
    again = copied(system)
    assert energy_of(again, triclinic) == pytest.approx(energy_of(system, triclinic), rel=1e-13)
    assert again.getForce(0).getForceGroup() == 3
    assert again.usesPeriodicBoundaryConditions()


def in_a_fresh_process(folder, imports):
    code = READ.format(imports=imports)
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("portable", [True, False])
@pytest.mark.parametrize("kind", ["model_file", "compressed_file"])
@pytest.mark.parametrize("case", IMPORTS)
def test_xml_needs_no_other_file_in_a_fresh_process(case, kind, portable, tmp_path, triclinic, request):
    model_file = request.getfixturevalue(kind)
    if not portable and case == "torchscript":
        pytest.skip("the operators are registered by import_torch_plugin")
    model = tmp_path / "model.pt"
    model.write_bytes(model_file.read_bytes())
    system = system_of(triclinic, model, case.split(",")[0], portable=portable)
    model.unlink()
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    np.save(tmp_path / "positions.npy", triclinic.positions / 10)
    run = in_a_fresh_process(tmp_path, IMPORTS[case])
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) == pytest.approx(energy_of(system, triclinic), rel=1e-13)
    part = triclinic[:12]
    part.calc = DPCalculator(model_file)
    assert float(run.stdout) == pytest.approx(part.get_potential_energy() * 96.48533, rel=1e-6)


@has_operators
@pytest.mark.parametrize(
    ("backend", "imports", "message"),
    [
        ("torchscript", IMPORTS["torchscript"], "Unknown builtin op: dp_sim::"),
        (
            "python",
            WITHOUT_LIBRARY,
            r"calls compiled operators, which cannot be used here \(no compiler\); install dp-sim",
        ),
    ],
)
def test_where_the_operators_are_missing_reading_or_running_says_so(
    backend, imports, message, tmp_path, either_file, triclinic
):
    system = system_of(triclinic, either_file, backend)
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    np.save(tmp_path / "positions.npy", triclinic.positions / 10)
    run = in_a_fresh_process(tmp_path, imports)
    assert run.returncode == 1
    assert re.search(message, run.stderr), run.stderr
