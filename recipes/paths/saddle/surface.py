"""The energy over the coordinates that may move, with a count of what it costs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import NDArray

from dp_sim.recipes.inputs.failed_evaluations import EvaluationError, check_converged, is_failure
from dp_sim.recipes.static.hessian import exact_hessian

Array = NDArray[np.float64]

#: The whole is moved so far (Angstrom) and turned so far (radians) to ask whether that costs energy.
SHIFT_A, TURN = 0.37, 0.41
#: It costs none where energy (eV) and forces (eV/Angstrom) stay the same to this.
SAME_EV, SAME_FORCE = 1e-4, 2e-3
#: About a line that all atoms keep to, to this (Angstrom, root of the sum of squares), nothing is turned.
LINE_A = 0.1


@dataclass
class Cost:
    """What was asked of the calculator.

    Attributes
    ----------
    evaluations
        Evaluations of energy and forces.
    hessians
        Exact Hessians; one by differences is made of evaluations.
    seconds
        Time spent on both.
    """

    evaluations: int = 0
    hessians: int = 0
    seconds: float = 0.0

    @property
    def words(self) -> str:
        """The numbers as a phrase."""
        return f"{self.evaluations} energies with forces and {self.hessians} exact Hessians in {self.seconds:.1f} s"


class Point(NamedTuple):
    """A place that was evaluated.

    Attributes
    ----------
    x
        (3n,) coordinates of the atoms that may move, Angstrom.
    energy
        eV.
    gradient
        (3n,) eV/Angstrom.
    forces
        (N, 3) on all atoms, eV/Angstrom, without constraints.
    """

    x: Array
    energy: float
    gradient: Array
    forces: Array

    @property
    def largest_force(self) -> float:
        """Of an atom that may move, eV/Angstrom."""
        return float(np.linalg.norm(self.gradient.reshape(-1, 3), axis=1).max())


class Surface:
    """Energy, gradient and Hessian over the 3n coordinates of the n atoms that may move.

    Parameters
    ----------
    atoms
        N atoms with a calculator, evaluated where they are; moved by each evaluation.
    mobile
        (n,) indices of those that move.

    Attributes
    ----------
    cost
        What was asked of the calculator so far; the evaluation that came with `atoms` counts.
    translations, rotations
        Whether moving and turning the whole costs no energy; found by `find_free_motions`.
    """

    def __init__(self, atoms: Atoms, mobile: NDArray[np.intp]) -> None:
        self.atoms, self.mobile, self.cost = atoms, mobile, Cost(evaluations=1)
        self.translations = self.rotations = False
        self._last: Point | None = None

    @property
    def exact(self) -> bool:
        """Whether the calculator has a method for exact Hessians."""
        return getattr(self.atoms.calc, "get_hessian", None) is not None

    @property
    def here(self) -> Array:
        """The coordinates (3n,) where the atoms are."""
        return np.asarray(self.atoms.positions[self.mobile]).ravel()

    def place(self, x: Array) -> None:
        """Put the atoms at coordinates (3n,), without an evaluation."""
        self.atoms.positions[self.mobile] = x.reshape(-1, 3)

    def evaluate(self, x: Array) -> tuple[float, Array]:
        """Compute the energy (eV) and its gradient (3n,), eV/Angstrom; errors as in `point`."""
        point = self.point(x)
        return point.energy, point.gradient.copy()

    def point(self, x: Array) -> Point:
        """Evaluate the structure with coordinates (3n,); what was evaluated last is not evaluated again.

        Raises
        ------
        EvaluationError
            The numbers are not finite, or not converged by what the calculator says; beside what it raises itself.
        """
        if self._last is not None and np.array_equal(self._last.x, x):
            self.place(x)
            return self._last
        start = time.monotonic()
        new = not np.array_equal(self.here, x)
        self.place(x)
        try:
            energy = float(self.atoms.get_potential_energy())
            forces = np.array(self.atoms.get_forces(apply_constraint=False))
            check_converged(self.atoms.calc)
        finally:
            self.cost.evaluations += new or self._last is not None
            self.cost.seconds += time.monotonic() - start
        if not (np.isfinite(energy) and np.isfinite(forces).all()):
            raise EvaluationError("evaluation-not-finite", "the energy or a force is not a finite number")
        self._last = Point(x.copy(), energy, -forces[self.mobile].ravel(), forces)
        return self._last

    def evaluated(self, point: Point) -> Atoms:
        """Make a structure of a point, with its energy and forces and without the calculator."""
        copy = self.atoms.copy()
        copy.positions[self.mobile] = point.x.reshape(-1, 3)
        copy.calc = SinglePointCalculator(copy, energy=point.energy, forces=point.forces)
        return copy

    def find_free_motions(self) -> None:
        """Ask the energy whether moving and turning the whole costs anything: one evaluation, or two.

        A calculator with an external field, or one that knows where the origin is, is not the same everywhere.
        """
        if len(self.mobile) < len(self.atoms):
            return
        may_turn = not self.atoms.pbc.any() and len(self.atoms) > 1
        there = self.here
        self.translations = self.rotations = may_turn and self._same_after(turn=True)
        if not self.translations:
            self.translations = self._same_after(turn=False)
        self.place(there)

    def _same_after(self, *, turn: bool) -> bool:
        here = self.point(self.here)
        rotation = _rotation(TURN) if turn else np.eye(3)
        moved = here.x.reshape(-1, 3) @ rotation.T + SHIFT_A
        try:
            there = self.point(moved.ravel())
        except Exception as error:
            if not is_failure(error):
                raise
            return False
        finally:
            self.place(here.x)
            self._last = here
        same = np.abs(here.forces @ rotation.T - there.forces).max() < SAME_FORCE
        return bool(same and abs(there.energy - here.energy) < SAME_EV)

    def rigid(self, x: Array) -> tuple[Array, Array]:
        """Find the motions of the whole that cost nothing.

        Parameters
        ----------
        x
            (3n,) coordinates.

        Returns
        -------
        columns
            (3n, K) orthonormal.
        generators
            (K, 3): the rotation vector w of each, whose motion is w x (r - centre); zero for a translation.
        """
        n = len(x) // 3
        columns, turns = [np.tile(axis, n) / np.sqrt(n) for axis in np.eye(3)] if self.translations else [], []
        turns = [np.zeros(3) for _ in columns]
        if self.rotations:
            arms = x.reshape(-1, 3) - x.reshape(-1, 3).mean(axis=0)
            moments, axes = np.linalg.eigh(np.sum(arms**2) * np.eye(3) - arms.T @ arms)
            for moment, axis in zip(moments, axes.T, strict=True):
                if moment > LINE_A**2:
                    columns.append(np.cross(axis, arms).ravel() / np.sqrt(moment))
                    turns.append(axis / np.sqrt(moment))
        if not columns:
            return np.zeros((len(x), 0)), np.zeros((0, 3))
        return np.array(columns).T, np.array(turns)

    def internal(self, x: Array) -> Array:
        """Find all other motions: orthonormal columns (3n, 3n - K)."""
        rigid, _ = self.rigid(x)
        return np.linalg.qr(rigid, mode="complete")[0][:, rigid.shape[1] :] if rigid.size else np.eye(len(x))

    def exact_hessian(self, x: Array) -> Array | None:
        """Compute the exact Hessian (3n, 3n), eV/Angstrom^2; None where the calculator turns out to have none."""
        start = time.monotonic()
        self.place(x)
        rows = exact_hessian(self.atoms, self.mobile) if self.exact else None
        self.cost.seconds += time.monotonic() - start
        if rows is None:
            return None
        self.cost.hessians += 1
        columns = (3 * self.mobile[:, None] + np.arange(3)).ravel()
        block = rows[:, columns]
        if not np.isfinite(block).all():
            raise EvaluationError("evaluation-not-finite", "the Hessian is not finite")
        return np.asarray(block + block.T) / 2


def _rotation(angle: float) -> Array:
    """Turn by `angle` about an axis that no molecule is likely to have: (3, 3)."""
    x, y, z = np.array([0.36, 0.48, 0.80])
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
