"""Viscosity from synthetic stresses whose Green-Kubo integral is known, with the coverage of its interval."""

import numpy as np
import pytest
from synthetic_stress import AMPLITUDE_BAR, exact, table

from dp_sim.recipes.analysis.transport.viscosity import shear_components, viscosity


def test_the_interval_holds_the_exact_viscosity():
    covered, values, errors = 0, [], []
    for seed in range(100):
        value = viscosity(table(np.random.default_rng(seed), 6000), 300.0).value
        assert value.ci95 is not None, value.cause
        covered += value.ci95[0] <= exact(300.0) <= value.ci95[1]
        values.append(value.value)
        errors.append(value.error)
    assert 88 <= covered <= 99
    assert np.mean(values) == pytest.approx(exact(300.0), rel=0.03)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_the_five_components_are_independent_and_alike():
    components = shear_components(table(np.random.default_rng(0), 200_000))
    covariance = np.cov(components.T) / AMPLITUDE_BAR**2
    assert covariance == pytest.approx(np.eye(5), abs=0.05)


def test_what_gives_no_viscosity_says_why():
    rng = np.random.default_rng(1)
    strained = table(rng, 4000)
    strained["pressure_xy_bar"] += 400.0
    assert "solid" in viscosity(strained, 300.0).value.cause
    sparse = {name: column[::10] for name, column in table(rng, 40_000).items()}
    assert "sample_every" in viscosity(sparse, 300.0).value.cause
    assert "too few" in viscosity(table(rng, 15), 300.0).value.cause
    assert (
        "no plateau" in viscosity(table(rng, 150, fast=0.0), 300.0).value.cause
        or "needed" in viscosity(table(rng, 150, fast=0.0), 300.0).value.cause
    )
    without = table(rng, 100)
    del without["pressure_xy_bar"]
    assert "pressure_xy_bar" in viscosity(without, 300.0).value.cause
