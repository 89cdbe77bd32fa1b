"""Hessians over the coordinates that may move: exact, or from differences of forces along as few motions as there are.

The energy of a molecule in free space does not know where the molecule is and how it is turned. So of its 3N directions
the 6 of the whole need no differences: with the gradient g, H t = 0 along a translation t, and along a rotation w,
whose motion is J = w x r, differentiating g(R x) = R g(x) gives H J = w x g.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dp_sim.files import atomic_path
from dp_sim.recipes.inputs.failed_evaluations import is_failure
from dp_sim.recipes.paths.saddle.surface import Array, Surface
from dp_sim.recipes.static.normal_modes import NormalModes, normal_modes
from dp_sim.recipes.static.rigid_motions import Evaluate, RigidMotions, find_rigid_motions

#: Displacement of the differences, Angstrom, of the atom that goes farthest.
DELTA_A = 5e-3
#: It is halved so often where the calculator fails.
MOST_HALVINGS = 2


class StationaryModes(NamedTuple):
    """Second derivatives of a structure of N atoms, n of them mobile, and what they tell.

    Attributes
    ----------
    hessian
        (3n, 3n) eV/Angstrom^2; symmetric.
    source
        How it was computed, in words.
    rigid
        The translations and rotations that were taken out.
    modes
        Of the n mobile atoms.
    displacements
        (M, N, 3) Cartesian, of length 1, zero for fixed atoms.
    """

    hessian: Array
    source: str
    rigid: RigidMotions
    modes: NormalModes
    displacements: Array

    @property
    def frequencies_cm1(self) -> Array:
        """(M,) rising, imaginary ones negative."""
        return self.modes.frequencies_cm1


def search_hessian(surface: Surface, x: Array) -> Array:
    """Compute the Hessian (3n, 3n), eV/Angstrom^2, with which a search starts.

    Exact where the calculator has it. Else from forward differences, one evaluation for each internal motion: the
    search mends what they lack. Motions of the whole have no curvature in it, because the search does not use them.
    """
    exact = surface.exact_hessian(x)
    if exact is not None:
        return exact
    internal = surface.internal(x)
    gradient = surface.evaluate(x)[1]
    slopes = [_slope(surface, x, motion, gradient) for motion in internal.T]
    block = internal.T @ np.array(slopes).T
    surface.place(x)
    return np.asarray(internal @ (block + block.T) @ internal.T / 2)


def stationary_modes(
    surface: Surface, x: Array, *, log: Callable[[str], object], partial: Path | None = None
) -> StationaryModes:
    """Compute the Hessian at a stationary point, and its normal modes.

    Parameters
    ----------
    surface, x
        Where: (3n,) coordinates.
    log
        Takes a line on the rigid motions.
    partial
        File that keeps finished differences, from which an interrupted computation continues.
    """
    gradient = surface.evaluate(x)[1]
    hessian, source = surface.exact_hessian(x), "exact"
    if hessian is None:
        source = f"central differences of the forces, {DELTA_A:g} Angstrom"
        hessian = _central_hessian(surface, x, gradient, partial)
    return modes_of(surface, x, gradient, hessian, source, log)


def modes_of(
    surface: Surface, x: Array, gradient: Array, hessian: Array, source: str, log: Callable[[str], object]
) -> StationaryModes:
    """Find the normal modes of a Hessian (3n, 3n) that is known, at x with this gradient (3n,)."""
    measured = None if source == "exact" or surface.translations or surface.rotations else _evaluate_on(surface)
    surface.place(x)
    atoms, mobile = surface.atoms, surface.mobile
    rigid = find_rigid_motions(atoms, hessian, gradient.reshape(-1, 3), mobile, measured)
    surface.place(x)
    log(rigid.words)
    modes = normal_modes(hessian, atoms.get_masses()[mobile], rigid.columns)
    displacements = np.zeros((len(modes.frequencies_cm1), len(atoms), 3))
    displacements[:, mobile] = modes.displacements
    return StationaryModes(hessian, source, rigid, modes, displacements)


def _evaluate_on(surface: Surface) -> Evaluate:
    """Give energies and forces on the atoms that may move, by their positions (n, 3)."""

    def evaluate(positions: Array) -> tuple[float, Array]:
        energy, gradient = surface.evaluate(positions.ravel())
        return energy, -gradient.reshape(-1, 3)

    return evaluate


def _central_hessian(surface: Surface, x: Array, gradient: Array, partial: Path | None) -> Array:
    internal = surface.internal(x)
    slopes = np.full(internal.T.shape, np.nan)
    if partial is not None and partial.is_file():
        earlier = np.load(partial, allow_pickle=False)
        if earlier.shape == (len(slopes) + 1, len(x)) and np.allclose(earlier[0], x, atol=1e-12):
            slopes = earlier[1:]
    try:
        for number, motion in enumerate(internal.T):
            if np.isnan(slopes[number]).any():
                slopes[number] = _slope(surface, x, motion)
    finally:
        surface.place(x)
        if partial is not None:
            with atomic_path(partial) as temporary, temporary.open("wb") as file:
                np.save(file, np.vstack([x, slopes]))
    block = internal.T @ slopes.T
    hessian = internal @ (block + block.T) @ internal.T / 2
    rigid, turns = surface.rigid(x)
    # H Q = V with V = w x g of each rigid motion; see the head of this module.
    known = np.array([np.cross(turn, gradient.reshape(-1, 3)).ravel() for turn in turns]).reshape(len(turns), len(x)).T
    hessian += known @ rigid.T + rigid @ known.T - rigid @ (rigid.T @ known) @ rigid.T
    return np.asarray(hessian + hessian.T) / 2


def _slope(surface: Surface, x: Array, motion: Array, gradient: Array | None = None) -> Array:
    """Differentiate the gradient along a motion (3n,): ahead of `gradient` at x, or without it to both sides.

    Where the calculator fails at a displaced structure, the displacement is halved, twice at most.
    """
    step = DELTA_A / float(np.linalg.norm(motion.reshape(-1, 3), axis=1).max())
    for halving in range(MOST_HALVINGS + 1):
        try:
            ahead = surface.evaluate(x + step * motion)[1]
            if gradient is not None:
                return np.asarray((ahead - gradient) / step)
            return np.asarray((ahead - surface.evaluate(x - step * motion)[1]) / (2 * step))
        except Exception as error:
            if not is_failure(error) or halving == MOST_HALVINGS:
                raise
            step /= 2
    raise AssertionError("unreachable")
