"""The Lennard-Jones liquid at published states, in argon's units: an ASE calculator, and OpenMM's own force."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import numpy as np
import openmm as mm
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes

from dp_sim.compiled.library import register_operators
from dp_sim.neighbors.compiled_search import CompiledSearch
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.units import EV_IN_KJ_PER_MOL

#: Argon's, Angstrom and eV; the reduced numbers do not depend on them.
SIGMA_A, EPSILON_EV = 3.405, 119.8 * units.kB
CUTOFF = 3.0
#: Added to the reach of the list of neighbours, so that it lasts for some steps; sigma.
SKIN = 0.3
#: sigma (m / epsilon)^(1/2) in fs.
TAU_FS = SIGMA_A * float(np.sqrt(Atoms("Ar").get_masses()[0] / EPSILON_EV)) / units.fs
PRESSURE_BAR = EPSILON_EV / SIGMA_A**3 / units.bar
#: eta* = 1 and D* = 1 in mPa s and in 10^-9 m^2/s.
VISCOSITY_MPA_S = PRESSURE_BAR * 1e5 * TAU_FS * 1e-15 * 1e3
DIFFUSION_1E9 = (SIGMA_A * 1e-10) ** 2 / (TAU_FS * 1e-15) * 1e9


class Tail(NamedTuple):
    """What pairs beyond the cutoff add if g = 1 there: energy of each atom and pressure, in epsilon and sigma."""

    energy: float
    pressure: float


def tail(density: float, cutoff: float = CUTOFF) -> Tail:
    """Compute the long-range corrections (M. P. Allen and D. J. Tildesley, 2nd ed., eqs. 2.144 and 2.145)."""
    inverse3 = cutoff**-3
    return Tail(
        8 / 3 * np.pi * density * (inverse3**3 / 3 - inverse3),
        16 / 3 * np.pi * density**2 * (2 / 3 * inverse3**3 - inverse3),
    )


#: u(CUTOFF), epsilon: the energy is shifted by it, so that the truncated forces conserve it.
AT_CUTOFF = 4 * (CUTOFF**-12 - CUTOFF**-6)


class LennardJones(Calculator):
    """Pairs nearer than CUTOFF sigma, the energy shifted to 0 there.

    The list of neighbours is kept until an atom has moved by half the skin.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self) -> None:
        super().__init__()
        reach = (CUTOFF + SKIN) * SIGMA_A
        self._search = CompiledSearch(reach) if not register_operators() else NeighborSearch(reach)
        self._listed_at = np.full((0, 3), np.nan)

    def _listed(self, positions: np.ndarray, cell: np.ndarray) -> None:
        """List each pair once, with the vector of its periodic image."""
        pairs = self._search(torch.from_numpy(positions), torch.from_numpy(cell), torch.tensor([True] * 3))
        i, j, shift = (part.numpy() for part in (pairs.center, pairs.neighbor, pairs.shift))
        once = i < j  # boxes are wider than two cutoffs: no atom meets its own image
        self._i, self._j = i[once], j[once]
        self._image = shift[once] @ cell
        self._listed_at, self._cell = positions.copy(), cell.copy()

    def calculate(self, atoms: Any = None, properties: Any = (), system_changes: Any = tuple(all_changes)) -> None:
        super().calculate(atoms, properties, system_changes)
        positions, cell, n = self.atoms.positions, self.atoms.cell.array, len(self.atoms)
        if (
            self._listed_at.shape != positions.shape
            or not np.array_equal(cell, self._cell)
            or ((positions - self._listed_at) ** 2).sum(axis=1).max() > (SKIN * SIGMA_A / 2) ** 2
        ):
            self._listed(positions, cell)
        vectors = positions[self._j] - positions[self._i] + self._image
        squared = np.einsum("px,px->p", vectors, vectors)
        near = np.flatnonzero(squared < (CUTOFF * SIGMA_A) ** 2)
        i, j, vectors = self._i[near], self._j[near], vectors[near]
        six = (SIGMA_A**2 / squared[near]) ** 3
        slope = 24 * EPSILON_EV * (six - 2 * six**2) / squared[near]  # u'(r) / r
        pull = slope[:, None] * vectors
        forces = np.stack(
            [np.bincount(i, pull[:, x], minlength=n) - np.bincount(j, pull[:, x], minlength=n) for x in range(3)],
            axis=1,
        )
        stress = vectors.T @ pull / self.atoms.get_volume()
        energy = EPSILON_EV * float((4 * (six**2 - six) - AT_CUTOFF).sum())
        self.results = {"energy": energy, "forces": forces, "stress": stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]}


def openmm_lennard_jones(topology: Any) -> mm.Force:
    """Make the same as a force of OpenMM."""
    force = mm.CustomNonbondedForce(f"epsilon * (4 * ((sigma / r)^12 - (sigma / r)^6) - ({AT_CUTOFF!r}))")
    force.addGlobalParameter("sigma", SIGMA_A * 0.1)
    force.addGlobalParameter("epsilon", EPSILON_EV * EV_IN_KJ_PER_MOL)
    force.setNonbondedMethod(mm.CustomNonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(CUTOFF * SIGMA_A * 0.1)
    for _ in topology.atoms():
        force.addParticle([])
    return force


def pairs_within_cutoff(frames: Iterable[Atoms]) -> float:
    """Count the pairs nearer than the cutoff, on average over the frames."""
    search = CompiledSearch(CUTOFF * SIGMA_A) if not register_operators() else NeighborSearch(CUTOFF * SIGMA_A)
    counts = [
        len(search(torch.from_numpy(one.positions), torch.from_numpy(one.cell.array), torch.tensor([True] * 3)).center)
        for one in frames
    ]
    return float(np.mean(counts)) / 2


def liquid(density: float, repeats: int = 5) -> Atoms:
    """Place 4 repeats^3 argon atoms on an fcc lattice of this number density (1/sigma^3), shaken so that it melts."""
    atoms = bulk("Ar", a=SIGMA_A * (4 / density) ** (1 / 3), cubic=True).repeat(repeats)
    atoms.rattle(0.1, seed=0)
    return atoms
