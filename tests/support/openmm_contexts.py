"""Systems and Contexts of OpenMM around a Deep Potential. A test module that imports this is skipped without OpenMM."""

import pytest
from ase import Atoms, units

from dp_sim.plugins.openmm_force import create_force

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed (pip install 'dp-sim[openmm]')")
app = pytest.importorskip("openmm.app")

BACKENDS = ["torchscript", "python"]
KJ_PER_MOL = units.kJ / units.mol  # in eV; OpenMM's energy. Its length is 10 Angstrom.


def platform(name):
    try:
        return openmm.Platform.getPlatformByName(name)
    except openmm.OpenMMException:
        pytest.skip(f"OpenMM has no platform {name} here")


def system_of(atoms: Atoms, *forces):
    """A System with the masses and the box of `atoms` and these forces alone."""
    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    if atoms.pbc.all():
        system.setDefaultPeriodicBoxVectors(*(atoms.cell[:] / 10))
    for force in forces:
        system.addForce(force)
    return system


def context_of(atoms: Atoms, *forces, platform_name="Reference", integrator=None):
    """A Context with the masses, box and positions of `atoms` and these forces alone."""
    system = system_of(atoms, *forces)
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
