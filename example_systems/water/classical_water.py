"""Liquid water from a classical flexible three-site model: cheap, decorrelated starting points for xTB."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import molecule

from dp_sim.errors import import_optional
from dp_sim.units import ANGSTROM_IN_NM, EV_IN_KJ_PER_MOL

WATER_AMU = float(molecule("H2O").get_masses().sum())
# Charges and Lennard-Jones of TIP3P, Jorgensen et al., J. Chem. Phys. 79, 926 (1983), in e, nm, kJ/mol.
CHARGE_O, CHARGE_H = -0.834, 0.417
SIGMA_O_NM, EPSILON_O_KJ_MOL = 0.315061, 0.6364
# Harmonic bond and angle of the GFN1-xTB molecule (second differences at its minimum); the bond is 0.01 Angstrom
# longer, as in the liquid.
BOND_A, BOND_EV_PER_A2 = 0.97, 48.6
ANGLE_DEG, ANGLE_EV_PER_RAD2 = 106.0, 3.3
TIMESTEP_PS = 0.0005


def lattice(molecules: int, density_g_cm3: float, rng: np.random.Generator) -> Atoms:
    """Put randomly turned molecules on a cubic grid, atoms O H H O H H ..., in a cubic box of the given density."""
    edge = (molecules * WATER_AMU / units.kg * 1e3 / density_g_cm3 * 1e24) ** (1 / 3)
    per_axis = int(np.ceil(molecules ** (1 / 3) - 1e-9))
    sites = (np.indices((per_axis,) * 3).reshape(3, -1).T + 0.5) * edge / per_axis
    box = Atoms(cell=[edge] * 3, pbc=True)
    for site in sites[rng.permutation(len(sites))[:molecules]]:
        box += turned_molecule(rng, site)
    return box


def turned_molecule(rng: np.random.Generator, oxygen: np.ndarray) -> Atoms:
    """Make a water molecule (O H H) in a uniformly random orientation, its oxygen at a point (3,), Angstrom."""
    water = molecule("H2O")
    rotation, triangle = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation *= np.sign(np.diag(triangle))  # makes it uniform (Haar); a reflection is no harm: water is planar
    water.positions = (water.positions - water.positions[0]) @ rotation.T + oxygen
    return water


def classical_liquid(
    molecules: int, density_g_cm3: float, temperature_K: float, rng: np.random.Generator, time_ps: float
) -> Atoms:
    """Equilibrate a box at constant volume: a quarter of `time_ps` at 600 K to forget the grid, the rest at T.

    Raises
    ------
    MissingPackageError
        OpenMM is not installed.
    """
    openmm = import_optional("openmm", extra="openmm", purpose="sampling classical water")
    box = lattice(molecules, density_g_cm3, rng)
    integrator = openmm.LangevinMiddleIntegrator(600.0, 5.0, TIMESTEP_PS)
    integrator.setRandomNumberSeed(int(rng.integers(1, 2**31)))
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(_system(openmm, box), integrator, platform, {"Threads": "1"})
    context.setPositions(box.positions * ANGSTROM_IN_NM)
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, 200)
    context.setVelocitiesToTemperature(600.0, int(rng.integers(1, 2**31)))
    steps = round(time_ps / TIMESTEP_PS)
    integrator.step(steps // 4)
    integrator.setTemperature(temperature_K)
    integrator.step(steps - steps // 4)
    state = context.getState(getPositions=True)
    box.positions = state.getPositions(asNumpy=True)._value / ANGSTROM_IN_NM
    return box


def _system(openmm: ModuleType, box: Atoms) -> Any:
    """Build flexible TIP3P with PME for a box of O H H molecules."""
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*(box.cell.array * ANGSTROM_IN_NM))
    bonds, angles, nonbonded = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce(), openmm.NonbondedForce()
    nonbonded.setNonbondedMethod(openmm.NonbondedForce.PME)
    nonbonded.setCutoffDistance(0.49 * box.cell.lengths().min() * ANGSTROM_IN_NM)
    for mass, symbol in zip(box.get_masses(), box.symbols, strict=True):
        system.addParticle(mass)
        charge, epsilon = (CHARGE_O, EPSILON_O_KJ_MOL) if symbol == "O" else (CHARGE_H, 0.0)
        nonbonded.addParticle(charge, SIGMA_O_NM, epsilon)
    bond_constant = BOND_EV_PER_A2 * EV_IN_KJ_PER_MOL / ANGSTROM_IN_NM**2
    for o in range(0, len(box), 3):
        for h in (o + 1, o + 2):
            bonds.addBond(o, h, BOND_A * ANGSTROM_IN_NM, bond_constant)
        angles.addAngle(o + 1, o, o + 2, np.radians(ANGLE_DEG), ANGLE_EV_PER_RAD2 * EV_IN_KJ_PER_MOL)
        for first, second in ((o, o + 1), (o, o + 2), (o + 1, o + 2)):
            nonbonded.addException(first, second, 0.0, 1.0, 0.0)
    for force in (bonds, angles, nonbonded):
        system.addForce(force)
    return system
