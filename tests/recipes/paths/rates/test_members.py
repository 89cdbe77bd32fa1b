"""Error bars of a committee whose members are known: one surface, scaled, so that barriers and rates scale exactly."""

import numpy as np
import pytest
from analytic_surfaces import MINIMA, SADDLES, SurfaceWithHessian, at, mueller_brown, stationary
from ase import units

from dp_sim.recipes import rate_constant
from dp_sim.recipes.paths.rates import members
from dp_sim.uncertainty.derived import SpreadWorth

RANGE = {"temperature_min_K": 500.0, "temperature_max_K": 1000.0, "temperature_step_K": 100.0, "progress": False}


def scaled(factor: float):
    """The surface of Mueller and Brown times a factor: the same stationary points, other heights and curvatures."""

    def energy(x, y):
        value, gradient, hessian = mueller_brown(x, y)
        return factor * value, factor * gradient, factor * hessian

    return SurfaceWithHessian(energy)


def rate_with(monkeypatch, factors, **settings):
    monkeypatch.setattr(members, "member_calculators", lambda calculator: [scaled(one) for one in factors])
    monkeypatch.setattr(members, "spread_worth", lambda calculator: SpreadWorth.of(len(factors), None))
    start, top, end = (at(*stationary(point)) for point in (MINIMA["A"], SADDLES["AC"], MINIMA["C"]))
    asked = {**RANGE, "temperature_K": 1000, "tunnelling": "none", "trust_eV_A": 50.0, **settings}
    return rate_constant(start, top, scaled(1.0), product=end, **asked)


def test_barrier_frequency_and_rate_have_the_spread_of_the_members(monkeypatch):
    factors = np.array([0.97, 1.0, 1.04])
    found = rate_with(monkeypatch, factors)
    assert found.verdict == "PASS", found.reasons
    values = found.to_dict()["values"]
    heights = [mueller_brown(*stationary(point))[0] for point in (MINIMA["A"], SADDLES["AC"])]
    barrier = heights[1] - heights[0]
    assert values["barrier"]["value"] == pytest.approx(barrier, abs=1e-6)
    worth = 1.3213 * np.sqrt(4 / 3)  # 68.3 % of Student's t with two degrees; the truth is one member more
    assert values["barrier"]["model_error"] == pytest.approx(worth * barrier * factors.std(ddof=1), rel=1e-4)
    roots = np.sqrt(factors)
    frequency = values["imaginary_frequency"]
    assert frequency["model_error"] == pytest.approx(worth * abs(frequency["value"]) * roots.std(ddof=1), rel=1e-3)
    # Classical harmonic rates: the prefactor grows as the root, of two frequencies over one.
    classical = 0.5 * np.log10(factors) - factors * barrier / (units.kB * 1000) / np.log(10)
    assert values["log10_rate_constant"]["model_error"] == pytest.approx(worth * classical.std(ddof=1), rel=0.1)
    costs = dict(zip(values["stages"]["value"], values["hessian_calls"]["value"], strict=True))
    assert costs["committee"] >= 3 * len(factors)  # each member has three stationary points
    low, high = values["rate_constant"]["total_ci95"]
    assert 0 < low < found.rate < high
    over_temperature = values["log10_rate_constants"]["model_error"]
    assert over_temperature[0] > over_temperature[-1]
    # G of activation: the classical prefactor and the barrier, without what the rate constant adds
    gibbs = -units.kB * 1000 * np.log(10) * classical
    assert values["activation_gibbs_energy"]["model_error"] == pytest.approx(worth * gibbs.std(ddof=1), rel=0.1)


def test_a_barrier_that_the_committee_does_not_know_fails(monkeypatch):
    found = rate_with(monkeypatch, [0.5, 1.0, 1.6])
    assert found.verdict == "FAIL"
    assert "does not know the rate" in found.reasons[0]
    assert found.rate is not None


def test_a_path_whose_forces_the_committee_does_not_know_fails(monkeypatch):
    found = rate_with(monkeypatch, [0.9, 1.1], trust_eV_A=0.05)
    assert found.verdict == "FAIL"
    assert "does not know the path" in found.reasons[0]
    assert found.force_spread_eV_A > 0.05


def test_a_member_without_the_saddle_point_fails(monkeypatch):
    """One member that sees a slope and a bowl in place of the surface."""

    def bowl(x, y):
        return 5 * (x**2 + y**2), 10 * np.array([x, y]), 10 * np.eye(2)

    calculators = [scaled(1.0), scaled(1.01), SurfaceWithHessian(bowl)]
    monkeypatch.setattr(members, "member_calculators", lambda calculator: calculators)
    start, top = at(*stationary(MINIMA["A"])), at(*stationary(SADDLES["AC"]))
    found = rate_constant(start, top, scaled(1.0), temperature_K=1000, trust_eV_A=1e4, **RANGE)
    assert found.verdict == "FAIL"
    assert "member 3" in found.reasons[0]


def test_members_can_find_the_whole_path_or_nothing(monkeypatch):
    factors = [0.98, 1.02]
    by_path, none = (rate_with(monkeypatch, factors, members=how) for how in ("path", "none"))
    assert by_path.verdict == "PASS", by_path.reasons
    at_points = rate_with(monkeypatch, factors)
    np.testing.assert_allclose(by_path.members.barriers_eV, at_points.members.barriers_eV, atol=1e-4)
    assert none.members is None
    assert none.to_dict()["values"]["barrier"].get("model_error") is None


def test_the_saddle_point_of_another_reaction_fails():
    """The surface has three minima in a row: the saddle point between the last two does not lead to the first."""
    start, middle, end = (at(*stationary(MINIMA[name])) for name in "ACB")
    other = at(*stationary(SADDLES["BC"]))
    found = rate_constant(start, other, scaled(1.0), product=middle, temperature_K=1000, **RANGE)
    assert found.verdict == "FAIL"
    assert "does not join the ends given" in found.reasons[0]
    assert rate_constant(middle, other, scaled(1.0), product=end, temperature_K=1000, **RANGE).verdict == "PASS"
    alone = rate_constant(start, other, scaled(1.0), temperature_K=1000, **RANGE)
    assert alone.verdict == "FAIL"
    assert "does not start at the reactant" in alone.reasons[0]
