"""Motions of the whole that cost no energy: found, counted and named, to be taken out of the normal modes.

A candidate is a translation along, or a rotation about, any axis that leaves the fixed atoms in place. What it costs is
the second derivative of the energy along it, over its mass-weighted norm: for a rotation w, with r measured from the
centre, J = w x r and x'' = w x (w x r) the centripetal acceleration of the path (a rotation is no straight line),

    cost = (J^T H J + g . x'') / (sum_i m_i |J_i|^2),        g = dE/dr.

For a molecule in free space that is zero in any structure, relaxed or not; without the second term the forces left by
an optimisation would make a rotation of it an oscillation of some 10 cm^-1. What costs nothing is taken out; what a
cell, a surface or a field holds is a vibration and stays. No distance decides, so a molecule alone in a periodic cell,
a chain that is periodic along one axis, and a molecule with one or two fixed atoms need no case of their own.

Where the Hessian is made of differences, a doubtful cost is measured by moving the whole to both sides, twice:

    from the slopes    (s(+d) - s(-d)) / 2d,        from the energies    (E(+d) - 2 E(0) + E(-d)) / d^2.

An SCF that stops early is wrong by first order in its density in the forces, and by second order in the energy: 1e-4
eV/Angstrom, which make a rotation of a hydrogen one of 20 cm^-1, go with 1e-8 eV. Numbers of single precision are the
other way round. What holds a molecule shows in both; so the smaller cost of the two is the one with less noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.recipes.inputs.failed_evaluations import EvaluationError
from dp_sim.recipes.static.normal_modes import ZERO_CM1, Array, wavenumbers

#: A costly motion below this (cm^-1) is asked again by moving the atoms, where the Hessian comes from differences.
DOUBTFUL_CM1 = 80.0
#: How far the atom that goes farthest is moved for that, Angstrom: far, as nothing but noise should come of it.
MOVE_A = 0.1
#: Fixed atoms, or a rotation, whose extent is below this share of the largest one, have none: rounding.
ROUNDING = 1e-6
#: Energy (eV), and forces (n, 3) eV/Angstrom on the atoms that may move, at these positions (n, 3) of theirs.
Evaluate = Callable[[Array], tuple[float, Array]]


class RigidMotions(NamedTuple):
    """Rigid motions that are removed from the motion of n atoms.

    Attributes
    ----------
    columns
        (3n, K) orthonormal, in mass-weighted coordinates sqrt(m) r.
    translations, rotations
        How many of the K are which.
    held_cm1
        Wavenumbers of the candidates that were not removed, cm^-1 (negative: the energy falls).
    linear
        Whether the atoms lie on one line, as far as the remaining forces in the structure allow to tell.
    unasked
        How the calculator failed at motions whose doubtful cost was to be asked again, so that what the Hessian says
        of them counts; else empty.
    """

    columns: Array
    translations: int
    rotations: int
    held_cm1: Array
    linear: bool
    unasked: str = ""

    @property
    def words(self) -> str:
        """How many of which kind, and what holds the others, as a phrase."""
        taken = [_count(self.translations, "translation"), _count(self.rotations, "rotation")]
        text = " and ".join(taken) + " taken out"
        if self.linear and self.rotations:
            text += " (the atoms lie on one line)"
        if len(self.held_cm1):
            text += (
                f"; moving or turning the whole in another way costs {np.abs(self.held_cm1).min():.0f} cm^-1 or more"
            )
        if self.unasked:
            text += f"; moved as a whole by {MOVE_A:g} Angstrom it cannot be evaluated ({self.unasked})"
        return text


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def find_rigid_motions(
    atoms: Atoms, hessian: Array, gradient: Array, mobile: NDArray[np.intp], evaluate: Evaluate | None = None
) -> RigidMotions:
    """Find the translations and rotations that cost less than `ZERO_CM1`.

    Parameters
    ----------
    atoms
        The whole structure, with the masses that count.
    hessian
        (3n, 3n) over the n mobile atoms, eV/Angstrom^2.
    gradient
        (n, 3) first derivatives on them, minus the forces, eV/Angstrom.
    mobile
        (n,) indices of the atoms that may move; no more than two fixed places leave any rigid motion.
    evaluate
        For a Hessian by differences: a motion with a doubtful cost is then measured again by moving the atoms along
        it. A difference of 0.005 Angstrom bends a bond of hydrogen by more than the rotation that is asked about.
    """
    positions = whole_positions(atoms)
    masses = atoms.get_masses()[mobile]
    free = len(mobile) == len(atoms)
    fixed = np.delete(positions, mobile, axis=0)
    center = np.average(positions, axis=0, weights=atoms.get_masses()) if free else fixed.mean(axis=0)
    arms = positions[mobile] - center
    axes = np.eye(3) if free else _axes_through(fixed - center)
    axes, linear = _turning_axes(axes, arms, masses, hessian)
    shifts = np.array([np.tile(axis, len(mobile)) for axis in np.eye(3)]) if free else np.zeros((0, 3 * len(mobile)))
    turns = np.array([np.cross(axis, arms).ravel() for axis in axes]).reshape(len(axes), 3 * len(mobile))
    # What the forces add to the cost of a path that bends; see the head of this module.
    bending = [[np.vdot(_centripetal(a, b, arms), gradient) for b in axes] for a in axes]
    measures: list[_Measure | None] = [None, None]
    if evaluate is not None:
        measures = [_Measure(evaluate, positions[mobile], center, turning) for turning in (None, axes)]
    shifting, held = _free_ones(shifts, shifts @ hessian @ shifts.T, masses, measures[0])
    turning, kept = _free_ones(turns, turns @ hessian @ turns.T + np.array(bending), masses, measures[1])
    columns = np.linalg.qr(np.concatenate([shifting, turning], axis=1))[0]
    unasked = next((one.failure for one in measures if one is not None and one.failure), "")
    return RigidMotions(columns, shifting.shape[1], turning.shape[1], np.concatenate([held, kept]), linear, unasked)


def whole_positions(atoms: Atoms) -> Array:
    """Positions (N, 3) in which what the cell's faces cut is whole.

    Along each periodic axis the cell is cut anew in its widest gap: turning a molecule of which a part sits on the
    other side would tear it. Each atom moves by whole lattice vectors, so that the structure stays the same.
    """
    if not atoms.pbc.any():
        return np.asarray(atoms.positions)
    scaled = atoms.cell.scaled_positions(atoms.positions) if atoms.cell.rank == 3 else _completed(atoms)
    shifts = np.zeros_like(scaled)
    for axis in np.flatnonzero(atoms.pbc):
        place = np.sort(scaled[:, axis] % 1.0)
        gaps = np.diff(place, append=place[0] + 1)
        cut = place[(gaps.argmax() + 1) % len(place)]  # the first atom beyond the gap
        # Rounding must not send that atom itself to the far side.
        shifts[:, axis] = np.floor(scaled[:, axis] - cut + 1e-9)
    return np.asarray(atoms.positions - shifts @ atoms.cell.complete())


def _completed(atoms: Atoms) -> Array:
    return np.linalg.solve(atoms.cell.complete().T, atoms.positions.T).T


def _axes_through(fixed: Array) -> Array:
    """Axes (k, 3) about which the fixed atoms, (f, 3) from their centre, stay where they are: 3, 1 or none."""
    _, spread, axes = np.linalg.svd(fixed, full_matrices=True)
    extent = np.zeros(3)
    extent[: len(spread)] = spread
    if extent[0] < ROUNDING:  # one place
        return np.eye(3)
    # On a line to a hundredth: whether turning about it is free is then asked of the energy.
    return axes[:1] if extent[1] < 1e-2 * extent[0] else axes[:0]


def _turning_axes(axes: Array, arms: Array, masses: Array, hessian: Array) -> tuple[Array, bool]:
    """Leave out the axis on which all atoms lie, or would lie without the forces that are left.

    About an axis with all atoms on it nothing turns. With the atoms a little off, turning moves them like a bend, and
    in a molecule that is straight at rest that *is* one of its two bends: shifting the atoms outwards (radial) and
    sideways (tangential) is then the same to the energy. In one that is bent at rest the sideways shift costs nothing.
    The tangential curvature is compared with the radial one: their ratio is 1 in the first case and 0 in the second.

    Returns
    -------
    tuple
        The axes that are left, (k, 3), and whether one was left out.
    """
    if not len(axes):
        return axes, False
    inertia = np.array([[np.sum(masses[:, None] * np.cross(a, arms) * np.cross(b, arms)) for b in axes] for a in axes])
    moments, turns = np.linalg.eigh(inertia)
    principal = turns.T @ axes
    if moments[-1] <= 0:
        return axes[:0], False
    if moments[0] < ROUNDING**2 * max(moments[-1], np.sum(masses * (arms**2).sum(axis=1))):
        return principal[1:], True
    along = principal[0]
    outwards = arms - np.outer(arms @ along, along)
    root = np.sqrt(masses)[:, None]
    curvature = []
    for shift in (outwards, np.cross(along, arms)):
        curvature.append(shift.ravel() @ hessian @ shift.ravel() / np.sum((root * shift) ** 2))
    radial, tangential = curvature
    straight = radial != 0 and tangential / radial > 0.5
    return (principal[1:], True) if straight else (principal, False)


def _centripetal(a: Array, b: Array, arms: Array) -> Array:
    """Second derivative of the positions under rotations about a and b, (n, 3): [a x (b x r) + b x (a x r)] / 2."""
    return np.asarray(np.cross(a, np.cross(b, arms)) + np.cross(b, np.cross(a, arms))) / 2


@dataclass
class _Measure:
    """Asks energy and forces what a motion costs: the atoms are moved along it, rotations along their arcs.

    Attributes
    ----------
    evaluate
        Gives the energy, and the forces on the atoms that may move.
    positions, center
        (n, 3) of these atoms, and (3,) what rotations leave in place.
    axes
        (k, 3) of the rotations that are candidates; None for translations.
    failure
        What the calculator said where it failed; else empty.
    """

    evaluate: Evaluate
    positions: Array
    center: Array
    axes: Array | None
    failure: str = ""
    _unmoved_eV: float | None = None

    def cost(self, mix: Array, motion: Array) -> float | None:
        """Second derivative of the energy (eV/Angstrom^2 times the square of the motion) along a mix of candidates.

        None where the calculator fails: that a motion is asked again must not cost the Hessian that there is.
        """
        step = MOVE_A / np.linalg.norm(motion.reshape(-1, 3), axis=1).max()
        try:
            if self._unmoved_eV is None:
                self._unmoved_eV = self.evaluate(self.positions)[0]
            (ahead, rising), (behind, falling) = (self._moved(mix, motion, size) for size in (step, -step))
        except EvaluationError as error:
            self.failure = str(error)
            return None
        costs = (rising - falling) / (2 * step), (ahead - 2 * self._unmoved_eV + behind) / step**2
        return min(costs, key=abs)

    def _moved(self, mix: Array, motion: Array, size: float) -> tuple[float, float]:
        """Energy, and its slope along the motion, where the atoms have been moved by `size` times it."""
        if self.axes is not None:
            axis = mix @ self.axes
            moved = self.center + _rotated(self.positions - self.center, size * axis)
            tangent = np.cross(axis, moved - self.center)
        else:
            moved, tangent = self.positions + size * motion.reshape(-1, 3), motion
        energy, forces = self.evaluate(moved)
        return energy, -float(np.sum(forces.ravel() * tangent.ravel()))


def _rotated(arms: Array, vector: Array) -> Array:
    """Rodrigues' formula: `arms` (n, 3) turned about `vector` by its length in radians."""
    angle = np.linalg.norm(vector)
    axis = vector / angle
    turned = np.cos(angle) * arms + np.sin(angle) * np.cross(axis, arms)
    return np.asarray(turned + (1 - np.cos(angle)) * np.outer(arms @ axis, axis))


