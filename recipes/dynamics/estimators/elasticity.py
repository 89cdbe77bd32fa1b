"""Elastic constants from the fluctuations of a cell that is free in all its lengths and angles.

With the lattice vectors in the rows of h, and h0 the mean cell, h = h0 D and a point x0 goes to x = D^T x0. The
deformation gradient is F = D^T, and Lagrange's strain

    eta = (F^T F - 1) / 2 = (D D^T - 1) / 2                                                                     (1)

does not change when the cell is turned. At constant pressure p a strain has the probability exp(-(A + p V) / k_B T),
with the free energy A, so that to second order (M. Parrinello and A. Rahman, J. Chem. Phys. 76, 2662 (1982), eq. 12)

    S = V0 / (k_B T) Cov(eta, eta),        C = S^-1 = d^2 (A + p V) / d eta^2 / V0.                             (2)

The second derivative of p V at h0 is p V0 (d_ij d_kl - d_ik d_jl - d_il d_jk). So C holds the coefficients that relate
Cauchy's stress to small strains, those of Birch (D. C. Wallace, Thermodynamics of Crystals (1972), eq. 2.36), which
decide on stability, as those of `dp-sim elastic` do. Second derivatives of the free energy alone (Brugger) are
C11 + p, C12 - p, C44 + p.

Tensors are in Mandel's form, (xx, yy, zz, sqrt(2) yz, sqrt(2) xz, sqrt(2) xy): there a rotation of axes is orthogonal,
and the mean over a group of them is the projection on what the group leaves alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from dp_sim.recipes.dynamics.estimators.correlation import FEWEST_COSINES, is_constant, statistical_inefficiency
from dp_sim.recipes.dynamics.estimators.intervals import (
    Interval,
    inverse_variance_interval,
    mean_interval,
    unbiased_inverse_interval,
)
from dp_sim.recipes.dynamics.estimators.statistic import Statistic
from dp_sim.recipes.dynamics.estimators.verdict import (
    NEEDED_FOR_FLUCTUATION,
    NEEDED_OF_FLUCTUATING,
    Requirement,
    estimate,
)
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import EV_PER_A3_IN_GPA, KB_EV_PER_K

Array = NDArray[np.float64]

#: Components of a strain, in the order of Voigt, and their names.
PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
STRAIN_NAMES = ("xx", "yy", "zz", "yz", "xz", "xy")
#: From Voigt's form of constants to Mandel's.
_ROOT = np.sqrt([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
_WEIGHTS = np.outer(_ROOT, _ROOT)
#: Trace of a strain in Mandel's form.
_TRACE = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
#: Relative correction for few samples beyond which its second order counts, and nothing is given.
LARGEST_CORRECTION = 0.4


@dataclass(frozen=True)
class FluctuationConstants:
    """Elastic constants from strain fluctuations.

    Attributes
    ----------
    reference_A
        (3, 3) mean cell, Angstrom.
    estimates
        Name (C11, C12, ...) -> constant, GPa; those that symmetry makes zero are left out.
    bulk_modulus_GPa
        1 / (S11 + S22 + S33 + 2 S12 + 2 S13 + 2 S23) = k_B T <V> / Var(V) to first order in the strains, GPa.
    """

    reference_A: Array
    estimates: Mapping[str, Estimate]
    bulk_modulus_GPa: Estimate

    def tensor_GPa(self, part: str = "value") -> Array | None:
        """Return the constants (6, 6) in Voigt's form, or their standard errors (part="error"); None if withheld."""
        tensor = np.zeros((6, 6))
        for name, one in self.estimates.items():
            if one.value is None:
                return None
            a, b = place_of(name)
            tensor[a, b] = tensor[b, a] = getattr(one, part)
        return tensor


def lagrangian_strains(cells_A: Array) -> tuple[Array, Array]:
    """Compute the strains of cells from their mean.

    Parameters
    ----------
    cells_A
        (S, 3, 3) lattice vectors in rows, held upright, Angstrom.

    Returns
    -------
    reference_A, strains
        (3, 3) mean cell, and (S, 6) strains of eq. 1 in Mandel's form.
    """
    reference = cells_A.mean(axis=0)
    deformation = np.linalg.inv(reference) @ cells_A
    eta = (deformation @ deformation.transpose(0, 2, 1) - np.eye(3)) / 2
    return reference, np.stack([eta[:, a, b] for a, b in PAIRS], axis=1) * _ROOT


def no_symmetry() -> Array:
    """Give a basis (21, 6, 6) of all symmetric tensors, in Voigt's form."""
    basis = np.zeros((21, 6, 6))
    for number, (a, b) in enumerate(zip(*np.triu_indices(6), strict=True)):
        basis[number, a, b] = basis[number, b, a] = 1.0
    return basis


