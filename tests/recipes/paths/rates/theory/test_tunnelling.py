"""Tunnelling factors: published tables, and the Schroedinger equation solved by numbers."""

import numpy as np
import pytest
from ase import units
from scipy.integrate import solve_ivp

from dp_sim.recipes.paths.rates.theory.tunnelling import log_eckart, log_transmission, log_wigner

#: hbar^2/2 in eV^2 Angstrom^2 amu / eV.
HALF_HBAR2 = (units._hbar * units.J * units.s) ** 2 / 2


def solved(energy: float, height: float, reverse: float, curvature: float, mass: float) -> float:
    """Transmission through Eckart's barrier by integration of the wave from the right, where it only leaves.

    V = A y/(1+y) + B y/(1+y)^2, y = exp(2 pi x/L), with A = V1 - V2, B = (sqrt V1 + sqrt V2)^2 and
    L = 2 pi sqrt(2/k) / (V1^-1/2 + V2^-1/2): heights and the second derivative -k at the top are those given.
    """
    step, hump = height - reverse, (np.sqrt(height) + np.sqrt(reverse)) ** 2
    length = 2 * np.pi * np.sqrt(2 / curvature) / (height**-0.5 + reverse**-0.5)

    def potential(x):
        y = np.exp(2 * np.pi * x / length)
        return step * y / (1 + y) + hump * y / (1 + y) ** 2

    far = 4.0 * length
    left, right = (np.sqrt(complex(energy - potential(x)) / HALF_HBAR2 * mass) for x in (-far, far))

    def wave(x, state):
        return [state[1], (potential(x) - energy) / HALF_HBAR2 * mass * state[0]]

    start = np.exp(1j * right * far)
    end = solve_ivp(wave, (far, -far), [start, 1j * right * start], rtol=1e-8, atol=1e-10, method="DOP853").y[:, -1]
    incoming = (end[0] + end[1] / (1j * left)) / 2
    return float((right / left).real / abs(incoming) ** 2)


@pytest.mark.parametrize("reverse", [0.4, 0.25, 0.7])
def test_the_transmission_is_that_of_the_schroedinger_equation(reverse):
    """A proton at a barrier of 0.4 eV, 0.15 eV below and above its top."""
    height, curvature, mass = 0.4, 8.0, 1.008
    quantum = np.sqrt(2 * HALF_HBAR2) * np.sqrt(curvature / mass)
    energies = np.array([0.25, 0.4, 0.55])
    ours = np.exp(log_transmission(energies, quantum, height, reverse))
    exact = [solved(energy, height, reverse, curvature, mass) for energy in energies]
    np.testing.assert_allclose(ours, exact, rtol=2e-5)
    assert ours[0] < 0.4 < ours[2] < 1


# H. S. Johnston and J. Heicklen, J. Phys. Chem. 66, 532 (1962), from their table: u* = h nu / k T, and
# alpha_i = 2 pi V_i / h nu.
@pytest.mark.parametrize(
    ("u", "first", "second", "published"),
    [(2, 20, 20, 1.20), (2, 2, 2, 1.32), (6, 4, 12, 3.39), (16, 2, 20, 23.3), (16, 2, 2, 34.0), (12, 12, 20, 3920)],
)
def test_eckart_factors_are_those_of_johnston_and_heicklen(u, first, second, published):
    frequency, temperature = 1000.0, 1000.0 * units.invcm / (u * units.kB)
    heights = [alpha * frequency * units.invcm / (2 * np.pi) for alpha in (first, second)]
    ours = log_eckart(-frequency, *heights, np.array([temperature]))
    assert np.exp(ours[0]) == pytest.approx(published, rel=1e-2)
    # Detailed balance: the reaction backwards has the same factor.
    assert log_eckart(-frequency, *heights[::-1], np.array([temperature]))[0] == pytest.approx(ours[0], abs=1e-5)


def test_a_wide_barrier_gives_wigners_factor():
    """u = 0.5 with a barrier of 2000 quanta: 1 + u^2/24, of which the next term is 7 u^4/5760."""
    temperature = np.array([1000.0 * units.invcm / (0.5 * units.kB)])
    height = 2000 * 1000.0 * units.invcm
    assert np.exp(log_wigner(-1000.0, temperature)[0]) == pytest.approx(1 + 0.25 / 24, rel=1e-12)
    assert np.expm1(log_eckart(-1000.0, height, height, temperature)[0]) == pytest.approx(0.25 / 24, rel=2e-2)


def test_hydrogen_atom_and_molecule():
    """H + H2: 9.8 kcal/mol and 1506 cm^-1, the barrier of the LSTH surface, against the Schroedinger equation.

    Wigner at 300 K by hand: u = 7.223, 1 + u^2/24 = 3.174.
    """
    barrier, quantum, kT = 9.8 * units.kcal / units.mol, 1506.0 * units.invcm, 300.0 * units.kB
    assert np.exp(log_wigner(-1506.0, np.array([300.0]))[0]) == pytest.approx(3.174, abs=2e-3)
    mass = 0.672  # any mass: with the frequency it makes the curvature
    nodes, weights = np.polynomial.legendre.leggauss(24)
    energies = (barrier + 12 * kT) * (nodes + 1) / 2
    passed = [solved(energy, barrier, barrier, mass * quantum**2 / (2 * HALF_HBAR2), mass) for energy in energies]
    exact = (weights * passed * np.exp((barrier - energies) / kT)).sum() * (barrier + 12 * kT) / 2 / kT
    assert np.exp(log_eckart(-1506.0, barrier, barrier, np.array([300.0]))[0]) == pytest.approx(exact, rel=2e-3)


def test_nothing_overflows_at_a_high_and_narrow_barrier():
    cold, hot = log_eckart(-3000.0, 5.0, 4.0, np.array([50.0, 5000.0]))
    assert 300 < cold < 5.0 / (50.0 * units.kB)
    assert np.expm1(hot) == pytest.approx((3000 * units.invcm / units.kB / 5000) ** 2 / 24, rel=0.2)
