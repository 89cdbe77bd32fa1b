"""Hessians with the motions of the whole left out, and steps and updates that have known properties."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from dp_sim.recipes.paths.saddle.curvature import stationary_modes
from dp_sim.recipes.paths.saddle.follower import bfgs_update, bofill_update, image_step
from dp_sim.recipes.paths.saddle.surface import Surface
from dp_sim.recipes.static.hessian import difference_hessian


def strained_cluster():
    """Four atoms far from a stationary point, so that turning them turns large forces."""
    atoms = Atoms("Cu4", [[0, 0, 0], [2.2, 0.1, 0], [0.9, 2.1, 0.2], [1.1, 0.8, 1.9]], calculator=EMT())
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() > 0.5
    return atoms


def test_directions_of_the_whole_follow_from_the_gradient():
    atoms = strained_cluster()
    full = difference_hessian(atoms, delta=5e-3, mobile=np.arange(4), partial=None, progress=False)
    surface = Surface(atoms, np.arange(4))
    surface.find_free_motions()
    assert surface.translations
    assert surface.rotations
    found = stationary_modes(surface, surface.here, log=lambda line: None)
    np.testing.assert_allclose(found.hessian, (full + full.T) / 2, atol=5e-3)
    assert surface.cost.evaluations == 1 + 1 + 2 * 6  # there, turned, and to both sides of six motions


@pytest.mark.parametrize("update", [bofill_update, bfgs_update])
def test_an_updated_hessian_foretells_the_step(update):
    rng = np.random.default_rng(2)
    hessian, step = np.eye(5), rng.normal(size=5)
    change = np.diag([1.0, 2, 3, 4, 5]) @ step
    updated = update(hessian, step, change)
    np.testing.assert_allclose(updated @ step, change, atol=1e-12)
    np.testing.assert_allclose(updated, updated.T, atol=1e-12)


def test_a_step_is_newtons_inside_the_radius_and_on_it_beyond():
    curvatures, slopes = np.array([2.0, 5.0]), np.array([0.2, -0.5])
    np.testing.assert_allclose(image_step(curvatures, slopes, 1.0), [-0.1, 0.1])
    assert np.linalg.norm(image_step(curvatures, slopes, 0.05)) == pytest.approx(0.05)
    downhill = image_step(np.array([-2.0, 5.0]), slopes, 0.3)
    assert np.linalg.norm(downhill) == pytest.approx(0.3)
    assert downhill @ slopes < 0
