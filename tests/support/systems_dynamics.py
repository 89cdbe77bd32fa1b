"""Systems whose classical statistical mechanics is known in closed form, as ASE calculators."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress


class EinsteinCrystal(Calculator):
    """Independent springs to fixed sites: E = k/2 sum |r - site|^2. C_V = 3 N k_B, <E_pot> = 3/2 N k_B T."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, sites: np.ndarray, spring: float = 5.0) -> None:
        super().__init__()
        self.sites, self.spring = np.array(sites), spring

    def calculate(self, atoms: Any = None, properties: Any = (), system_changes: Any = tuple(all_changes)) -> None:
        super().calculate(atoms, properties, system_changes)
        displacement = self.atoms.positions - self.sites
        self.results = {
            "energy": 0.5 * self.spring * float((displacement**2).sum()),
            "forces": -self.spring * displacement,
        }


class IdealGas(Calculator):
    """No forces. At constant pressure p(V) ~ V^N exp(-pV/kT): <V> = (N+1) kT/p, Var(V) = (N+1) (kT/p)^2."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def calculate(self, atoms: Any = None, properties: Any = (), system_changes: Any = tuple(all_changes)) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(self.atoms), 3)), "stress": np.zeros(6)}


class VolumeSpring(Calculator):
    """A fluid without structure: E = K/2 (V - V0)^2 / V0, so p(V) ~ V^N exp(-(E(V) + pV)/kT) is integrated in 1-D."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, bulk_modulus: float, volume: float) -> None:
        super().__init__()
        self.bulk_modulus, self.volume = bulk_modulus, volume

    def energy(self, volume: Any) -> Any:
        return 0.5 * self.bulk_modulus * (volume - self.volume) ** 2 / self.volume

    def calculate(self, atoms: Any = None, properties: Any = (), system_changes: Any = tuple(all_changes)) -> None:
        super().calculate(atoms, properties, system_changes)
        volume = self.atoms.get_volume()
        slope = self.bulk_modulus * (volume - self.volume) / self.volume  # dE/dV, which is the stress of a fluid
        self.results = {
            "energy": float(self.energy(volume)),
            "forces": np.zeros((len(self.atoms), 3)),
            "stress": full_3x3_to_voigt_6_stress(slope * np.eye(3)),
        }


class ElasticBox(Calculator):
    """Atoms in a cell of rubber: E = U(s) + K V0 |eta|^2 / 2, eta = (h h^T / edge^2 - 1) / 2, V0 = edge^3, c upright.

    U(s) = A / N sum_{i<j} sum_k [1 - cos 2 pi (s_ik - s_jk)] of the scaled positions s makes the motion chaotic and has
    no virial: positions contribute V^N to the distribution of cells and nothing else, whatever U is.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, edge: float, modulus: float, barrier: float = 0.05) -> None:
        super().__init__()
        self.edge, self.modulus, self.barrier = edge, modulus, barrier

    def calculate(self, atoms: Any = None, properties: Any = (), system_changes: Any = tuple(all_changes)) -> None:
        super().calculate(atoms, properties, system_changes)
        cell, n = self.atoms.cell.array, len(self.atoms)
        inverse = np.linalg.inv(cell)
        wave = np.exp(2j * np.pi * self.atoms.positions @ inverse)
        total = wave.sum(axis=0)
        field = self.barrier / (2 * n) * float((n**2 - np.abs(total) ** 2).sum())
        slope = 2 * np.pi * self.barrier / n * (np.conj(total) * wave).imag  # dU/ds
        strain = (cell @ cell.T / self.edge**2 - np.eye(3)) / 2
        pull = self.modulus * self.edge * cell.T @ strain @ cell  # dE/d(strain) of the cell
        self.results = {
            "energy": field + 0.5 * self.modulus * self.edge**3 * float((strain**2).sum()),
            "forces": -slope @ inverse.T,
            "stress": full_3x3_to_voigt_6_stress(pull / self.atoms.get_volume()),
        }

    def cells(
        self, modes: np.ndarray, power: float, pressure: float, kT: float, samples: int = 200_000
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw strains eta (S, 3, 3) along `modes`, with volumes (S,) and weights (S,) of the ensemble at one pressure.

        Its volumes follow V^power dV exp(-(E + p V) / kT), and shapes the measure that no strain changes. With
        C = 1 + 2 eta that is V^(power + 1) times dC over the product of the eigenvalues that are free (1 to 3 modes),
        or over det(C)^2 (all 6).
        """
        rng = np.random.default_rng(3)
        width = np.sqrt(kT / (self.modulus * self.edge**3))
        strain = np.einsum("sk,kij->sij", width * rng.normal(size=(samples, len(modes))), modes)
        metric = np.eye(3) + 2 * strain
        lengths = np.maximum(metric[:, [0, 1, 2], [0, 1, 2]], 1e-9)
        squared = np.maximum(np.linalg.det(metric), 1e-9)
        free = {1: lengths[:, 0], 2: lengths[:, 0] * lengths[:, 2], 3: lengths.prod(axis=1), 6: squared**2}
        volume = self.edge**3 * np.sqrt(squared)
        exponent = (power + 1) * np.log(volume) - np.log(free[len(modes)]) - pressure * volume / kT
        return strain, volume, np.exp(exponent - exponent.max())


def einstein_crystal(atoms: int = 8) -> tuple[Atoms, EinsteinCrystal]:
    """Argon on a line, 3 Angstrom apart, each on its spring."""
    positions = np.arange(atoms)[:, None] * np.array([3.0, 0.0, 0.0])
    return Atoms(f"Ar{atoms}", positions=positions), EinsteinCrystal(positions)


class Dimers(Calculator):
    """Molecules of atoms 2i and 2i+1 on stiff bonds, none between them: at constant pressure N counts molecules."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, bond: float, spring: float = 50.0) -> None:
        super().__init__()
        self.bond, self.spring = bond, spring

    def calculate(self, atoms: Any = None, properties: Any = (), system_changes: Any = tuple(all_changes)) -> None:
        super().calculate(atoms, properties, system_changes)
        vectors = self.atoms.positions[1::2] - self.atoms.positions[::2]
        vectors -= np.round(vectors @ np.linalg.inv(self.atoms.cell.array)) @ self.atoms.cell.array
        lengths = np.linalg.norm(vectors, axis=1)
        pull = (self.spring * (lengths - self.bond) / lengths)[:, None] * vectors  # force on the first atom
        stress = vectors.T @ pull / self.atoms.get_volume()  # sum of r_ij (x) dE/dr_ij over V
        self.results = {
            "energy": 0.5 * self.spring * float(((lengths - self.bond) ** 2).sum()),
            "forces": np.stack([pull, -pull], axis=1).reshape(-1, 3),
            "stress": full_3x3_to_voigt_6_stress(stress),
        }


def far_apart(n: int) -> np.ndarray:
    """Sites 6 Angstrom apart, so that no two look bonded."""
    return np.indices((n // 4 + 1, 2, 2)).reshape(3, -1).T[:n] * 6.0


def dimers(n: int, bond: float, edge: float) -> tuple[Atoms, Dimers]:
    """C2 molecules in a cubic box; some are cut by its walls."""
    positions = np.repeat(far_apart(n), 2, axis=0) + np.tile([[0, 0, 0], [0, 0, -bond]], (n, 1))
    atoms = Atoms(f"C{2 * n}", positions=positions, cell=[edge] * 3, pbc=True)
    atoms.wrap()
    return atoms, Dimers(bond)
