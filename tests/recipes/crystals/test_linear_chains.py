"""Linear chains, one atom and two atoms a period: N. W. Ashcroft and N. D. Mermin, Solid State Physics (1976), ch. 22.

The chains stand side by side, too far apart to touch, in a tetragonal crystal.
"""

from typing import ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from ase.units import _amu, _e

from dp_sim.recipes import phonons, vibrations

STIFFNESS, BOND_A = 3.0, 2.0
#: sqrt(1 eV/Angstrom^2/amu) in THz, by SI constants alone.
THZ = np.sqrt(_e * 1e20 / _amu) / (2 * np.pi) / 1e12


class Chains(Calculator):
    """Springs between neighbours, of length 2 Angstrom, and between positive second neighbours, of length 4."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, second: float = 0.0):
        super().__init__()
        self.second = second

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        i, j, r, vector = neighbor_list("ijdD", atoms, 2.2 * BOND_A)
        charges = atoms.get_initial_charges()
        near = r < 1.5 * BOND_A
        stiffness = np.where(near, STIFFNESS, self.second * ((charges[i] > 0) & (charges[j] > 0)))
        stretch = r - np.where(near, BOND_A, 2 * BOND_A)
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, (stiffness * stretch / r)[:, None] * vector)
        self.results = {"energy": float((stiffness * stretch**2).sum() / 4), "forces": forces}


def chain(symbols: str) -> Atoms:
    """Chains along z, 5 Angstrom apart."""
    places = [[0, 0, BOND_A * number] for number in range(len(Atoms(symbols)))]
    return Atoms(symbols, places, cell=[5.0, 5.0, BOND_A * len(places)], pbc=True)


def along(result) -> tuple[np.ndarray, np.ndarray]:
    """Wave vectors along the chain, 1/Angstrom, and the longitudinal frequencies there, THz."""
    period = result.atoms.cell[2, 2]
    q = np.linspace(0.05, 1, 9) * np.pi / period
    points = np.outer(q * period / (2 * np.pi), [0, 0, 1])
    found = result.phonon.run_qpoints(points)
    n = len(result.atoms)
    return q * period, np.array(found.frequencies)[:, -n:]  # the transverse ones are zero


def test_one_atom_a_period():
    """omega = 2 sqrt(k / m) |sin(q a / 2)|, eq. 22.29."""
    result = phonons(chain("Al"), Chains(), supercell="1x1x4", mesh_A=10, delta=0.002)
    qa, frequencies = along(result)
    expected = 2 * np.sqrt(STIFFNESS / chain("Al").get_masses()[0]) * np.abs(np.sin(qa / 2)) * THZ
    np.testing.assert_allclose(frequencies[:, 0], expected, rtol=1e-4)


def test_two_atoms_a_period():
    """Acoustic and optical branch, M omega^2 of eq. 22.37 for masses: k s -+ k sqrt(s^2 - 4 sin^2(q a/2) / (m M))."""
    atoms = chain("NaCl")
    result = phonons(atoms, Chains(), supercell="1x1x3", mesh_A=10, delta=0.002)
    qa, frequencies = along(result)
    m, big = atoms.get_masses()
    s = 1 / m + 1 / big
    root = np.sqrt(s**2 - 4 * np.sin(qa / 2) ** 2 / (m * big))
    expected = np.sqrt(STIFFNESS * np.array([s - root, s + root])).T * THZ
    np.testing.assert_allclose(frequencies, expected, rtol=1e-4)


def test_unlike_atoms_of_one_element_are_not_copies_of_each_other():
    """Every other atom is positive, and these alone have springs to each other: D11 = 2 k + 2 k' (1 - cos q a).

    A program that looks at elements alone takes the atoms for alike and displaces one of them.
    """
    atoms = chain("Al2")
    atoms.set_initial_charges([1.0, -1.0])
    result = phonons(atoms, Chains(second=2.0), supercell="1x1x3", mesh_A=10, delta=0.002)
    assert len(result.atoms) == 2
    qa, frequencies = along(result)
    mass = atoms.get_masses()[0]
    for angle, found in zip(qa, frequencies, strict=True):
        coupling = -2 * STIFFNESS * np.cos(angle / 2)
        matrix = [[2 * STIFFNESS + 4.0 * (1 - np.cos(angle)), coupling], [coupling, 2 * STIFFNESS]]
        np.testing.assert_allclose(found, np.sqrt(np.linalg.eigvalsh(matrix) / mass) * THZ, rtol=1e-4)


@pytest.mark.parametrize("periods", [3, 4])
def test_vibrations_of_a_ring_of_atoms_are_the_waves_that_fit(periods):
    """N atoms in a periodic cell: q a = 2 pi n / N; what moves sideways costs nothing and is left at zero."""
    atoms = chain("Al") * (1, 1, periods)
    result = vibrations(atoms, Chains(), delta=0.002)
    waves = 2 * np.sqrt(STIFFNESS / atoms.get_masses()[0]) * np.abs(np.sin(np.pi * np.arange(1, periods) / periods))
    np.testing.assert_allclose(result.frequencies_cm1[1 - periods :], np.sort(waves) * 521.4709, rtol=1e-4)
    assert np.abs(result.frequencies_cm1[: 1 - periods]).max() < 1
