"""Errors of derived numbers, on committees whose errors are known."""

import numpy as np
import pytest

from dp_sim.uncertainty.calibration import Calibration
from dp_sim.uncertainty.derived import ModelError, SpreadWorth
from dp_sim.uncertainty.scale import Scale


def test_a_raw_spread_holds_what_it_says() -> None:
    """Truth and members from one normal distribution: 68.3 % and 95 % of the errors of the mean."""
    random = np.random.default_rng(0)
    for members in (2, 3, 4):
        values = random.normal(size=(members, 100_000))
        error = np.abs(values.mean(axis=0) - random.normal(size=100_000))
        told = SpreadWorth.of(members, None).error(values, "energy")
        assert np.mean(error <= told.standard) == pytest.approx(0.683, abs=0.005)
        assert np.mean(error <= told.above) == pytest.approx(0.95, abs=0.003)


def test_what_is_alike_at_both_ends_of_a_path_cancels() -> None:
    """Members that are off by 1 eV everywhere, and by 1 meV in the difference: the barrier is known to meV."""
    random = np.random.default_rng(1)
    start = random.normal(size=4)
    top = start + 0.5 + 1e-3 * random.normal(size=4)
    told = SpreadWorth.of(4, None)
    assert told.error(top - start, "energy").standard < 4e-3
    assert told.error(top, "energy").standard > 0.1


def test_a_calibration_says_what_a_spread_is_worth() -> None:
    energy, forces = Scale(2.0, (0.7, 1.0, 1.6, 3.0)), Scale(5.0, (None,) * 4)
    worth = SpreadWorth.of(4, Calibration(("a",) * 4, energy, forces, forces, {}))
    values = [1.0, 2.0, 3.0, 4.0]
    spread = np.std(values, ddof=1)
    assert worth.error(values, "energy") == pytest.approx((2 * spread, 6 * spread, 6 * spread))
    # without an interval of its own, Student's t with three degrees: 3.182 over 1.197 (tables)
    assert worth.error(values, "forces") == pytest.approx((5 * spread, *[5 * spread * 3.1824 / 1.1969] * 2), rel=1e-4)
    assert worth.error(values, "both") == worth.error(values, "forces")
    assert worth.among(3).of_kind("energy") == worth.energy
    assert "calibrated" in worth.words
    assert "Student" in SpreadWorth.of(3, None).words


def test_intervals_of_a_number_known_by_its_logarithm() -> None:
    worth = SpreadWorth.of(3, None)
    logarithms = np.array([1.9, 2.0, 2.1])
    even = worth.error(logarithms, "both")
    found = worth.error_of_logarithm(2.0, logarithms, "both")
    assert isinstance(found, ModelError)
    assert 100 - found.below == pytest.approx(10 ** (2 - even.below))
    assert 100 + found.above == pytest.approx(10 ** (2 + even.above))
    assert found.standard == pytest.approx(100 * np.log(10) * even.standard)
