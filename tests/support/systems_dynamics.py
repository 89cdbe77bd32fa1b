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
