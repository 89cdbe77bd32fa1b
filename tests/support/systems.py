"""Structures that try a model from all sides, models with random weights, and oracles with known answers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from ase.geometry import complete_cell

from dp_sim.config.model import LOCAL_FRAME_DESCRIPTORS, ModelConfig
from dp_sim.datasets.frames import Frame
from dp_sim.model.potential import DeepPotential
from dp_sim.neighbors.pairs import find_pairs
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.species import species_index

SPECIES = ("H", "O", "Cu")
CUTOFF = 4.0

#: Triclinic; its heights are about 2.6 to 3.1 Angstrom, so CUTOFF reaches over several images.
SMALL_CELL = np.array([[3.2, 0.0, 0.0], [0.9, 2.9, 0.0], [-0.7, 0.8, 3.1]])
PERIODICITIES = tuple(itertools.product((False, True), repeat=3))


def scattered(symbols: str, cell: np.ndarray, pbc: Sequence[bool], seed: int, nearest: float = 0.9) -> Atoms:
    """Atoms at random places of the cell, each at least `nearest` (Angstrom) from the others and from all images."""
    rng = np.random.default_rng(seed)
    atoms = Atoms(symbols, cell=cell, pbc=pbc)
    n = len(atoms)
    for _ in range(10_000):
        atoms.set_scaled_positions(rng.uniform(0.0, 1.0, size=(n, 3)))
        if not brute_force_pairs(atoms, nearest):
            return atoms
    raise ValueError(f"{n} atoms do not fit into the cell {nearest} Angstrom apart")


def crystal(pbc: Sequence[bool], seed: int = 3) -> Atoms:
    """Four atoms of three elements in SMALL_CELL, turned to no special direction, periodic along the axes of `pbc`."""
    atoms = scattered("H2OCu", SMALL_CELL, pbc, seed, nearest=1.1)
    atoms.rotate(37.0, (1.0, 2.0, -0.5), rotate_cell=True)
    return atoms


def cluster(seed: int = 1) -> Atoms:
    """Eight atoms of three elements, open on all sides."""
    atoms = scattered("H4O2Cu2", 5.0 * np.eye(3), [False] * 3, seed, nearest=1.0)
    atoms.cell[:] = 0.0
    return atoms


def lonely_atoms() -> Atoms:
    """Two atoms that do not see each other."""
    return Atoms("HO", positions=[[0.0, 0.0, 0.0], [0.0, 30.0, 0.0]])


def structures() -> dict[str, Atoms]:
    """Every periodicity, a single atom, a one-atom crystal, atoms without neighbours."""
    periodic = {"".join("FT"[p] for p in pbc): crystal(pbc) for pbc in PERIODICITIES[1:]}
    primitive = Atoms("Cu", positions=[[0.3, 0.2, 0.1]], cell=SMALL_CELL, pbc=True)
    return {
        "cluster": cluster(),
        **periodic,
        "primitive": primitive,
        "atom": Atoms("O", positions=[[1.0, 2.0, 3.0]]),
        "lonely": lonely_atoms(),
    }


def brute_force_pairs(atoms: Atoms, cutoff: float) -> list[tuple[int, int, int, int, int]]:
    """(i, j, S1, S2, S3) of every pair nearer than `cutoff`, both ways round: the plainest loop over images."""
    cell = complete_cell(np.where(atoms.pbc[:, None], np.asarray(atoms.cell), 0.0))
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    fractional = atoms.positions @ np.linalg.inv(cell)
    spread = np.ptp(fractional, axis=0)
    reach = [int(np.ceil(cutoff / h + s)) if p else 0 for h, s, p in zip(heights, spread, atoms.pbc, strict=True)]
    pairs = []
    for shift in itertools.product(*(range(-n, n + 1) for n in reach)):
        offset = np.array(shift) @ cell
        for i, j in itertools.product(range(len(atoms)), repeat=2):
            distance = np.linalg.norm(atoms.positions[j] - atoms.positions[i] + offset)
            if distance < cutoff and not (i == j and shift == (0, 0, 0)):
                pairs.append((i, j, *shift))
    return sorted(pairs)


def random_config(**settings: object) -> ModelConfig:
    """A small model of SPECIES in float64."""
    shared = {"species": SPECIES, "cutoff": CUTOFF, "fitting": (16, 16), "precision": "float64"}
    smooth = {"switch_start": 1.0, "embedding": (6, 12, 12), "axis_width": 4}
    frames = {"angular_neighbors": {"H": 4, "O": 3, "Cu": 5}}
    own = frames if settings.get("descriptor") in LOCAL_FRAME_DESCRIPTORS else smooth
    return ModelConfig.model_validate({**shared, **own, **settings})


def random_model(config: ModelConfig, seed: int = 0) -> DeepPotential:
    """A model that was never trained: random weights, the statistics of real structures, a bias for each species."""
    torch.manual_seed(seed)
    model = DeepPotential(config)
    frames = [frame(atoms) for atoms in structures().values()]
    search = NeighborSearch(config.cutoff)
    pairs = [find_pairs(f, species_index(f.numbers, config.species), search, f.name) for f in frames]
    model.descriptor.set_statistics(pairs)
    model.fitting.bias.copy_(torch.linspace(-20.0, 3.0, len(config.species), dtype=torch.float64))
    return model


def frame(atoms: Atoms, **labels: object) -> Frame:
    """Atoms -> Frame; energy 0 where no label is given."""
    arrays = (atoms.numbers, atoms.positions, np.asarray(atoms.cell), atoms.pbc)
    return Frame("test", *arrays, **(labels or {"energy": 0.0}))  # type: ignore[arg-type]


class Morse:
    """Pairs bound by D (1 - exp(-a (r - r0)))^2 - D, smoothly cut: energy, forces, virial by hand, open or periodic."""

    depth, steepness, minimum, cutoff = 0.6, 1.6, 1.9, 4.5

    def labelled(self, atoms: Atoms, name: str = "morse") -> Frame:
        pairs = np.array(brute_force_pairs(atoms, self.cutoff), dtype=int).reshape(-1, 5)
        i, j, shifts = pairs[:, 0], pairs[:, 1], pairs[:, 2:]
        vectors = atoms.positions[j] - atoms.positions[i] + shifts @ np.asarray(atoms.cell)
        energies, slopes = self.pair(np.linalg.norm(vectors, axis=1))
        along = slopes[:, None] * vectors / np.linalg.norm(vectors, axis=1)[:, None]
        forces = np.zeros_like(atoms.positions)
        np.add.at(forces, i, along)
        virial = -0.5 * np.einsum("pa,pb->ab", vectors, along)
        return Frame(
            name,
            atoms.numbers,
            atoms.positions,
            np.asarray(atoms.cell),
            atoms.pbc,
            0.5 * float(energies.sum()),
            forces,
            virial,
        )

    def pair(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Energy and its slope; the factor (1 - (r/rc)^2)^3 takes both to zero at the cutoff."""
        decay = np.exp(-self.steepness * (r - self.minimum))
        morse, morse_slope = self.depth * (decay**2 - 2 * decay), 2 * self.depth * self.steepness * (decay - decay**2)
        u = 1 - (r / self.cutoff) ** 2
        return morse * u**3, morse_slope * u**3 - morse * 6 * r / self.cutoff**2 * u**2
