"""The model's error of a relaxed cell: each member relaxes its own."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones

from dp_sim.recipes import optimize
from dp_sim.recipes.static import opt
from dp_sim.recipes.static.relaxation import single
from dp_sim.uncertainty.derived import SpreadWorth

SIGMA = 3.4


def argon(sigma: float) -> LennardJones:
    return LennardJones(sigma=sigma, epsilon=0.01, rc=2.5 * sigma, smooth=True)


def committee(monkeypatch, sigmas):
    """Put atoms of other sizes behind a calculator; lengths in a crystal grow with them, and nothing else does."""
    worth = SpreadWorth.of(len(sigmas), None)
    mean = argon(SIGMA)
    each = [argon(one) for one in sigmas]
    monkeypatch.setattr(opt, "member_calculators", lambda calculator: each if calculator is mean else [])
    monkeypatch.setattr(single, "spread_worth", lambda _: worth)
    monkeypatch.setattr(single, "member_energies", lambda *_: np.zeros((len(sigmas), 1)))
    return mean, worth


def test_lattice_constants_have_the_error_of_what_each_member_relaxes(monkeypatch):
    sigmas = SIGMA * np.array([0.99, 1.0, 1.02])
    mean, worth = committee(monkeypatch, sigmas)
    asked = {"cell": True, "fmax": 1e-4, "progress": False}
    found = optimize(bulk("Ar", a=1.55 * SIGMA, cubic=True), mean, **asked)
    numbers = found.quantities()
    length = found.atoms.cell.lengths()[0]
    expected = worth.forces.factor * length * np.std(sigmas / SIGMA, ddof=1)
    np.testing.assert_allclose(numbers["cell_lengths"].model_error, expected, rtol=1e-3)
    volumes = length**3 * (sigmas / SIGMA) ** 3
    assert numbers["volume"].model_error == pytest.approx(worth.forces.factor * np.std(volumes, ddof=1), rel=1e-3)
    np.testing.assert_allclose(numbers["cell_angles"].model_error, 0, atol=1e-6)


def test_a_member_that_does_not_relax_the_cell_leaves_no_error(monkeypatch, tmp_path):
    mean, _ = committee(monkeypatch, [SIGMA, 1.05 * SIGMA])
    atoms = bulk("Ar", a=1.55 * SIGMA, cubic=True)
    found = optimize(atoms, mean, cell=True, fmax=1e-3, steps=2, out=tmp_path / "run", progress=False)
    assert found.converged
    assert found.quantities()["volume"].model_error is None
    assert any("member 2 does not relax it" in note for note in found.provenance["notes"])
