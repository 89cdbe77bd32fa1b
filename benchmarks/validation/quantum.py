"""The quantum heat capacity of a crystal: phonons of springs against their closed form, and the solid of Debye.

Springs between the neighbours of an fcc lattice have phonons in closed form (N. W. Ashcroft and N. D. Mermin, Solid
State Physics (1976), eqs. 22.57 to 22.59). At low temperature only sound is left, whose speeds give Debye's
temperature:

    C_V = 9 k_B (T / theta)^3 int_0^(theta / T) x^4 e^x / (e^x - 1)^2 dx an atom      (Ashcroft and Mermin, 23.26)

The dispersion adds a share that falls as T^2: from two temperatures it is extrapolated away.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import units
from ase.build import bulk
from scipy.integrate import quad
from spring_crystal import SpringCrystal, fcc_frequencies_THz

from dp_sim.recipes import phonons
from validation.check import Check

EDGE_A, STIFFNESS, ELEMENT = 4.0, 2.0, "Al"
#: Points along each reciprocal vector of the mesh of the closed form.
MESH = 32
THZ_IN_K = units._hplanck * 1e12 / units._k
STEP_K = 10.0


def checks(scale: float) -> Iterator[Check]:
    """Check C_V from cold to classical; there are no runs, whose length could be scaled."""
    crystal = bulk(ELEMENT, a=EDGE_A)
    mass = float(crystal.get_masses()[0])
    found = phonons(
        crystal, SpringCrystal(STIFFNESS, EDGE_A / np.sqrt(2), 3.2), supercell="2", delta=0.001, mesh_A=300.0,
        temperature_step_K=STEP_K, temperature_max_K=1000.0, progress=False,
    )  # fmt: skip
    assert found.thermal is not None
    in_closed_form = closed_form_frequencies_K(mass)
    subject = f"fcc springs, Debye temperature {debye_temperature_K(mass):.0f} K"

    def heat_capacity(temperature_K: float) -> float:
        at = int(np.abs(found.thermal.temperatures_K - temperature_K).argmin())
        return float(found.thermal.heat_capacity_eV_per_K[at] / units.kB)

    for temperature_K in (60.0, 120.0, 300.0, 1000.0):
        exact = float(_einstein(in_closed_form / temperature_K).sum(axis=1).mean())
        value, quantity = heat_capacity(temperature_K), f"C_V at {temperature_K:g} K (closed form)"
        yield Check(subject, quantity, "k_B", value, exact, 0.998 * exact, 1.002 * exact)
    theta = debye_temperature_K(mass)
    cold, colder = (heat_capacity(one) / debye(theta / one) for one in (20.0, 10.0))
    yield Check(subject, "C_V over Debye's, at 20 K", "", cold, 1.0)
    yield Check(subject, "C_V over Debye's, to 0 K", "", (4 * colder - cold) / 3, 1.0, 0.98, 1.02)
    yield Check(subject, "C_V at 1000 K (Dulong and Petit)", "k_B", heat_capacity(1000.0), 3.0, 2.95, 3.0)


def _einstein(x: np.ndarray) -> np.ndarray:
    """Heat capacity of oscillators with h nu / k_B T = x, k_B."""
    return (x / 2 / np.sinh(x / 2)) ** 2


def debye(x: float) -> float:
    """Heat capacity an atom of Debye's solid with theta / T = x, k_B."""
    return float(9 / x**3 * quad(lambda y: y**4 * np.exp(-y) / (1 - np.exp(-y)) ** 2, 1e-9, x)[0])


def closed_form_frequencies_K(mass: float) -> np.ndarray:
    """Frequencies h nu / k_B (Q, 3) on a mesh of the Brillouin zone that leaves the centre out, K."""
    reciprocal = 2 * np.pi * bulk(ELEMENT, a=EDGE_A).cell.reciprocal()
    axis = (np.arange(MESH) + 0.5) / MESH
    mesh = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3) @ reciprocal
    return THZ_IN_K * np.array([fcc_frequencies_THz(STIFFNESS, mass, EDGE_A, q) for q in mesh])


def debye_temperature_K(mass: float) -> float:
    """Average the speeds of sound, as v^-3 over directions and branches."""
    directions = np.random.default_rng(0).normal(size=(4000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    small = 1e-3
    speeds = np.array([fcc_frequencies_THz(STIFFNESS, mass, EDGE_A, small * one) for one in directions]) / small
    speed = np.mean(speeds**-3.0) ** (-1 / 3)
    return float(THZ_IN_K * speed * (6 * np.pi**2 * 4 / EDGE_A**3) ** (1 / 3))
