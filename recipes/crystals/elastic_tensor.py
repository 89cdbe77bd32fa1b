"""Elastic constants as a tensor: what symmetry leaves of it, its fit to stresses, averages over orientations.

Voigt order xx, yy, zz, yz, xz, xy; shear strains are twice the tensor's (J. F. Nye, Physical Properties of Crystals,
1985, ch. 8).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


class Averages(NamedTuple):
    """Moduli of a polycrystal, GPa: bulk K and shear G of Voigt, Reuss and Hill, and what follows from Hill's."""

    bulk_voigt: float
    bulk_reuss: float
    bulk_hill: float
    shear_voigt: float
    shear_reuss: float
    shear_hill: float
    young: float
    poisson: float
    anisotropy: float


class Fit(NamedTuple):
    """A fitted tensor.

    Attributes
    ----------
    constants
        (6, 6) in the unit of the stresses.
    errors
        (6, 6) standard errors: what straight lines, parabolas and cubics leave of the stresses.
    basis
        (K, 6, 6) invariant tensors.
    covariance
        (K, K) of their coefficients.
    """

    constants: Array
    errors: Array
    basis: Array
    covariance: Array


def strain_matrix(voigt: Array) -> Array:
    """Write a strain (6,) as a symmetric tensor (3, 3)."""
    tensor = np.zeros((3, 3))
    for value, (a, b) in zip(voigt, _PAIRS, strict=True):
        tensor[a, b] = tensor[b, a] = value if a == b else value / 2
    return tensor


def bond_matrix(rotation: Array) -> Array:
    """Turn stresses: sigma' = M sigma for sigma'_ab = R_ac R_bd sigma_cd (W. L. Bond, Bell Syst. Tech. J. 22, 1943)."""
    matrix = np.empty((6, 6))
    for column, (c, d) in enumerate(_PAIRS):
        stress = np.zeros((3, 3))
        stress[c, d] = stress[d, c] = 1.0
        turned = rotation @ stress @ rotation.T
        matrix[:, column] = [turned[a, b] for a, b in _PAIRS]
    return matrix


def invariant_tensors(rotations: Array) -> Array:
    """Find an orthonormal basis (K, 6, 6) of the symmetric tensors with C = M C M^T for every rotation (R, 3, 3).

    K is 3 for cubic crystals, 5 for hexagonal ones, 6 or 7 for trigonal and tetragonal, 9, 13 and 21 below.
    """
    turns = [bond_matrix(rotation) for rotation in rotations]
    images = []
    for a in range(6):
        for b in range(a, 6):
            unit = np.zeros((6, 6))
            unit[a, b] = unit[b, a] = 1.0
            images.append(np.mean([turn @ unit @ turn.T for turn in turns], axis=0).ravel())
    _, sizes, vectors = np.linalg.svd(np.array(images))
    return vectors[: len(sizes)][sizes > 1e-8].reshape(-1, 6, 6)


def independent_constants(basis: Array, tolerance: float = 1e-6) -> list[tuple[int, int]]:
    """Choose constants (row, column) from which symmetry gives the others, in the order of reading.

    Parameters
    ----------
    basis
        (K, 6, 6) from `invariant_tensors`.
    tolerance
        Parts of the basis that axes known no better than this may show.
    """
    chosen: list[tuple[int, int]] = []
    for place in [(a, b) for a in range(6) for b in range(a, 6)]:
        rows = np.array([basis[:, a, b] for a, b in [*chosen, place]])
        if np.linalg.matrix_rank(rows, tol=tolerance) > len(chosen):
            chosen.append(place)
    return chosen


def needed_strains(basis: Array) -> list[int]:
    """Choose the strains along single Voigt components whose stresses determine every coefficient."""
    chosen: list[int] = []
    rank = 0
    for component in range(6):
        seen = np.concatenate([basis[:, :, one].T for one in [*chosen, component]])
        better = int(np.linalg.matrix_rank(seen, tol=1e-6))
        if better > rank:
            chosen.append(component)
            rank = better
    return chosen


