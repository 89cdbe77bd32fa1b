"""Steepest descent in mass-weighted coordinates, with a Hessian for predictor and corrector.

H. P. Hratchian and H. B. Schlegel, J. Chem. Phys. 120, 9918 (2004). The predictor follows the local quadratic expansion
(M. Page and J. W. McIver, J. Chem. Phys. 88, 922 (1988)). The corrector goes the same length again on the surface
that blends the expansions at both ends of the step by distance (DWI, eq. 5 of the first paper); where it ends
elsewhere, that point is evaluated and taken. So every point of the path has energy and forces of the calculator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from dp_sim.recipes.inputs.failed_evaluations import ADVICE, MOST_HALVINGS, failure_words, is_failure
from dp_sim.recipes.paths.saddle.follower import bofill_update
from dp_sim.recipes.paths.saddle.surface import Array, Point, Surface

#: The corrected point is evaluated where it is farther from the predicted one than the first share of the step; farther
#: than the second, the step is halved.
EVALUATED, TOO_FAR = 0.05, 0.4
#: An exact Hessian is asked for after so many steps; in between, and without one, it is updated.
RENEWED_EVERY = 6
#: Part of a step on the blended surface at which its slope is asked again.
SUBSTEPS = 200
#: A side ends where the force has fallen to this share of its largest one, or more.
FALLEN = 0.5
#: On a quadratic surface the path has come to its minimum where its speed has fallen to this share.
SLOW = 0.05
#: Where the force is small, but the path still falls by this, eV, it is on a plateau, and goes on until the force is
#: this share of the one at which it ends elsewhere.
PLATEAU_EV, FLAT = 0.1, 0.1
#: The energy may rise by this between two points, eV: rounding and what an SCF leaves.
NOISE_EV = 1e-6
#: Exponents of the local expansion are kept below this.
_MOST = 60.0


class PathPoint(NamedTuple):
    """A point of the path, and its distance along it from the saddle point, amu^1/2 Angstrom."""

    point: Point
    arc: float


@dataclass
class Walk:
    """The walk down one side.

    Parameters
    ----------
    surface
        On which it moves.
    masses
        (n,) of the atoms that move, amu.
    step
        Length of a step, amu^1/2 Angstrom.
    fmax
        Force at which it ends, eV/Angstrom.
    log
        Takes a line where a step is shortened.
    follow
        Called after each step.

    Attributes
    ----------
    points
        From the saddle point on.
    hessian
        (3n, 3n) at the last of them, eV/Angstrom^2.
    shorter
        How often the step was halved.
    plateau
        Number of the last point from which it went on although the force was small; 0: there is none.
    cause
        Why it ended too early, as the rest of a sentence; empty where it did not.
    note
        Why it ended elsewhere than at a force of `fmax`: at the bottom of the valley, or on a plateau.
    """

    surface: Surface
    masses: Array
    step: float
    fmax: float
    log: Callable[[str], object]
    points: list[PathPoint]
    hessian: Array
    follow: Callable[[], object] = field(default=lambda: None)
    shorter: int = 0
    age: int = 0
    plateau: int = 0
    cause: str = ""
    note: str = ""

    def run(self, mode: Array, steps: int) -> None:
        """Walk until the forces are small, or something else ends it.

        Parameters
        ----------
        mode
            (3n,) mass-weighted direction of the first step.
        steps
            Most steps.
        """
        root = np.repeat(np.sqrt(self.masses), 3)
        while True:
            here = self.points[-1]
            if self._is_down(here.point, root):
                return
            if len(self.points) > steps:
                self._give_up(
                    f"still has a force of {here.point.largest_force:.3g} eV/Angstrom after {steps} steps, "
                    f"{self.fmax:g} was asked for; allow more steps"
                )
                return
            length = self.step / 2**self.shorter
            first = len(self.points) == 1
            self._renew(here.point)
            if len(self.points) - 1 > self.plateau and self._is_near_the_bottom(here.point, root, length):
                return
            try:
                new = self._first(here, mode / root, length) if first else self._next(here, root, length)
            except Exception as error:
                if not is_failure(error):
                    raise
                if not self._halve(failure_words(error, f"after step {len(self.points) - 1}")):
                    self._give_up(
                        f"ended early: {failure_words(error, f'after step {len(self.points) - 1}')}, in "
                        f"{MOST_HALVINGS} shorter steps too; {ADVICE}"
                    )
                    return
                continue
            if new is None:
                if not self._halve("the path bends too sharply, or rises"):
                    self._end_where_it_rises(here)
                    return
                continue
            self.points.append(new)
            self.age += 1
            self.follow()

    def _renew(self, point: Point) -> None:
        """Compute the Hessian anew where the calculator has it and it is due."""
        if self.age < RENEWED_EVERY or not self.surface.exact:
            return
        try:
            exact = self.surface.exact_hessian(point.x)
        except Exception as error:
            if not is_failure(error):
                raise
            self.log(f"{failure_words(error, 'in the Hessian')}: the updated one is kept")
            exact = None
        self.age = 0
        if exact is not None:
            self.hessian = exact

    def _is_near_the_bottom(self, point: Point, root: Array, length: float) -> bool:
        """Whether by the Hessian the path ends within a step, and the force has fallen: a step would go beyond."""
        largest = max(one.point.largest_force for one in self.points)
        if point.largest_force > FALLEN * largest:
            return False
        gradient, hessian = self._weighted(point, self.hessian, root)[:2]
        curvatures, vectors = np.linalg.eigh(hessian)
        speeds, arcs = _speeds_and_arcs(vectors.T @ gradient, curvatures, length)[:2]
        slow = np.flatnonzero(speeds < SLOW * speeds[0])
        return len(slow) > 0 and bool(arcs[slow[0]] < length)

    def _weighted(self, point: Point, hessian: Array, root: Array) -> tuple[Array, Array, Array]:
        """Take the motions of the whole out, and weight by masses: gradient, Hessian, and the columns of what is left.

        Rounding would else send the path along a motion that costs nothing, once the slopes are small.
        """
        rigid, _ = self.surface.rigid(point.x)
        columns = np.eye(len(root))
        if rigid.shape[1]:
            columns = np.linalg.qr(root[:, None] * rigid, mode="complete")[0][:, rigid.shape[1] :]
        inner = columns.T @ (hessian / np.outer(root, root)) @ columns
        return columns.T @ (point.gradient / root), inner, columns

    def _is_down(self, point: Point, root: Array) -> bool:
        """Whether the force is small and fell before (next to the saddle point it is small, too), and on no plateau.

        With the force g and the curvature b along it the path falls by g^2 / 2 b; without end where b is not positive.
        """
        if not self._has_fallen(point):
            return False
        if point.largest_force <= FLAT * self.fmax:
            return True
        gradient, hessian, _ = self._weighted(point, self.hessian, root)
        square, bend = gradient @ gradient, gradient @ hessian @ gradient  # g^2 and b g^2
        return not self.plateau and bool(square**2 < 2 * PLATEAU_EV * bend)

    def _has_fallen(self, point: Point) -> bool:
        largest = max(one.point.largest_force for one in self.points)
        return len(self.points) > 1 and point.largest_force <= min(self.fmax, FALLEN * largest)

    def _give_up(self, why: str) -> None:
        """End too early: on a plateau that is worth a note only, because the end may be relaxed from there."""
        if self._has_fallen(self.points[-1].point):
            self.note = why
        else:
            self.cause = why

    def _halve(self, why: str) -> bool:
        self.surface.place(self.points[-1].point.x)
        if self.shorter == MOST_HALVINGS:
            return False
        self.shorter += 1
        self.log(f"{why}: steps of {self.step / 2**self.shorter:.3g} amu^1/2 Angstrom")
        return True

    def _end_where_it_rises(self, here: PathPoint) -> None:
        where = f"at {here.arc:.2f} amu^1/2 Angstrom from the saddle point"
        if len(self.points) == 1:
            self.cause = f"does not go down {where}: is it a saddle point of this calculator?"
        else:
            self.note = (
                f"ends {where}, where the energy does not fall any more in steps of "
                f"{self.step / 2**self.shorter:.2g}; {here.point.largest_force:.2g} eV/Angstrom were left"
            )

    def _first(self, here: PathPoint, displacement: Array, length: float) -> PathPoint | None:
        """Take the first step along the mode, half as long: there is no slope yet that would bend it."""
        new = self.surface.point(here.point.x + length / 2 * displacement)
        if new.energy > here.point.energy:
            return None
        self._learn(here.point, new)
        return PathPoint(new, here.arc + length / 2)

    def _next(self, here: PathPoint, root: Array, length: float) -> PathPoint | None:
        """Take a step; None where it is too long."""
        gradient, hessian, columns = self._weighted(here.point, self.hessian, root)
        predicted, arc = quadratic_step(gradient, hessian, length)
        new = self.surface.point(here.point.x + columns @ predicted / root)
        end = bofill_update(self.hessian, new.x - here.point.x, new.gradient - here.point.gradient)
        inner = columns.T @ (end / np.outer(root, root)) @ columns
        away = blended_step(
            (here.point.energy, gradient, hessian),
            (new.energy, columns.T @ (new.gradient / root), inner),
            predicted,
            arc,
        )
        apart = float(np.linalg.norm(away - predicted))
        if apart > TOO_FAR * length or new.energy > here.point.energy + NOISE_EV:
            self.hessian = end  # what was learnt is kept
            return None
        if apart > EVALUATED * length:
            other = self.surface.point(here.point.x + columns @ away / root)
            if other.energy > here.point.energy + NOISE_EV:
                return None
            end = bofill_update(end, other.x - new.x, other.gradient - new.gradient)
            new = other
        self.hessian = end
        return PathPoint(new, here.arc + arc)

    def _learn(self, old: Point, new: Point) -> None:
        self.hessian = bofill_update(self.hessian, new.x - old.x, new.gradient - old.gradient)


def quadratic_step(gradient: Array, hessian: Array, length: float) -> tuple[Array, float]:
    """Follow the steepest descent of a quadratic surface for a length.

    With dq/dt = -(g + H q) each mode goes as q_i(t) = g_i (exp(-b_i t) - 1) / b_i (Page and McIver, eq. 19), and its
    arc is the integral of sqrt(sum_i g_i^2 exp(-2 b_i t)).

    Returns
    -------
    tuple
        Displacement (3n,), and the arc: `length`, or less where the minimum of the expansion is nearer.
    """
    curvatures, vectors = np.linalg.eigh(hessian)
    slopes = vectors.T @ gradient
    _, arcs, times = _speeds_and_arcs(slopes, curvatures, length)
    arc = min(length, float(arcs[-1]))
    time = float(np.interp(arc, arcs, times))
    with np.errstate(invalid="ignore", divide="ignore"):
        factors = np.expm1(np.clip(-curvatures * time, -_MOST, _MOST)) / curvatures
    factors = np.where(np.abs(curvatures * time) < 1e-8, -time, factors)
    return np.asarray(vectors @ (factors * slopes)), arc


def _speeds_and_arcs(slopes: Array, curvatures: Array, length: float) -> tuple[Array, Array, Array]:
    """Compute |dq/dt| and the arc, and the times of both, far beyond `length`."""
    times = np.concatenate([[0.0], np.geomspace(1e-4, 1e4, 1500)]) * length / np.linalg.norm(slopes)
    exponents = np.clip(-np.outer(times, curvatures), -_MOST, _MOST)
    speeds = np.sqrt(np.sum(slopes**2 * np.exp(2 * exponents), axis=1))
    arcs = np.concatenate([[0.0], np.cumsum(np.diff(times) * (speeds[1:] + speeds[:-1]) / 2)])
    return speeds, arcs, times


#: Energy, gradient (3n,) and Hessian (3n, 3n) of an expansion.
Expansion = tuple[float, Array, Array]


def blended_step(first: Expansion, second: Expansion, apart: Array, length: float) -> Array:
    """Follow the steepest descent from the first expansion's centre, for a length, on the blend of both.

    E(q) = w_1 T_1(q) + w_2 T_2(q) with w_1 = r_2^2 / (r_1^2 + r_2^2), r_i the distance from the centre of T_i.

    Parameters
    ----------
    first, second
        The second one's centre is at `apart` (3n,) from the first.
    apart, length
        Mass-weighted.

    Returns
    -------
    (3n,) array
        Displacement from the first centre.
    """
    place, substep = np.zeros_like(apart), length / SUBSTEPS
    for _ in range(SUBSTEPS):
        slope = _blended_slope(first, second, apart, place)
        middle = place - substep / 2 * slope / np.linalg.norm(slope)
        slope = _blended_slope(first, second, apart, middle)
        place = place - substep * slope / np.linalg.norm(slope)
    return np.asarray(place)


def _blended_slope(first: Expansion, second: Expansion, apart: Array, place: Array) -> Array:
    (e1, g1, h1), (e2, g2, h2) = first, second
    d1, d2 = place, place - apart
    along1, along2 = h1 @ d1, h2 @ d2
    t1, t2 = e1 + g1 @ d1 + d1 @ along1 / 2, e2 + g2 @ d2 + d2 @ along2 / 2
    r1, r2 = d1 @ d1, d2 @ d2
    total = r1 + r2
    turning = 2 * (d2 * r1 - d1 * r2) / total**2  # the gradient of w_1
    return np.asarray((r2 * (g1 + along1) + r1 * (g2 + along2)) / total + turning * (t1 - t2))
