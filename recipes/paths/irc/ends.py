"""The ends of a reaction coordinate: relaxed, and seen to be minima."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dp_sim.recipes.inputs.failed_evaluations import ADVICE, failure_words, is_failure
from dp_sim.recipes.paths.saddle.curvature import StationaryModes, stationary_modes
from dp_sim.recipes.paths.saddle.follower import LEFT_A, Follower, newton_distance
from dp_sim.recipes.paths.saddle.surface import Array, Point, Surface

#: Ends are relaxed to this force, eV/Angstrom, or to `fmax` where that is smaller, in so many steps at most.
END_FMAX, END_STEPS = 0.01, 400
#: With the Hessian at the end so many times `LEFT_A` may be left: the relaxation had a poorer one.
FINAL_FACTOR = 2.5
#: How often an end is relaxed on from where its modes say that it is no minimum, or not at it (a loose complex needs
#: several, along its soft motions), and how far it is moved along imaginary ones, Angstrom.
MOST_LEFT, LEAVE_A = 8, 0.1


class End:
    """One end of a path.

    Parameters
    ----------
    surface, fmax, log
        On which it relaxes, to which force (eV/Angstrom), and what takes lines.

    Attributes
    ----------
    modes
        At the end; None where it did not relax.
    cause
        Why it is no minimum, as the rest of a sentence; empty where it is one.
    steps
        Of the relaxation.
    """

    def __init__(self, surface: Surface, fmax: float, log: Callable[[str], object]) -> None:
        self._surface, self._fmax, self._log = surface, min(fmax, END_FMAX), log
        self.modes: StationaryModes | None = None
        self.cause = ""
        self.steps = 0

    def relax(self, x: Array, hessian: Array | None) -> Point:
        """Relax from `x` with the Hessian there, and on from saddle points, to a minimum."""
        for _ in range(MOST_LEFT + 1):
            self.modes = None
            descent = Follower(self._surface, False, self._fmax, self._log, hessian=hessian, steps=self.steps)
            point = descent.run(x, END_STEPS)
            self.steps = descent.steps
            if descent.cause:
                self.cause = f"is not relaxed: {descent.cause}"
                return point
            modes = self._modes_at(point)
            if modes is None:
                return point
            self.modes = modes
            left, number = newton_distance(self._surface, point, modes.hessian), modes.modes.n_imaginary
            self.cause = ""
            if number:
                lowest = modes.frequencies_cm1[0]
                self.cause = f"is no minimum: it has {number} imaginary frequencies, the lowest {lowest:.0f} cm^-1"
            elif left > FINAL_FACTOR * LEFT_A:
                self.cause = f"is not relaxed: by its curvature the minimum is {left:.2g} Angstrom away"
            if not self.cause:
                break
            x, hessian = self._below(point, modes) if number else point.x, modes.hessian
        return point

    def _modes_at(self, point: Point) -> StationaryModes | None:
        try:
            return stationary_modes(self._surface, point.x, log=self._log)
        except Exception as error:
            if not is_failure(error):
                raise
            self._surface.place(point.x)
            self.cause = f"is not checked: {failure_words(error, 'in its normal modes')}; {ADVICE}"
            return None

    def _below(self, point: Point, modes: StationaryModes) -> Array:
        """Move along all imaginary modes at once, to the side of lower energy."""
        number = modes.modes.n_imaginary
        way = modes.displacements[:number, self._surface.mobile].sum(axis=0).ravel()
        way *= LEAVE_A / np.linalg.norm(way.reshape(-1, 3), axis=1).max()
        self._log(f"no minimum ({modes.frequencies_cm1[0]:.0f} cm^-1): goes on downhill")
        sides = [(point.energy + 1.0, 1.0)]
        for sign in (1.0, -1.0):
            try:
                sides.append((self._surface.point(point.x + sign * way).energy, sign))
            except Exception as error:
                if not is_failure(error):
                    raise
        return np.asarray(point.x + min(sides)[1] * way)
