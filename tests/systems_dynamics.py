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
