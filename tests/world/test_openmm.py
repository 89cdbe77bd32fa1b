"""What OpenMM and OpenMM-ML do with boxes: upstream's behaviour, and what we do about it."""

import numpy as np
import pytest
from ase.build import molecule
from refusals import refused

mm = pytest.importorskip("openmm", reason="OpenMM is an optional package")
openmmml = pytest.importorskip("openmmml", reason="OpenMM-ML is an optional package")
app = pytest.importorskip("openmm.app")

NANOMETER = mm.unit.nanometer
EDGE = 2.0


class Nothing:
    """A potential of OpenMM-ML that is zero: what is left is OpenMM-ML's own part."""

    def createImpl(self, name, **options):
        return self

    def addForces(self, topology, system, atoms, forceGroup, **options):
        system.addForce(mm.CustomExternalForce("0*x"))

    def getSupportedEmbeddings(self):
        return []

    def getMLLongRange(self):
        return False


@pytest.fixture(scope="module")
def water():
    """A box of flexible water with PME."""
    force_field = app.ForceField("amber14-all.xml", "amber14/tip3p.xml")
    modeller = app.Modeller(app.Topology(), [])
    modeller.addSolvent(force_field, boxSize=mm.Vec3(EDGE, EDGE, EDGE) * NANOMETER)
    system = force_field.createSystem(
        modeller.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.9 * NANOMETER, constraints=None, rigidWater=False
    )
    return modeller, system


def energy(system, positions, **parameters):
    context = mm.Context(system, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName("Reference"))
    context.setPositions(positions)
    for name, value in parameters.items():
        context.setParameter(name, value)
    return context.getState(energy=True).getPotentialEnergy()._value


def test_interpolation_forgets_periodic_images_upstream_and_is_mended(water):
    """At lambda 0 the energy should be the force field's. With no model at all it is not: OpenMM-ML's bonds between the
    atoms of the ML subset do not use the box, so molecules across it do not see each other."""
    from dp_sim.plugins.openmm_ml import mend_interpolation

    modeller, system = water
    positions = np.array(modeller.positions.value_in_unit(NANOMETER))
    residues = list(modeller.topology.residues())
    x = [positions[next(residue.atoms()).index][0] % EDGE for residue in residues]
    order = np.argsort(x)
    faces = [*order[:5], *order[-5:]]  # five molecules on either face of the box
    subset = [atom.index for number in faces for atom in residues[number].atoms()]
    openmmml.MLPotential.registerImplFactory("nothing", Nothing())
    mixed = openmmml.MLPotential("nothing").createMixedSystem(
        modeller.topology, system, subset, interpolate=True, removeConstraints=False
    )
    expected = energy(system, modeller.positions)
    off = abs(energy(mixed, modeller.positions, lambda_interpolate=0.0) - expected)
    mend_interpolation(mixed)
    mended = abs(energy(mixed, modeller.positions, lambda_interpolate=0.0) - expected)
    assert mended < 0.05  # kJ/mol: the Lennard-Jones energy beyond the cutoff
    assert off > 5 * mended


def test_a_topology_without_a_box_takes_that_of_the_system_or_is_refused(water, tmp_path):
    from random_model import write_random_model

    modeller, system = water
    model = str(write_random_model(tmp_path / "m.pt", species=("H", "O")))
    bare = app.Topology()
    chain = bare.addChain()
    for residue in modeller.topology.residues():
        own = bare.addResidue(residue.name, chain)
        for atom in residue.atoms():
            bare.addAtom(atom.name, atom.element, own)
    potential = openmmml.MLPotential("dp-sim", modelPath=model)
    mixed = potential.createMixedSystem(bare, system, range(3), backend="python")
    assert all(force.usesPeriodicBoundaryConditions() for force in mixed.getForces() if "Python" in force.getName())
    assert any("Python" in force.getName() for force in mixed.getForces())
    with refused("periodic-unsaid", "periodic=True"):
        potential.createMixedSystem(bare, system, range(3), backend="python", interpolate=True)
    vacuum = potential.createSystem(topology_of_water(), backend="python")
    assert not vacuum.usesPeriodicBoundaryConditions()


def topology_of_water():
    from dp_sim.recipes.dynamics.engines.openmm_engine import topology_of

    return topology_of(molecule("H2O"))
