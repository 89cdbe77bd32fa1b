"""Infrared intensities of charges on springs, where they are known, and the area of a drawn line."""

import numpy as np
import pytest
from ase import units

from dp_sim.recipes.static.infrared import intensities_km_mol, spectrum


def test_two_charges_on_a_spring():
    """The dipole q r changes by q along the bond: A = N_A q^2 / (12 eps_0 c^2 mu), in SI units."""
    charge, masses = 0.4, np.array([1.008, 34.97])
    mu = masses[0] * masses[1] / masses.sum()
    step = np.array([[[0, 0, 1 / masses[0]], [0, 0, -1 / masses[1]]]]) * np.sqrt(mu)  # dr / dQ, Q = sqrt(mu) (r1 - r2)
    length = np.linalg.norm(step)
    derivatives = np.array([charge * np.eye(3), -charge * np.eye(3)])
    found = intensities_km_mol(derivatives, step / length, np.array([1 / length**2]))
    si = units._Nav * (charge * units._e) ** 2 / (12 * units._eps0 * units._c**2 * mu * units._amu) / 1000
    assert found[0] == pytest.approx(si, rel=2e-5)


def test_a_line_keeps_its_area_and_has_the_width_that_was_asked_for():
    grid, height = spectrum(np.array([-300.0, 1500.0]), np.array([500.0, 80.0]), 10.0)
    area = np.sum(height) * (grid[1] - grid[0])
    assert area == pytest.approx(80.0, rel=0.03)  # the wings reach beyond the drawn range
    assert height.max() == pytest.approx(2 * 80 / (np.pi * 10), rel=1e-6)
    above = grid[height > height.max() / 2]
    assert above[-1] - above[0] == pytest.approx(10.0, abs=2.6)


def test_no_lines_no_absorption():
    grid, height = spectrum(np.zeros(0), np.zeros(0), 10.0)
    assert len(grid) == len(height)
    assert not height.any()
