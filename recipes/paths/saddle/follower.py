"""A search that climbs along one mode and descends along all others, with a Hessian that it keeps up to date.

The step is that of the trust-region image method (T. Helgaker, Chem. Phys. Lett. 182, 503 (1991)): the curvature b and
the slope g of the mode that is climbed change their signs, which makes the saddle point a minimum of an "image"
function, and that is minimised within a radius, s_i = -g_i / (b_i + mu) (eq. 7 there, mu = 0 inside). Where nothing is
climbed it is a trust-region Newton minimisation. The Hessian is updated after J. M. Bofill, J. Comput. Chem. 15, 1
(1994), and computed anew where it does not foretell the gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import brentq

from dp_sim.recipes.inputs.failed_evaluations import ADVICE, MOST_HALVINGS, failure_words, is_failure
from dp_sim.recipes.paths.saddle.curvature import search_hessian
from dp_sim.recipes.paths.saddle.surface import Array, Point, Surface

#: Radius of trust, Angstrom in all coordinates: at first, and its bounds.
RADIUS_A, LEAST_A, MOST_A = 0.3, 0.05, 0.8
#: On the way to a minimum the energy may rise by no more than this, eV; the radius may then be shorter, Angstrom.
RISE_EV, SHORTEST_A = 1e-5, 5e-3
#: The error of the foretold gradient, over what it changed by: below the first the radius grows, above the second it
#: shrinks, above the third the Hessian has failed.
GOOD, BAD, FAILED = 0.25, 0.6, 1.0
#: It is computed anew after so many failures, if it is old.
MOST_FAILURES = 2
#: What is left to go by the curvature, of the atom that goes farthest, Angstrom: with a soft mode a small force may
#: still be far from the stationary point. Curvatures below the second number (eV/Angstrom^2) are noise.
LEFT_A, NO_CURVATURE = 0.02, 1e-3
#: The mode along a path is one mode where they overlap so much; else the path bends through several.
ONE_MODE = 0.5


@dataclass
class Follower:
    """A search for a stationary point.

    Parameters
    ----------
    surface
        On which it moves.
    climbs
        Whether one mode is climbed: a saddle point is sought, else a minimum.
    fmax
        Largest force on an atom that may be left, eV/Angstrom.
    log
        Takes a line for each step.
    mode
        (3n,) direction to be climbed: along a path, or of the last step; None: the lowest mode.
    hessian
        (3n, 3n) at the start; None: it is computed.
    stop
        Asked after each step; a sentence ends the search.

    Attributes
    ----------
    steps
        Taken so far.
    cause
        Why it ended without a stationary point, as a sentence; empty where it did not.
    """

    surface: Surface
    climbs: bool
    fmax: float
    log: Callable[[str], object]
    mode: Array | None = None
    hessian: Array | None = None
    stop: Callable[[], str] = field(default=lambda: "")
    follow: Callable[[Point], object] = field(default=lambda point: None)
    radius: float = RADIUS_A
    steps: int = 0
    cause: str = ""
    _age: int = 0
    _failures: int = 0

    def run(self, x: Array, steps: int) -> Point:
        """Move from `x` until the forces are below their bound, or something else ends it.

        Parameters
        ----------
        x
            (3n,) Angstrom.
        steps
            Most steps, those before counted.

        Returns
        -------
        Point
            The last one that was evaluated.
        """
        point = self.surface.point(x)
        self.cause = ""
        if self.hessian is None and not self._renew(point):
            return point
        taken = True
        while True:
            step = self._step(point)
            # A step that was not taken tells of the curvature there, not here: what that leaves to go means nothing.
            if taken and point.largest_force <= self.fmax and self._left(point) <= LEFT_A:
                return point
            if self.steps >= steps:
                self.cause = self._too_few(point, steps)
                return point
            new, self.cause = take_step(self.surface, point, step, self.log, f"after step {self.steps}")
            if new is None:
                return point
            self._learn(point, new)
            self.steps += 1
            taken = self.climbs or new.energy <= point.energy + RISE_EV
            if not taken:
                continue
            point = new
            self.follow(point)
            self.log(f"step {self.steps}: {point.energy:.6f} eV, {point.largest_force:.5f} eV/Angstrom")
            if cause := self.stop():
                self.cause = cause
                return point
            if self._failures >= MOST_FAILURES and self._age >= self._worth() and not self._renew(point):
                return point

    def _worth(self) -> int:
        """Return the age, in steps, from which on a Hessian is worth what a new one costs."""
        return MOST_FAILURES if self.surface.exact else max(5, len(self.surface.here) // 3)

    def _too_few(self, point: Point, steps: int) -> str:
        if point.largest_force > self.fmax:
            return (
                f"the largest force is {point.largest_force:.3g} eV/Angstrom after {steps} steps, {self.fmax:g} was "
                "asked for; allow more steps or start nearer"
            )
        return (
            f"by its curvature the stationary point is still {self._left(point):.2g} Angstrom away after {steps} "
            f"steps, {LEFT_A:g} is allowed: a soft mode with a small force; allow more steps"
        )

    def _renew(self, point: Point) -> bool:
        """Compute the Hessian; tell whether the calculator could."""
        try:
            self.hessian = search_hessian(self.surface, point.x)
        except Exception as error:
            if not is_failure(error):
                raise
            self.cause = f"{failure_words(error, f'in the Hessian after step {self.steps}')}; {ADVICE}"
            self.surface.place(point.x)
            return False
        self.log("Hessian")
        self._age = self._failures = 0
        return True

    @property
    def _model(self) -> Array:
        assert self.hessian is not None  # `run` computes it first
        return self.hessian

    def _left(self, point: Point) -> float:
        return newton_distance(self.surface, point, self._model)

    def _step(self, point: Point) -> Array:
        curvatures, directions, slopes = spectrum(self.surface, point, self._model)
        if self.climbs:
            chosen = choose_mode(curvatures, directions, self.mode)
            self.mode = directions[:, chosen]
            curvatures[chosen] *= -1
            slopes[chosen] *= -1
        return np.asarray(directions @ image_step(curvatures, slopes, self.radius))

    def _learn(self, old: Point, new: Point) -> None:
        """Update the Hessian and the radius by what the step showed."""
        step, change = new.x - old.x, new.gradient - old.gradient
        internal = self.surface.internal(old.x)
        missed = float(np.linalg.norm(internal.T @ (change - self._model @ step)))
        error = missed / max(float(np.linalg.norm(internal.T @ change)), 1e-12)
        length = float(np.linalg.norm(step))
        if self.climbs:
            self._trust(good=error < GOOD, bad=error > BAD, length=length)
        else:  # downhill the energy tells, as usual: J. Nocedal and S. Wright, Numerical Optimization, algorithm 4.1
            foretold = float(old.gradient @ step + step @ self._model @ step / 2)
            share = (new.energy - old.energy) / min(foretold, -1e-12)
            noise = abs(foretold) < RISE_EV
            self._trust(good=share > 0.5 or noise, bad=share < 0.1 and not noise, length=length)
        self._failures = self._failures + 1 if error > FAILED else 0
        self._age += 1
        self.hessian = (bofill_update if self.climbs else bfgs_update)(self._model, step, change)

    def _trust(self, *, good: bool, bad: bool, length: float) -> None:
        """Change the radius after a step."""
        if bad:
            self.radius = max(LEAST_A if self.climbs else SHORTEST_A, min(self.radius, length) / 2)
        elif good and length > 0.8 * self.radius:
            self.radius = min(MOST_A, (1.5 if self.climbs else 2) * self.radius)


def spectrum(surface: Surface, point: Point, hessian: Array) -> tuple[Array, Array, Array]:
    """Compute curvatures (m,), their directions (3n, m), and the slopes (m,) along them, of the internal motions."""
    internal = surface.internal(point.x)
    curvatures, vectors = np.linalg.eigh(internal.T @ hessian @ internal)
    directions = internal @ vectors
    return curvatures, directions, directions.T @ point.gradient


def newton_distance(surface: Surface, point: Point, hessian: Array) -> float:
    """Compute how far a Newton step would move the atom that goes farthest, Angstrom; noise apart."""
    curvatures, directions, slopes = spectrum(surface, point, hessian)
    sure = np.abs(curvatures) > NO_CURVATURE
    moves = directions[:, sure] @ (slopes[sure] / curvatures[sure])
    return float(np.linalg.norm(moves.reshape(-1, 3), axis=1).max())


def take_step(
    surface: Surface, point: Point, step: Array, log: Callable[[str], object], when: str
) -> tuple[Point | None, str]:
    """Evaluate the point at the end of a step; where the calculator fails, of shorter ones.

    Parameters
    ----------
    surface, point, step
        Where, from where, and (3n,) how far.
    log
        Takes a line for each shorter step.
    when
        As in `failure_words`.

    Returns
    -------
    point
        None where it fails in the shorter steps too; the atoms are then back where they were.
    cause
        Why, as a sentence; else empty.
    """
    words = ""
    for halving in range(MOST_HALVINGS + 1):
        x = point.x + step / 2**halving
        try:
            return surface.point(x), ""
        except Exception as error:
            if not is_failure(error):
                raise
            words = failure_words(error, when)
            log(f"{words}: the step is halved")
    surface.place(point.x)
    return None, f"{words}, in {MOST_HALVINGS} shorter steps too; {ADVICE}"


def choose_mode(curvatures: Array, directions: Array, wanted: Array | None) -> int:
    """Choose which mode is climbed: the one most along `wanted` (3n,), or where that is no single mode, the lowest.

    Where several modes lead downhill and none is `wanted`, the one of them that comes nearest to it.
    """
    if wanted is None:
        return 0
    overlaps = np.abs(directions.T @ wanted)
    best = int(np.argmax(overlaps))
    if overlaps[best] >= ONE_MODE * np.linalg.norm(wanted):
        return best
    downhill = max(1, int((curvatures < 0).sum()))
    return int(np.argmax(overlaps[:downhill]))


def image_step(curvatures: Array, slopes: Array, radius: float) -> Array:
    """Minimise sum_i g_i s_i + b_i s_i^2 / 2 within |s| <= radius: s_i = -g_i / (b_i + mu)."""

    def excess(mu: float) -> float:
        return float(np.linalg.norm(slopes / (curvatures + mu))) - radius

    if not len(slopes) or not np.linalg.norm(slopes) > 0:
        return np.zeros_like(slopes)
    lowest = float(curvatures.min())
    if lowest > 1e-6:
        newton = -slopes / curvatures
        if np.linalg.norm(newton) <= radius:
            return np.asarray(newton)
    # Between the bound of the lowest curvature, where the step is endless, and where it is surely short enough.
    low = max(0.0, -lowest) + 1e-9
    high = low + abs(lowest) + float(np.linalg.norm(slopes)) / radius + 1e-6
    if excess(low) <= 0:  # no slope along the lowest mode: the step ends inside
        return np.asarray(-slopes / (curvatures + max(low, 1e-6)))
    mu = brentq(excess, low, high, xtol=1e-10)
    return np.asarray(-slopes / (curvatures + mu))


def bofill_update(hessian: Array, step: Array, change: Array) -> Array:
    """Update a Hessian by a step and the change of the gradient: Bofill's mix of Murtagh-Sargent and Powell.

    With xi = y - H s and phi = (xi.s)^2 / (xi.xi s.s) it is phi xi xi^T / (xi.s) plus (1 - phi) times Powell's
    (xi s^T + s xi^T) / s.s - (xi.s) s s^T / (s.s)^2.
    """
    missed = change - hessian @ step
    squared, missed_squared, along = step @ step, missed @ missed, missed @ step
    if squared < 1e-20 or missed_squared < 1e-20:
        return hessian
    share = along**2 / (missed_squared * squared)
    powell = (np.outer(missed, step) + np.outer(step, missed)) / squared
    powell -= along / squared**2 * np.outer(step, step)
    first = share * np.outer(missed, missed) / along if share > 1e-8 else 0.0
    return np.asarray(hessian + first + (1 - share) * powell)


def bfgs_update(hessian: Array, step: Array, change: Array) -> Array:
    """Update the Hessian on the way to a minimum: BFGS, and Bofill's where the curvature along the step is negative."""
    along = step @ change
    image = hessian @ step
    curvature = step @ image
    if along <= 1e-8 * (step @ step) or curvature <= 1e-8 * (step @ step):
        return bofill_update(hessian, step, change)
    return np.asarray(hessian + np.outer(change, change) / along - np.outer(image, image) / curvature)
