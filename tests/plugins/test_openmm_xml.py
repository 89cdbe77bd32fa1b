"""A System with a Deep Potential through XML: the same energies in this process, in a copy, and in a fresh process."""

import copy
import re
import subprocess
import sys

import numpy as np
import pytest
from openmm_contexts import BACKENDS, force_for, openmm, system_of

from dp_sim.compiled.library import register_operators
from dp_sim.plugins.ase_calculator import DPCalculator

READ = """
import sys
{imports}
import numpy, openmm
for name in {names}:
    with open(name) as file:
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
imports_bare = pytest.mark.skipif(sys.version_info >= (3, 13), reason="openmmtorch needs libnvrtc.so.13 loaded there")
has_operators = pytest.mark.skipif(register_operators() != "", reason=register_operators())


def system_with(atoms, model, backend, **options):
    """The model acts on the first twelve atoms."""
    force = force_for(atoms, model, backend=backend, atoms=range(12), **options)
    force.setForceGroup(3)
    return system_of(atoms, force)


def energy_of(system, atoms):
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(atoms.positions / 10)
    return context.getState(energy=True, groups={3}).getPotentialEnergy()._value


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "copied", [lambda s: openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(s)), copy.deepcopy]
)
def test_xml_and_copies_keep_energy_group_and_periodicity(copied, backend, model_file, triclinic):
    system = system_with(triclinic, model_file, backend)
    again = copied(system)
    assert energy_of(again, triclinic) == pytest.approx(energy_of(system, triclinic), rel=1e-13)
    assert again.getForce(0).getForceGroup() == 3
    assert again.usesPeriodicBoundaryConditions()


def in_a_fresh_process(folder, imports, names):
    code = READ.format(imports=imports, names=names)
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("case", [pytest.param("torchscript", marks=imports_bare), *list(IMPORTS)[1:]])
def test_xml_needs_no_other_file_in_a_fresh_process(case, tmp_path, triclinic, model_file, compressed_file):
    """Portable Systems first, so that nothing else is in the process when these are read."""
    expected, from_ase = {}, {}
    for portable in (True, False) if case != "torchscript" else (True,):  # the operators are nowhere registered there
        for original in (model_file, compressed_file):
            model = tmp_path / "model.pt"
            model.write_bytes(original.read_bytes())
            system = system_with(triclinic, model, case.split(",")[0], portable=portable)
            model.unlink()
            name = f"{original.stem}-{portable}.xml"
            (tmp_path / name).write_text(openmm.XmlSerializer.serialize(system))
            expected[name] = energy_of(system, triclinic)
            part = triclinic[:12]
            part.calc = DPCalculator(original)
            from_ase[name] = part.get_potential_energy() * 96.48533
    np.save(tmp_path / "positions.npy", triclinic.positions / 10)
    run = in_a_fresh_process(tmp_path, IMPORTS[case], list(expected))
    assert run.returncode == 0, run.stderr
    read = dict(zip(expected, map(float, run.stdout.split()), strict=True))
    assert read == pytest.approx(expected, rel=1e-13)
    assert read == pytest.approx(from_ase, rel=1e-6)


@has_operators
@pytest.mark.parametrize(
    ("backend", "imports", "message"),
    [
        pytest.param("torchscript", IMPORTS["torchscript"], "Unknown builtin op: dp_sim::", marks=imports_bare),
        (
            "python",
            WITHOUT_LIBRARY,
            r"calls compiled operators, which cannot be used here \(no compiler\); install dp-sim",
        ),
    ],
)
def test_where_the_operators_are_missing_reading_or_running_says_so(
    backend, imports, message, tmp_path, model_file, triclinic
):
    system = system_with(triclinic, model_file, backend)
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    np.save(tmp_path / "positions.npy", triclinic.positions / 10)
    run = in_a_fresh_process(tmp_path, imports, ["system.xml"])
    assert run.returncode == 1
    assert re.search(message, run.stderr), run.stderr
