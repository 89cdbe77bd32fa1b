"""Double wells and a harmonic crystal: classical averages by quadrature and by counting, in ASE and in OpenMM."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
import openmm as mm
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list

from dp_sim.units import ANGSTROM_IN_NM, EV_IN_KJ_PER_MOL

#: Of the wells: half the distance of the minima (Angstrom), the spring across (eV/Angstrom^2).
HALF, ACROSS = 0.6, 1.0
#: Of the harmonic crystal, eV/Angstrom^2.
STIFFNESS = 2.0


class DoubleWells(Calculator):
    """Each atom beside its site at (x, y, z): u = h ((x / a)^2 - 1)^2 + t x / a + k (y^2 + z^2) / 2."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, sites: np.ndarray, barrier: float, tilt: float) -> None:
        super().__init__()
        self.sites, self.barrier, self.tilt = np.array(sites), barrier, tilt

    def calculate(self, atoms: Any = None, properties: Any = (), system_changes: Any = tuple(all_changes)) -> None:
        super().calculate(atoms, properties, system_changes)
        off = self.atoms.positions - self.sites
        x = off[:, 0] / HALF
        forces = -ACROSS * off
        forces[:, 0] = -(4 * self.barrier * x * (x**2 - 1) + self.tilt) / HALF
        self.results = {
            "energy": float(self.along(x).sum() + ACROSS / 2 * (off[:, 1:] ** 2).sum()),
            "forces": forces,
        }

    def along(self, x: Any) -> Any:
        """Energy along the wells at x / a, eV."""
        return self.barrier * (x**2 - 1) ** 2 + self.tilt * x

    def in_openmm(self, topology: Any = None) -> mm.Force:
        """Make the same as a force of OpenMM."""
        force = mm.CustomExternalForce(
            "h*(((x-x0)/a)^2-1)^2 + t*(x-x0)/a + 0.5*k*((y-y0)^2+(z-z0)^2)",
        )
        force.addGlobalParameter("h", self.barrier * EV_IN_KJ_PER_MOL)
        force.addGlobalParameter("t", self.tilt * EV_IN_KJ_PER_MOL)
        force.addGlobalParameter("a", HALF * ANGSTROM_IN_NM)
        force.addGlobalParameter("k", ACROSS * EV_IN_KJ_PER_MOL / ANGSTROM_IN_NM**2)
        for name in ("x0", "y0", "z0"):
            force.addPerParticleParameter(name)
        for index, site in enumerate(self.sites):
            force.addParticle(index, site * ANGSTROM_IN_NM)
        return force


class Exact(NamedTuple):
    """Of one atom in its wells: mean energy (eV), C_V with its three momenta (k_B), share of the time at x > 0."""

    energy: float
    heat_capacity: float
    right: float


def by_quadrature(wells: DoubleWells, kT: float) -> Exact:
    """Integrate exp(-u / kT) along the wells on a fine grid; across them two squares give kT and k_B."""
    x = np.linspace(-3, 3, 20_001)
    energy = wells.along(x)
    weight = np.exp(-(energy - energy.min()) / kT)
    weight /= weight.sum()
    mean = float(weight @ energy)
    variance = float(weight @ (energy - mean) ** 2)
    return Exact(mean + kT, variance / kT**2 + 1 + 1.5, float(weight[x > 0].sum()))


class HarmonicCrystal(Calculator):
    """Nearest neighbours of a periodic crystal on harmonic springs: E = k / 2 sum (n . (u_j - u_i))^2, n at rest.

    The atoms have no cell: a spring through the boundary pulls at the atom inside by as much as at its image, wherever
    the whole has drifted.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, crystal: Atoms, reach: float) -> None:
        super().__init__()
        i, j, vectors = neighbor_list("ijD", crystal, reach)
        once = i < j
        self.i, self.j = i[once], j[once]
        self.rest = crystal.positions[self.j] - crystal.positions[self.i]
        self.normal = vectors[once] / np.linalg.norm(vectors[once], axis=1, keepdims=True)

    def calculate(self, atoms: Any = None, properties: Any = (), system_changes: Any = tuple(all_changes)) -> None:
        super().calculate(atoms, properties, system_changes)
        apart = self.atoms.positions[self.j] - self.atoms.positions[self.i] - self.rest
        stretch = np.einsum("px,px->p", apart, self.normal)
        pull = STIFFNESS * stretch[:, None] * self.normal
        forces = np.zeros((len(self.atoms), 3))
        np.add.at(forces, self.i, pull)
        np.add.at(forces, self.j, -pull)
        self.results = {"energy": STIFFNESS / 2 * float((stretch**2).sum()), "forces": forces}

    def in_openmm(self, topology: Any = None) -> mm.Force:
        """Make the same as a force of OpenMM."""
        force = mm.CustomCompoundBondForce(2, "0.5*k*((x2-x1-rx)*nx + (y2-y1-ry)*ny + (z2-z1-rz)*nz)^2")
        force.addGlobalParameter("k", STIFFNESS * EV_IN_KJ_PER_MOL / ANGSTROM_IN_NM**2)
        for name in ("rx", "ry", "rz", "nx", "ny", "nz"):
            force.addPerBondParameter(name)
        for i, j, rest, normal in zip(self.i, self.j, self.rest, self.normal, strict=True):
            force.addBond([int(i), int(j)], [*(rest * ANGSTROM_IN_NM), *normal])
        return force


def double_wells(atoms: int, barrier: float, tilt: float) -> tuple[Atoms, DoubleWells]:
    """Argon 6 Angstrom apart, each at the left minimum of its wells."""
    sites = np.arange(atoms)[:, None] * np.array([0.0, 6.0, 0.0])
    return Atoms(f"Ar{atoms}", positions=sites - [HALF, 0.0, 0.0]), DoubleWells(sites, barrier, tilt)


def harmonic_crystal() -> tuple[Atoms, HarmonicCrystal]:
    """32 argon atoms of an fcc crystal, 3N - 3 vibrations: C_V = (3N - 3) / 2 + 3N / 2, in k_B, with all momenta."""
    crystal = bulk("Ar", a=5.3, cubic=True).repeat(2)
    atoms = crystal.copy()
    atoms.pbc, atoms.cell = False, None
    return atoms, HarmonicCrystal(crystal, 4.0)
