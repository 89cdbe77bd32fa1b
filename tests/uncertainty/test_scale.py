"""Scales and intervals on errors whose distribution is known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import stdtr

from dp_sim.uncertainty.conformal import conformal_quantile
from dp_sim.uncertainty.likelihood import STANDARD, alpha_squared, likelihood_scale, student_quantile
from dp_sim.uncertainty.points import Points
from dp_sim.uncertainty.reliability import assessed
from dp_sim.uncertainty.scale import LEVELS, fitted_scale


def drawn(members: int, count: int, *, alpha: float = 1.0, components: int = 1, seed: int = 0) -> Points:
    """Members and truth from one normal distribution, whose width differs from point to point; 400 frames, 5 blocks."""
    random = np.random.default_rng(seed)
    sigma = np.exp(random.normal(size=(count, 1)))
    values = sigma[None] * random.normal(size=(members, count, components))
    truth = alpha * sigma * random.normal(size=(count, components))
    error = np.linalg.norm(values.mean(axis=0) - truth, axis=1)
    spread = np.linalg.norm(values.std(axis=0, ddof=1), axis=1)
    frame = np.arange(count) * 400 // count
    return Points(error, spread, frame, frame // 80, components, np.ones(count, dtype=np.int64))


@pytest.mark.parametrize(("members", "mean"), [(4, 3.75), (5, 2.4), (8, 1.575)])
def test_the_mean_squared_ratio_of_normal_errors(members: int, mean: float) -> None:
    """The mean converges slowly: with four members its variance is infinite. Quantiles of the same ratio do not."""
    assert alpha_squared(np.array([mean]), members) == pytest.approx(1.0)
    points = drawn(members, 400_000)
    ratios = np.square(points.error / points.spread)
    if members == 8:
        assert ratios.mean() == pytest.approx(mean, rel=0.02)
    scale = np.sqrt(1 + 1 / members)
    held = np.mean(points.error <= 1.96 * points.spread * scale)
    assert held == pytest.approx(2 * stdtr(members - 1, 1.96) - 1, abs=0.002)


@pytest.mark.parametrize(("members", "share"), [(4, 0.855), (5, 0.878), (8, 0.909)])
def test_the_normal_factor_holds_too_little(members: int, share: float) -> None:
    points = drawn(members, 200_000, seed=3)
    width = 1.96 * points.spread * np.sqrt(1 + 1 / members)
    assert np.mean(points.error <= width) == pytest.approx(share, abs=0.003)


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("members", [2, 3, 4, 8])
def test_the_likelihood_finds_the_scale(members: int, components: int) -> None:
    points = drawn(members, 100_000, alpha=3.0, components=components)
    ratios = np.square(points.error / points.spread)
    factor = likelihood_scale(ratios, components, components * (members - 1))
    assert factor == pytest.approx(np.sqrt(9 + 1 / members), rel=0.02)
    scale = fitted_scale(points, members)
    assert np.mean(points.error <= scale.factor * points.spread) == pytest.approx(STANDARD, abs=0.005)


def test_many_members_are_the_normal_distribution() -> None:
    assert student_quantile(STANDARD, 1, 1e9) == pytest.approx(1.0, abs=1e-6)
    assert student_quantile(0.95, 1, 1e9) == pytest.approx(1.96, abs=1e-3)
    assert student_quantile(0.95, 3, 1e9) == pytest.approx(np.sqrt(7.815 / 3), abs=1e-3)  # chi-squared of 3, tables
    assert student_quantile(0.95, 1, 3) == pytest.approx(3.182, abs=1e-3)  # Student's t of 3, tables
    ratios = np.square(np.random.default_rng(5).normal(size=1000))
    assert likelihood_scale(ratios, 1, 1e9) == pytest.approx(np.sqrt(ratios.mean()))


def test_one_small_spread_does_not_rule() -> None:
    points = drawn(4, 2000)
    points.spread[7] = 1e-3 * points.error[7]
    ratios = np.square(points.error / points.spread)
    assert alpha_squared(ratios, 4) > 100
    assert likelihood_scale(ratios, 1, 3) == pytest.approx(np.sqrt(1.25), rel=0.1)


def test_conformal_ranks() -> None:
    scores = np.random.default_rng(1).permutation(np.arange(1.0, 101.0))
    assert conformal_quantile(scores, 0.95, 100) == 96  # ceil(101 * 0.95)
    assert conformal_quantile(scores, 0.50, 100) == 51
    assert conformal_quantile(scores[:19], 0.95, 19) == scores[:19].max()
    assert conformal_quantile(scores[:18], 0.95, 18) is None


def test_intervals_hold_new_errors_of_any_distribution() -> None:
    """Exponential errors: the mean coverage over calibration sets of 39 is no less than the level, and hardly more."""
    random = np.random.default_rng(2)
    held = [
        random.exponential(size=100) <= conformal_quantile(random.exponential(size=39), 0.9, 39)  # type: ignore[operator]
        for _ in range(2000)
    ]
    assert np.mean(held) == pytest.approx(0.9, abs=0.005)


def test_coverage_of_blocks_left_out() -> None:
    _, found = assessed(drawn(4, 40_000), 4, "energies")
    for level, share in zip(LEVELS, found.coverage, strict=True):
        assert share is not None
        assert share.value == pytest.approx(level / 100, abs=0.03)
    assert found.rank_correlation.value > 0.4
    assert found.useless == ()
    assert len(found.told) == 10


def test_a_block_that_is_another_regime_is_seen() -> None:
    """Four blocks as told, one with errors ten times as large: a split by point would hide it."""
    points = drawn(8, 20_000)
    points.error[points.block == 4] *= 10
    _, found = assessed(points, 8, "energies")
    share = found.coverage[-1]
    assert share is not None
    assert share.value < 0.9
    assert share.error > 0.05


def test_where_the_spread_is_useless() -> None:
    points = drawn(4, 4000)
    shuffled = replace(points, spread=np.random.default_rng(9).permutation(points.spread))
    _, found = assessed(shuffled, 4, "energies")
    assert "rank correlation" in found.useless[0]
    small = points.spread < np.quantile(points.spread, 0.2)
    _, found = assessed(replace(points, error=np.where(small, 6 * points.error, points.error)), 4, "energies")
    assert ["smallest fifth" in line for line in found.useless] == [True]
    points.element[::10] = 8
    points.error[::10] *= 20
    _, found = assessed(points, 4, "force components")
    assert [" of O hold" in line for line in found.useless] == [True]


def test_spreads_of_nothing_are_left_out() -> None:
    points = drawn(4, 100)
    points.spread[:3] = 0.0
    points.spread[3] = 1e-9
    kept = points.with_spread()
    assert (len(kept.error), kept.without_spread) == (96, 4)
