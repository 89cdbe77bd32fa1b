"""Tunnelling through a barrier as a factor on the classical rate, from its curvature and its heights.

E. Wigner, Z. Phys. Chem. B 19, 203 (1932):   kappa = 1 + u^2/24,  u = h nu / k T.                                  (1)
C. Eckart, Phys. Rev. 35, 1303 (1930), with the names of H. S. Johnston and J. Heicklen, J. Phys. Chem. 66, 532 (1962):
with the barrier V1 from the reactant, V2 from the product, and a_i = 2 pi V_i / h nu,

    P(E) = 1 - [cosh(A - B) + D] / [cosh(A + B) + D],                                                                (2)
    A = 2 sqrt(2 pi E / h nu) / (a_1^-1/2 + a_2^-1/2),    B = the same with E - V1 + V2,
    D = cosh(2 sqrt(a_1 a_2 - pi^2/4)),                   cos(2 sqrt(pi^2/4 - a_1 a_2)) where a_1 a_2 < pi^2/4,
    kappa = exp(V1/kT) / kT  int_{E0}^{inf} P(E) exp(-E/kT) dE,    E0 = max(0, V1 - V2).                            (3)
"""

from __future__ import annotations

import numpy as np
from ase import units
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Nodes of the Gauss-Legendre quadrature below and above the barrier; and how far above it it goes, in k T.
NODES = 400
ABOVE_KT = 40.0


def log_wigner(frequency_cm1: float, temperatures_K: Array) -> Array:
    """Compute the logarithm of Wigner's factor, eq. 1.

    Parameters
    ----------
    frequency_cm1
        Of the imaginary mode, without regard to its sign.
    temperatures_K
        (T,).

    Returns
    -------
    (T,) array
        Natural logarithms.
    """
    u = abs(frequency_cm1) * units.invcm / (units.kB * temperatures_K)
    return np.asarray(np.log1p(u**2 / 24))


def log_eckart(frequency_cm1: float, forward_eV: float, reverse_eV: float, temperatures_K: Array) -> Array:
    """Compute the logarithm of the factor of Eckart's barrier, eq. 3; it is the same for the reaction backwards.

    Parameters
    ----------
    frequency_cm1
        Of the imaginary mode, without regard to its sign.
    forward_eV, reverse_eV
        Heights V1 and V2 above reactant and product; both above zero.
    temperatures_K
        (T,).

    Returns
    -------
    (T,) array
        Natural logarithms: in the cold the factor itself may be beyond the largest number.
    """
    quantum = abs(frequency_cm1) * units.invcm
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    start, found = max(0.0, forward_eV - reverse_eV), []
    for kT in units.kB * np.asarray(temperatures_K, dtype=float):
        terms = []
        for low, high in ((start, forward_eV), (forward_eV, forward_eV + ABOVE_KT * kT)):
            energies = low + (high - low) * (nodes + 1) / 2
            passed = log_transmission(energies, quantum, forward_eV, reverse_eV)
            terms.append(passed + (forward_eV - energies) / kT + np.log(weights * (high - low) / 2 / kT))
        found.append(np.logaddexp.reduce(np.concatenate(terms)))
    return np.array(found)


def log_transmission(energies_eV: Array, quantum_eV: float, forward_eV: float, reverse_eV: float) -> Array:
    """Compute the logarithm of the probability to pass Eckart's barrier, eq. 2, at energies (E,) above the reactant.

    In the form 2 sinh A sinh B / [cosh(A + B) + D], by logarithms: nothing cancels and nothing overflows.
    """
    first, second = (2 * np.pi * height / quantum_eV for height in (forward_eV, reverse_eV))
    scale = 2 / (first**-0.5 + second**-0.5)
    a = scale * np.sqrt(2 * np.pi * np.maximum(energies_eV, 0.0) / quantum_eV)
    b = scale * np.sqrt(2 * np.pi * np.maximum(energies_eV - forward_eV + reverse_eV, 0.0) / quantum_eV)
    depth = first * second - np.pi**2 / 4
    with np.errstate(divide="ignore"):  # the logarithm of no transmission at all
        numerator = np.log(2) + _log_sinh(a) + _log_sinh(b)
        if depth > 0:
            denominator = np.logaddexp(_log_cosh(a + b), _log_cosh(np.array(2 * np.sqrt(depth))))
        else:
            cosine = np.cos(2 * np.sqrt(-depth))
            denominator = _log_cosh(a + b) + np.log1p(cosine * np.exp(-_log_cosh(a + b)))
    return np.asarray(numerator - denominator)


def _log_sinh(x: Array) -> Array:
    return np.asarray(x - np.log(2) + np.log(-np.expm1(-2 * x)))


def _log_cosh(x: Array) -> Array:
    return np.asarray(x - np.log(2) + np.log1p(np.exp(-2 * x)))