def fit_tensor(basis: Array, strains: list[int], amplitudes: Array, stresses: Array) -> Fit:
    """Fit sigma(a e) = a C e + a^2 q + a^3 t by least squares, C invariant, q and t free for each strain e.

    Parameters
    ----------
    basis
        (K, 6, 6) from `invariant_tensors`.
    strains
        S Voigt components.
    amplitudes
        (A,) of both signs, at least two sizes.
    stresses
        (S, A, 6), less that of the unstrained crystal.
    """
    n_strains, n_amplitudes, k = len(strains), len(amplitudes), len(basis)
    design = np.zeros((n_strains, n_amplitudes, 6, k + 12 * n_strains))
    for number, component in enumerate(strains):
        design[number, :, :, :k] = amplitudes[:, None, None] * basis[:, :, component].T
        for row in range(6):
            place = k + 12 * number + 2 * row
            design[number, :, row, place] = amplitudes**2
            design[number, :, row, place + 1] = amplitudes**3
    matrix = design.reshape(-1, design.shape[-1])
    scale = np.linalg.norm(matrix, axis=0)
    found, _, rank, _ = np.linalg.lstsq(matrix / scale, stresses.ravel(), rcond=None)
    left = stresses.ravel() - matrix / scale @ found
    variance = (left @ left) / (len(left) - rank)
    covariance = variance * np.linalg.pinv((matrix / scale).T @ (matrix / scale)) / np.outer(scale, scale)
    inner = covariance[:k, :k]
    return Fit(
        constants=np.einsum("k,kab->ab", found[:k] / scale[:k], basis),
        errors=np.sqrt(np.maximum(np.einsum("kab,kl,lab->ab", basis, inner, basis), 0.0)),
        basis=basis,
        covariance=inner,
    )


def averages(constants: Array) -> Averages:
    """Average over orientations: R. Hill, Proc. Phys. Soc. A 65, 349 (1952), eqs. 1 to 5.

    The anisotropy is the universal one of S. I. Ranganathan and M. Ostoja-Starzewski, Phys. Rev. Lett. 101, 055504
    (2008), eq. 9: 0 for an isotropic solid.
    """
    c, s = constants, np.linalg.inv(constants)
    bulk_voigt = (np.trace(c[:3, :3]) + 2 * (c[0, 1] + c[1, 2] + c[0, 2])) / 9
    shear_voigt = (np.trace(c[:3, :3]) - (c[0, 1] + c[1, 2] + c[0, 2]) + 3 * np.trace(c[3:, 3:])) / 15
    bulk_reuss = 1 / (np.trace(s[:3, :3]) + 2 * (s[0, 1] + s[1, 2] + s[0, 2]))
    shear_reuss = 15 / (4 * np.trace(s[:3, :3]) - 4 * (s[0, 1] + s[1, 2] + s[0, 2]) + 3 * np.trace(s[3:, 3:]))
    k, g = (bulk_voigt + bulk_reuss) / 2, (shear_voigt + shear_reuss) / 2
    return Averages(
        bulk_voigt=float(bulk_voigt),
        bulk_reuss=float(bulk_reuss),
        bulk_hill=float(k),
        shear_voigt=float(shear_voigt),
        shear_reuss=float(shear_reuss),
        shear_hill=float(g),
        young=float(9 * k * g / (3 * k + g)),
        poisson=float((3 * k - 2 * g) / (2 * (3 * k + g))),
        anisotropy=float(5 * shear_voigt / shear_reuss + bulk_voigt / bulk_reuss - 6),
    )


def average_errors(fit: Fit) -> Averages:
    """Propagate the covariance of a fit to the averages: standard errors, to first order."""
    centre = np.array(averages(fit.constants))
    scale = 1e-4 * np.abs(fit.constants).max()
    slopes = np.array([(np.array(averages(fit.constants + scale * one)) - centre) / scale for one in fit.basis])
    return Averages(*np.sqrt(np.maximum(np.einsum("ka,kl,la->a", slopes, fit.covariance, slopes), 0.0)).tolist())


def weakest_strain(constants: Array) -> tuple[float, Array]:
    """Find the smallest eigenvalue of the tensor, and its strain (6,); a stable crystal has none below zero.

    M. Born and K. Huang, Dynamical Theory of Crystal Lattices (1954); F. Mouhat and F.-X. Coudert, Phys. Rev. B 90,
    224104 (2014). In Mandel's form, where strains have their true length.
    """
    root = np.array([1, 1, 1, np.sqrt(2), np.sqrt(2), np.sqrt(2)])
    values, vectors = np.linalg.eigh(constants * np.outer(root, root))
    return float(values[0]), np.asarray(vectors[:, 0] * root)
