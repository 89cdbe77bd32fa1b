"""Potential energy surfaces with known stationary points, as ASE calculators of one moving atom.

Atom 0 moves; a second atom, fixed far away, holds the frame of reference, because these surfaces (unlike molecules)
know where the origin is.
"""

from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixAtoms


class Surface(Calculator):
    """energy(x, y) -> (energy, gradient (2,), hessian (2, 2)), and a spring of 1 eV/Angstrom^2 along z."""

    implemented_properties = ("energy", "forces")

    def __init__(self, energy: Callable[[float, float], tuple[float, np.ndarray, np.ndarray]]) -> None:
        super().__init__()
        self.surface = energy
        self.evaluations = 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.evaluations += 1
        x, y, z = self.atoms.positions[0]
        energy, gradient, _ = self.surface(x, y)
        forces = np.zeros((len(self.atoms), 3))
        forces[0] = [-gradient[0], -gradient[1], -z]
        self.results = {"energy": energy + z**2 / 2, "forces": forces}


class SurfaceWithHessian(Surface):
    """The same with the exact Hessian, under the name by which recipes look for it."""

    hessians = 0

    def get_hessian(self, atoms: Atoms) -> np.ndarray:
        self.hessians += 1
        hessian = np.zeros((3 * len(atoms), 3 * len(atoms)))
        hessian[:2, :2] = self.surface(*atoms.positions[0, :2])[2]
        hessian[2, 2] = 1.0
        return hessian


def at(x: float, y: float) -> Atoms:
    """A hydrogen atom at (x, y) and the fixed one."""
    return Atoms("HHe", positions=[[x, y, 0], [0, 0, 20]], constraint=FixAtoms([1]))


# K. Mueller, L. D. Brown, Theor. Chim. Acta 53, 75 (1979), eq. 9; their energies in units of 100, here eV.
_A = np.array([-2.0, -1.0, -1.7, 0.15])
_a, _b, _c = np.array([-1, -1, -6.5, 0.7]), np.array([0, 0, 11, 0.6]), np.array([-10, -10, -6.5, 0.7])
_x0, _y0 = np.array([1, 0, -0.5, -1]), np.array([0, 0.5, 1.5, 1])

#: The stationary points as the paper gives them, to three digits.
MINIMA = {"A": (-0.558, 1.442), "B": (0.623, 0.028), "C": (-0.050, 0.467)}
SADDLES = {"AC": (-0.822, 0.624), "BC": (0.212, 0.293)}


def mueller_brown(x: float, y: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy (eV), gradient (eV/Angstrom) and Hessian (eV/Angstrom^2) at (x, y) in Angstrom."""
    dx, dy = x - _x0, y - _y0
    terms = _A * np.exp(_a * dx**2 + _b * dx * dy + _c * dy**2)
    sx, sy = 2 * _a * dx + _b * dy, _b * dx + 2 * _c * dy
    xy = (terms * (sx * sy + _b)).sum()
    hessian = [[(terms * (sx**2 + 2 * _a)).sum(), xy], [xy, (terms * (sy**2 + 2 * _c)).sum()]]
    return float(terms.sum()), np.array([(terms * sx).sum(), (terms * sy).sum()]), np.array(hessian)


def stationary(point: tuple[float, float]) -> np.ndarray:
    """The stationary point of `mueller_brown` near `point`, to machine precision, by Newton's iteration."""
    x = np.array(point)
    for _ in range(20):
        _, gradient, hessian = mueller_brown(*x)
        x = x - np.linalg.solve(hessian, gradient)
    assert np.abs(x - point).max() < 1e-3, "not the point that the paper lists"
    return x
