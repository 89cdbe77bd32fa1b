"""Motions of the whole whose momentum nothing changes: a thermostat that scales all momenta alike cannot drive them.

A candidate is a translation along, or a rotation about, any axis that leaves the fixed atoms in place. Its momentum
sum_i m_i J_i . v_i, with J_i the displacement of atom i, is conserved if sum_i J_i . F_i is zero in every structure.
That is asked of the forces, in structures that are distorted at random, so that a molecule in a box, a chain, a slab,
a field from outside and fixed atoms need no case of their own.

Langevin's random forces change these momenta too. Bussi's thermostat and Nose-Hoover chains multiply all momenta by
one factor: total momentum and angular momentum keep their directions. They are therefore set to zero and do not count
as degrees of freedom; at zero they stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.recipes.inputs.structures import evaluate_once
from dp_sim.recipes.static.rigid_motions import whole_positions

#: Random displacement of each atom along each axis in a distorted structure (Angstrom).
DISTORTION_A = 0.05
#: Share of the forces' norm along a motion up to which nothing changes its momentum: float32 models leave 1e-6, grids
#: of electronic structure codes 1e-3, a liquid's torque (3 N)^(-1/2).
SHARE = 2e-3
#: Norm of the forces on a distorted structure (eV/Angstrom) up to which there are none but rounding.
NO_FORCE_EV_A = 1e-4
#: A displacement or momentum below this share of the largest is rounding.
ROUNDING = 1e-6


@dataclass(frozen=True)
class ConservedMotions:
    """The motions whose momenta are conserved.

    Attributes
    ----------
    columns
        (3 N, K) displacements of the atoms in the given structure.
    count
        Number of them that are independent in a distorted structure, which is K but for molecules that are straight.
    """

    columns: NDArray[np.float64]
    count: int

    def without(self, momenta: NDArray[np.float64], masses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take their part out of momenta (N, 3): p - m J (J^T m J)^-1 J^T p.

        What is left of Maxwell-Boltzmann momenta follows that distribution on the other degrees of freedom.
        """
        weighted = np.repeat(masses, 3)[:, None] * self.columns
        inertia = self.columns.T @ weighted
        part = weighted @ (np.linalg.pinv(inertia, rcond=ROUNDING, hermitian=True) @ (self.columns.T @ momenta.ravel()))
        return np.asarray(momenta - part.reshape(-1, 3))


def translations(n_atoms: int) -> ConservedMotions:
    """Give the three translations of free atoms."""
    return ConservedMotions(np.tile(np.eye(3), (n_atoms, 1)), 3)


def find_conserved_motions(
    atoms: Atoms, fixed: list[int], rng: np.random.Generator, *, rotations: bool
) -> ConservedMotions:
    """Find the rigid motions whose momenta the forces leave alone.

    Parameters
    ----------
    atoms
        The structure, with its calculator; it is not changed.
    fixed
        Indices of the atoms that stay.
    rng
        Generator of the distortions.
    rotations
        Whether to ask for rotations too: not where the cell changes.

    Raises
    ------
    InputError
        The calculator cannot evaluate a distorted structure.
    """
    places = whole_positions(atoms)
    center = places[fixed].mean(axis=0) if fixed else np.average(places, axis=0, weights=atoms.get_masses())
    candidates = _null_space(_rigid(places[fixed], center, rotations).T)
    if not candidates.shape[1]:
        return ConservedMotions(np.zeros((3 * len(atoms), 0)), 0)
    work, distorted = [], places
    for _ in range(candidates.shape[1] + 2):
        distorted, forces = _distorted_forces(atoms, fixed, rng, places)
        norm = float(np.linalg.norm(forces))
        if norm > NO_FORCE_EV_A:
            motions = candidates.T @ _rigid(distorted, center, rotations)
            work.append(motions @ forces / (norm * np.maximum(np.linalg.norm(motions, axis=1), ROUNDING)))
    if not work:  # no forces at all: of free particles the momenta count, and in a cell no rotation
        mixes = candidates if not atoms.pbc.any() else candidates @ _null_space(candidates[3:])
    else:
        mixes = candidates @ _null_space(np.array(work) / np.sqrt(len(work)), SHARE)
    columns = (mixes.T @ _rigid(places, center, rotations)).T
    moving = (mixes.T @ _rigid(distorted, center, rotations)).T
    return ConservedMotions(columns, int(np.linalg.matrix_rank(moving, tol=ROUNDING * np.sqrt(len(places)))))


def _rigid(positions: NDArray[np.float64], center: NDArray[np.float64], rotations: bool) -> NDArray[np.float64]:
    """Displacements (6 or 3, 3 n) of translations along, and rotations about, x, y and z."""
    arms = positions - center
    shifts = [np.broadcast_to(axis, arms.shape).ravel() for axis in np.eye(3)]
    turns = [np.cross(axis, arms).ravel() for axis in np.eye(3)] if rotations else []
    return np.array([*shifts, *turns])


def _null_space(rows: NDArray[np.float64], tolerance: float = ROUNDING) -> NDArray[np.float64]:
    """Orthonormal columns (k, K) that `rows` (m, k) takes to less than `tolerance`."""
    if not rows.size:
        return np.eye(rows.shape[1])
    _, values, vectors = np.linalg.svd(rows, full_matrices=True)
    size = np.zeros(rows.shape[1])
    size[: len(values)] = values
    return np.asarray(vectors[size < tolerance].T)


def _distorted_forces(
    atoms: Atoms, fixed: list[int], rng: np.random.Generator, places: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distort and shift the structure at random; return the whole positions (N, 3) and the forces (3 N,)."""
    shift = rng.normal(scale=DISTORTION_A, size=places.shape) + rng.normal(scale=DISTORTION_A, size=3)
    shift[fixed] = 0.0
    moved = atoms.copy()
    moved.set_constraint()
    moved.positions += shift
    moved.calc = atoms.calc
    evaluate_once(moved, "the structure, distorted to see which momenta the forces conserve,")
    forces = np.array(moved.get_forces(), dtype=np.float64)
    forces[fixed] = 0.0
    return places + shift, forces.ravel()
