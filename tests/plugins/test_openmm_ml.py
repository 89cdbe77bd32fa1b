"""MLPotential("dp-sim"): found by OpenMM-ML, whole systems, and mixed ones by the identity that defines them."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from refusals import refused

from dp_sim.plugins.ase_calculator import DPCalculator

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed (pip install 'dp-sim[openmm]')")
openmmml = pytest.importorskip("openmmml", reason="OpenMM-ML is not installed (pip install 'dp-sim[openmm]')")
app = pytest.importorskip("openmm.app")

NANOMETER = openmm.unit.nanometer

# Heavy atoms of alanine dipeptide, from standard bond lengths and angles with phi, psi = -80, 80 degrees.
HEAVY_ATOMS = """\
ATOM      1  CH3 ACE A   1       0.000   0.000   0.000  1.00  0.00           C
ATOM      2  C   ACE A   1       1.510   0.000   0.000  1.00  0.00           C
ATOM      3  O   ACE A   1       2.134   1.060   0.000  1.00  0.00           O
ATOM      4  N   ALA A   2       2.106  -1.195   0.000  1.00  0.00           N
ATOM      5  CA  ALA A   2       3.548  -1.331   0.000  1.00  0.00           C
ATOM      6  CB  ALA A   2       3.935  -2.701   0.550  1.00  0.00           C
ATOM      7  C   ALA A   2       4.114  -1.137  -1.399  1.00  0.00           C
ATOM      8  O   ALA A   2       4.419  -2.108  -2.087  1.00  0.00           O
ATOM      9  N   NME A   3       4.254   0.123  -1.818  1.00  0.00           N
ATOM     10  C   NME A   3       4.782   0.440  -3.130  1.00  0.00           C
TER
END
"""


@pytest.fixture(scope="module")
def force_field():
    return app.ForceField("amber14-all.xml", "amber14/tip3p.xml")


@pytest.fixture(scope="module")
def dipeptide(force_field):
    pdb = app.PDBFile(io.StringIO(HEAVY_ATOMS))
    modeller = app.Modeller(pdb.topology, pdb.positions)
    modeller.addHydrogens(force_field)
    return modeller


@pytest.fixture(scope="module")
def solvated(dipeptide, force_field):
    modeller = app.Modeller(dipeptide.topology, dipeptide.positions)
    modeller.addSolvent(force_field, boxSize=openmm.Vec3(2.0, 2.0, 2.0) * NANOMETER)
    return modeller


@pytest.fixture(scope="module")
def solvated_from_pdb():
    data = Path(os.environ.get("DP_SIM_DATA", Path(__file__).parents[3] / "shared" / "data"))
    path = data / "openmm" / "alanine-dipeptide-explicit.pdb"
    if not path.is_file():
        pytest.skip(f"{path} is not here; set DP_SIM_DATA to the folder that holds openmm/")
    return app.PDBFile(str(path))


def energy_and_forces(system, positions, **parameters):
    """kJ/mol, kJ/mol/nm."""
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(positions)
    for name, value in parameters.items():
        context.setParameter(name, value)
    state = context.getState(energy=True, forces=True)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value


def positions_of(structure):
    return np.array(structure.positions.value_in_unit(NANOMETER))


def atoms_of(structure, indices, periodic: bool) -> Atoms:
    numbers = [atom.element.atomic_number for atom in structure.topology.atoms()]
    atoms = Atoms([numbers[i] for i in indices], positions=10 * positions_of(structure)[indices])
    if periodic:
        atoms.cell = structure.topology.getPeriodicBoxVectors().value_in_unit(openmm.unit.angstrom)
        atoms.pbc = True
    return atoms


def ml_energy(structure, indices, model_file, periodic: bool) -> float:
    """kJ/mol, from ASE."""
    atoms = atoms_of(structure, indices, periodic)
    atoms.calc = DPCalculator(model_file)
    return atoms.get_potential_energy() / (units.kJ / units.mol)


@pytest.mark.parametrize("backend", ["torchscript", "python", "auto"])
def test_a_whole_system(backend, model_file, solvated):
    system = openmmml.MLPotential("dp-sim", modelPath=model_file).createSystem(solvated.topology, backend=backend)
    everything = list(range(system.getNumParticles()))
    energy, forces = energy_and_forces(system, positions_of(solvated))
    atoms = atoms_of(solvated, everything, periodic=True)
    atoms.calc = DPCalculator(model_file)
    assert energy == pytest.approx(atoms.get_potential_energy() / (units.kJ / units.mol), rel=1e-11)
    np.testing.assert_allclose(forces * units.kJ / units.mol / 10, atoms.get_forces(), atol=1e-10)


@pytest.mark.parametrize("backend", ["torchscript", "python"])
@pytest.mark.parametrize("name", ["dipeptide", "solvated", "solvated_from_pdb"])
def test_mixed_energy_is_mm_of_all_minus_mm_of_the_part_plus_ml_of_it(name, backend, model_file, force_field, request):
    """E_mixed = E_MM(all) - E_MM(part) + E_ML(part): the force field acts on and between all else, the model within."""
    structure = request.getfixturevalue(name)
    periodic = structure.topology.getPeriodicBoxVectors() is not None
    part = [atom.index for atom in structure.topology.atoms() if atom.residue.name in ("ACE", "ALA", "NME")]
    assert len(part) == 22
    method = {"nonbondedMethod": app.PME, "nonbondedCutoff": 0.9 * NANOMETER} if periodic else {}
    mm_system = force_field.createSystem(structure.topology, constraints=None, rigidWater=False, **method)
    # The part by itself, without a cutoff: that is what OpenMM-ML takes out.
    alone = app.Modeller(structure.topology, structure.positions)
    alone.delete([atom for atom in structure.topology.atoms() if atom.index not in part])
    part_system = force_field.createSystem(alone.topology, constraints=None)

    potential = openmmml.MLPotential("dp-sim", modelPath=str(model_file))
    mixed = potential.createMixedSystem(structure.topology, mm_system, part, backend=backend)
    mm_all = energy_and_forces(mm_system, positions_of(structure))[0]
    mm_part = energy_and_forces(part_system, positions_of(alone))[0]
    expected = mm_all - mm_part + ml_energy(structure, part, model_file, periodic)
    assert energy_and_forces(mixed, positions_of(structure))[0] == pytest.approx(
        expected, abs=1e-3 if periodic else 1e-6
    )


@pytest.mark.parametrize("backend", ["torchscript", "python"])
def test_interpolation_runs_from_the_force_field_to_the_model(backend, model_file, force_field, dipeptide):
    mm_system = force_field.createSystem(dipeptide.topology, constraints=None)
    everything = list(range(22))
    mixed = openmmml.MLPotential("dp-sim", modelPath=model_file).createMixedSystem(
        dipeptide.topology, mm_system, everything, interpolate=True, backend=backend, periodic=False
    )
    positions = positions_of(dipeptide)
    mm, ml = energy_and_forces(mm_system, positions)[0], ml_energy(dipeptide, everything, model_file, periodic=False)
    for weight in (0.0, 0.3, 1.0):
        energy = energy_and_forces(mixed, positions, lambda_interpolate=weight)[0]
        # The Coulomb constant of OpenMM-ML's interpolation has nine digits.
        assert energy == pytest.approx(weight * ml + (1 - weight) * mm, abs=2e-3)


def test_a_committee_and_a_precision(committee_files, dipeptide):
    potential = openmmml.MLPotential("dp-sim", modelPath=committee_files, dtype="float32")
    energy = energy_and_forces(potential.createSystem(dipeptide.topology), positions_of(dipeptide))[0]
    atoms = atoms_of(dipeptide, list(range(22)), periodic=False)
    atoms.calc = DPCalculator(committee_files)
    exact = atoms.get_potential_energy() / (units.kJ / units.mol)
    assert 0 < abs(energy - exact) < 1e-5 * abs(exact)


def test_bad_options_are_refused(model_file, dipeptide):
    with refused("file-missing", "nowhere.pt"):
        openmmml.MLPotential("dp-sim", modelPath="nowhere.pt")
    with refused("model-missing", "modelPath="):
        openmmml.MLPotential("dp-sim")
    with pytest.raises(TypeError, match="modlPath"):
        openmmml.MLPotential("dp-sim", modlPath=model_file)
    with pytest.raises(TypeError, match="bckend"):
        openmmml.MLPotential("dp-sim", modelPath=model_file).createSystem(dipeptide.topology, bckend="python")


def test_importing_openmmml_stays_light_in_any_order():
    """The entry point is loaded by everyone's `import openmmml`: it must not bring torch, nor run in a circle."""
    check = "import dp_sim.plugins.openmm_ml, openmmml, sys; sys.exit('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