def elastic_constants(
    cells_A: Array, temperature_K: float, *, basis: Array | None = None, steps_per_sample: int
) -> FluctuationConstants:
    """Estimate elastic constants by eq. 2, in GPa.

    Parameters
    ----------
    cells_A
        (S, 3, 3) lattice vectors in rows, held upright, Angstrom.
    temperature_K
        The thermostat's.
    basis
        (K, 6, 6) tensors that the crystal's symmetry allows, in Voigt's form and in the axes of the cells; None: all.
    steps_per_sample
        For the number of steps that a longer run would take.
    """
    basis = no_symmetry() if basis is None else basis
    reference, strains = lagrangian_strains(cells_A)
    if len(cells_A) <= FEWEST_COSINES or any(is_constant(cells_A[:, a, b]) for a in range(3) for b in range(a + 1)):
        few = "the shape of the cell does not fluctuate" if len(cells_A) > FEWEST_COSINES else "the run is too short"
        withheld = Estimate.withheld("GPa", few)
        return FluctuationConstants(reference, dict.fromkeys(_allowed(basis), withheld), withheld)
    if np.linalg.matrix_rank(strains - strains.mean(axis=0)) < len(PAIRS):  # a cell may stay for some samples
        withheld = Estimate.withheld("GPa", "the run is too short: the cell had too few shapes for a covariance")
        return FluctuationConstants(reference, dict.fromkeys(_allowed(basis), withheld), withheld)
    found = Compliance(strains, reference, temperature_K, basis)
    slowest = max(range(6), key=lambda one: statistical_inefficiency(strains[:, one]))
    needed = Requirement(f"the strain {STRAIN_NAMES[slowest]}", strains[:, slowest], NEEDED_OF_FLUCTUATING)

    def of(statistic: Statistic, interval: Interval) -> Estimate:
        fluctuations = Requirement("the fluctuations of the strains", statistic.influence, NEEDED_FOR_FLUCTUATION)
        made = estimate(statistic, "GPa", interval, steps_per_sample, needed, fluctuations)
        if made.value is None or found.largest_correction <= LARGEST_CORRECTION:
            return made
        return Estimate.withheld(
            "GPa",
            f"the inverse of a covariance of so few independent strains is {100 * found.largest_correction:.0f} % too "
            f"large on average: run about {found.largest_correction / LARGEST_CORRECTION:.1f} times as many steps",
            made.n_effective,
        )

    return FluctuationConstants(
        reference,
        {
            name: of(found.constant(a, b), unbiased_inverse_interval if a == b else mean_interval)
            for name, (a, b) in _allowed(basis).items()
        },
        of(found.bulk_modulus(), inverse_variance_interval),
    )


def name_of(row: int, column: int) -> str:
    """Name a constant: C12 in row 0 and column 1."""
    return f"C{row + 1}{column + 1}"


def place_of(name: str) -> tuple[int, int]:
    """Give the row and column of a constant by its name."""
    return int(name[1]) - 1, int(name[2]) - 1


def _allowed(basis: Array) -> dict[str, tuple[int, int]]:
    """Name the constants that symmetry does not make zero; give their places (row, column)."""
    places = ((a, b) for a in range(6) for b in range(a, 6) if np.abs(basis[:, a, b]).max() > 1e-8)
    return {name_of(a, b): (a, b) for a, b in places}


class Compliance:
    """S and its inverse, GPa, with the influence values of both.

    Attributes
    ----------
    compliance
        (6, 6) S in Mandel's form.
    corrected
        (6, 6) C in Mandel's form, without the bias that an inverse has.
    largest_correction
        The largest relative correction.
    """

    def __init__(self, strains: Array, reference_A: Array, temperature_K: float, basis: Array) -> None:
        kT_GPa = KB_EV_PER_K * temperature_K / abs(float(np.linalg.det(reference_A))) * EV_PER_A3_IN_GPA
        allowed = np.linalg.svd((basis * _WEIGHTS).reshape(len(basis), -1), full_matrices=False)[2]
        self._basis = allowed.reshape(-1, 6, 6)
        centred = strains - strains.mean(axis=0)
        # The volume in front fluctuates too, by a hundredth of what these products do: its influence is left out.
        products = np.einsum("sa,kab,sb->sk", centred, self._basis, centred, optimize=True) / kT_GPa
        self._influence = products - products.mean(axis=0)
        # Deviations from the mean strain lack the covariance of that mean.
        of_mean = _slowest(centred).T @ _slowest(centred) / (FEWEST_COSINES * len(strains) * kT_GPa)
        coefficients = products.mean(axis=0) + np.einsum("ab,kab->k", of_mean, self._basis)
        self.compliance = np.einsum("k,kab->ab", coefficients, self._basis)
        self._raw = np.linalg.inv(self.compliance)
        self.corrected, self.largest_correction = self._unbiased()

    def _unbiased(self) -> tuple[Array, float]:
        """Take away the bias of the inverse.

        A sample covariance is W (1 + delta) W with the true one W W, and its inverse on average
        W^-1 (1 + <delta delta>) W^-1 to second order. For nu independent Gaussian strains <delta delta> = 7 / nu, and
        1 - 7 / nu is exact (inverse of a Wishart matrix of dimension 6; with symmetry it is less). Correlated strains
        have for <delta delta> the mean square of the slowest cosines of delta, over the number of samples: each
        strain's own correlation time counts.
        """
        values, vectors = np.linalg.eigh(self.compliance)
        root = vectors / np.sqrt(values) @ vectors.T  # W^-1
        whitened = root @ self._basis @ root
        delta = np.einsum("ck,kab->cab", _slowest(self._influence), whitened)
        bias = (delta @ delta).mean(axis=0) / len(self._influence)
        return root @ (np.eye(6) - bias) @ root, float(np.linalg.eigvalsh(bias)[-1])

    def constant(self, a: int, b: int) -> Statistic:
        """Return C_ab of Voigt's form: dC = -C dS C."""
        slopes = -np.einsum("i,kij,j->k", self._raw[a], self._basis, self._raw[b])
        weight = _WEIGHTS[a, b]
        return Statistic(float(self.corrected[a, b] / weight), self._influence @ slopes / weight)

    def bulk_modulus(self) -> Statistic:
        """Return the inverse of what all strains of one pressure make of the volume."""
        value = 1 / float(_TRACE @ self.compliance @ _TRACE)
        slopes = -(value**2) * np.einsum("i,kij,j->k", _TRACE, self._basis, _TRACE)
        return Statistic(value, self._influence @ slopes)


def _slowest(series: Array) -> Array:
    """Give the coefficients of the slowest cosines of series (S, k), without the mean."""
    return np.asarray(dct(series, axis=0, norm="ortho")[1 : FEWEST_COSINES + 1])