def _free_ones(motions: Array, costs: Array, masses: Array, measure: _Measure | None) -> tuple[Array, Array]:
    """Split k candidates into what costs nothing and what costs something.

    Parameters
    ----------
    motions
        (k, 3n) displacements.
    costs
        (k, k) second derivatives of the energy along them.

    Returns
    -------
    tuple
        The combinations that cost nothing, mass-weighted columns (3n, K), and what the k - K others cost, cm^-1.
    """
    if not len(motions):
        return np.zeros((motions.shape[1], 0)), np.zeros(0)
    weights = np.repeat(masses, 3)
    # C u = lambda M u, with M = J^T m J: in the basis that makes M the unit matrix.
    norms, basis = np.linalg.eigh((motions * weights) @ motions.T)
    basis = basis / np.sqrt(norms)
    values, mixes = np.linalg.eigh(basis.T @ costs @ basis)
    mixes = basis @ mixes
    frequencies = wavenumbers(values)
    if measure is not None:
        for number in np.flatnonzero((np.abs(frequencies) > ZERO_CM1) & (np.abs(frequencies) < DOUBTFUL_CM1)):
            mix = mixes[:, number]  # of mass-weighted norm 1: its cost is lambda
            if (cost := measure.cost(mix, mix @ motions)) is not None:
                frequencies[number] = wavenumbers(np.array([cost]))[0]
    free = np.abs(frequencies) < ZERO_CM1
    return np.sqrt(weights)[:, None] * (motions.T @ mixes[:, free]), frequencies[~free]
