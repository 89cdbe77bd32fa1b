"""The follower on its way to a minimum."""

import numpy as np
from analytic_surfaces import SurfaceWithHessian, at

from dp_sim.recipes.paths.saddle.follower import Follower
from dp_sim.recipes.paths.saddle.surface import Surface


def walled(x, y):
    """A soft slope of 0.009 eV/Angstrom along y, and from 0.05 Angstrom on a wall: the minimum is at its foot."""
    into = max(0.0, y - 0.05)
    energy = x**2 / 2 - 0.009 * y + 0.025 * y**2 + 500 * into**3
    curvature = 0.05 + 3000 * into
    return energy, np.array([x, -0.009 + 0.05 * y + 1500 * into**2]), np.diag([1.0, curvature])


def test_a_step_that_is_not_taken_does_not_show_that_the_minimum_is_near():
    """The first step ends in the wall; with the curvature that it met, almost nothing would be left to go."""
    atoms = at(0, 0)
    atoms.calc = SurfaceWithHessian(walled)
    atoms.get_forces()
    hessian = np.diag([1.0, 0.05, 1.0])
    search = Follower(Surface(atoms, np.array([0])), False, 0.01, lambda line: None, hessian=hessian)
    point = search.run(np.zeros(3), 100)
    assert not search.cause
    assert abs(point.x[1] - 0.0521) < 0.02
