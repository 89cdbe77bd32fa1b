"""A search for a saddle point without a Hessian: the lowest mode from differences of forces along it alone.

G. Henkelman and H. Jonsson, J. Chem. Phys. 111, 7010 (1999): the force along the lowest mode is turned round (eq. 4
there), and where the curvature is positive only that part acts. The mode is found by a few steps of Lanczos, as in
R. A. Olsen et al., J. Chem. Phys. 121, 9776 (2004), each of one evaluation; the moves are those of L-BFGS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dp_sim.recipes.inputs.failed_evaluations import ADVICE, failure_words, is_failure
from dp_sim.recipes.paths.saddle.follower import LEFT_A, take_step
from dp_sim.recipes.paths.saddle.surface import Array, Point, Surface

#: Displacement of the difference along a mode, Angstrom, of all coordinates together.
DELTA_A = 0.01
#: Lanczos steps at the start and at each step; it ends where the mode is off by less than this share of the curvature.
FIRST_TURNS, TURNS, TURNED = 12, 4, 0.1
#: Longest step, of the atom that goes farthest, and the step uphill where the curvature is positive, Angstrom.
LONGEST_A, UPHILL_A = 0.15, 0.1
#: Steps that L-BFGS remembers, and the curvature that it starts from, eV/Angstrom^2.
MEMORY, FIRST_CURVATURE = 12, 20.0


@dataclass
class Dimer:
    """A search with the interface of `Follower`, which explains its fields; it never has a Hessian.

    Attributes
    ----------
    curvature
        Along the mode, eV/Angstrom^2, at the last point.
    """

    surface: Surface
    fmax: float
    log: Callable[[str], object]
    mode: Array
    stop: Callable[[], str] = field(default=lambda: "")
    follow: Callable[[Point], object] = field(default=lambda point: None)
    steps: int = 0
    cause: str = ""
    curvature: float = 0.0
    _pairs: list[tuple[Array, Array]] = field(default_factory=list)

    def run(self, x: Array, steps: int) -> Point:
        """Move from `x` until the forces are below their bound and the mode leads downhill, or something ends it."""
        point, turns = self.surface.point(x), FIRST_TURNS
        self.cause = ""
        while True:
            try:
                self._turn(point, turns)
            except Exception as error:
                if not is_failure(error):
                    raise
                self.cause = f"{failure_words(error, f'in the mode after step {self.steps}')}; {ADVICE}"
            self.surface.place(point.x)
            left = abs(self.mode @ point.gradient / self.curvature) if self.curvature else np.inf
            if self.cause or (point.largest_force <= self.fmax and self.curvature < 0 and left <= LEFT_A):
                return point
            if self.steps >= steps:
                self.cause = (
                    f"the largest force is {point.largest_force:.3g} eV/Angstrom and the lowest curvature "
                    f"{self.curvature:.3g} eV/Angstrom^2 after {steps} steps, {self.fmax:g} was asked for; allow more "
                    "steps or start nearer"
                )
                return point
            new, self.cause = take_step(self.surface, point, self._step(point), self.log, f"after step {self.steps}")
            if new is None:
                return point
            self._remember(point, new)
            point, turns = new, TURNS
            self.steps += 1
            self.follow(point)
            self.log(
                f"step {self.steps}: {point.energy:.6f} eV, {point.largest_force:.5f} eV/Angstrom, "
                f"curvature {self.curvature:.3f}"
            )
            if cause := self.stop():
                self.cause = cause
                return point

    def _turn(self, point: Point, turns: int) -> None:
        """Turn the mode to the lowest curvature, by Lanczos steps from where it was."""
        internal = self.surface.internal(point.x)
        basis: list[Array] = []
        images: list[Array] = []
        vector = internal.T @ self.mode
        for _ in range(min(turns, internal.shape[1])):
            for one in [*basis, *basis]:
                vector = vector - (one @ vector) * one
            length = float(np.linalg.norm(vector))
            if length < 1e-8:
                break
            vector = vector / length
            basis.append(vector)
            ahead = self.surface.evaluate(point.x + DELTA_A * internal @ vector)[1]
            images.append(internal.T @ (ahead - point.gradient) / DELTA_A)
            small = np.array(basis) @ np.array(images).T
            values, mixes = np.linalg.eigh((small + small.T) / 2)
            lowest = mixes[:, 0] @ np.array(basis)
            residual = mixes[:, 0] @ np.array(images) - values[0] * lowest
            self.curvature, self.mode = float(values[0]), internal @ lowest
            if np.linalg.norm(residual) < TURNED * abs(values[0]):
                break
            vector = residual

    def _effective(self, point: Point) -> Array:
        """Return the gradient with its part along the mode turned round."""
        internal = self.surface.internal(point.x)
        gradient = internal @ (internal.T @ point.gradient)
        return np.asarray(gradient - 2 * (self.mode @ gradient) * self.mode)

    def _step(self, point: Point) -> Array:
        if self.curvature >= 0:
            self._pairs.clear()
            return np.sign(self.mode @ point.gradient or 1.0) * UPHILL_A * self.mode
        step = -_inverse_times(self._pairs, self._effective(point))
        longest = float(np.linalg.norm(step.reshape(-1, 3), axis=1).max())
        return np.asarray(step * min(1.0, LONGEST_A / max(longest, 1e-12)))

    def _remember(self, old: Point, new: Point) -> None:
        step, change = new.x - old.x, self._effective(new) - self._effective(old)
        if self.curvature < 0 and step @ change > 1e-6 * (step @ step):
            self._pairs.append((step, change))
            del self._pairs[:-MEMORY]
        else:
            self._pairs.clear()


def _inverse_times(pairs: list[tuple[Array, Array]], vector: Array) -> Array:
    """Multiply by the inverse Hessian of L-BFGS: the two loops of J. Nocedal, Math. Comput. 35, 773 (1980)."""
    result, parts = vector.copy(), []
    for step, change in reversed(pairs):
        part = (step @ result) / (step @ change)
        result = result - part * change
        parts.append(part)
    curvature = pairs[-1][1] @ pairs[-1][1] / (pairs[-1][0] @ pairs[-1][1]) if pairs else FIRST_CURVATURE
    result = result / curvature
    for (step, change), part in zip(pairs, reversed(parts), strict=True):
        result = result + (part - (change @ result) / (step @ change)) * step
    return np.asarray(result)
