"""Viscosity from synthetic stresses whose Green-Kubo integral is known, with the coverage of its interval."""

import numpy as np
import pytest
from synthetic_series import autoregressive

from dp_sim.recipes.analysis.transport.viscosity import NEEDED, shear_components, viscosity
from dp_sim.units import KB_EV_PER_K

TAU, SPACING_PS, AMPLITUDE_BAR, VOLUME_A3 = 8.0, 0.01, 500.0, 8000.0


def table(rng, n_samples, fast=0.5):
    """Six components with autocorrelation A^2 [fast exp(-t / 2) + (1 - fast) exp(-t / 8)], t in samples.

    The diagonal has twice the variance about the pressure, as in an isotropic liquid: (xx - yy) / 2 has that of xy.
    """

    def series():
        return AMPLITUDE_BAR * (
            np.sqrt(fast) * autoregressive(rng, n_samples, 2.0)
            + np.sqrt(1 - fast) * autoregressive(rng, n_samples, TAU)
        )

    columns = {name: series() * (np.sqrt(2) if name[9] == name[10] else 1) for name in NEEDED}
    for name in ("pressure_xx_bar", "pressure_yy_bar", "pressure_zz_bar"):
        columns[name] += 1000.0
    return {**columns, "time_ps": np.arange(n_samples) * SPACING_PS, "volume_A3": np.full(n_samples, VOLUME_A3)}


def exact(temperature_K, fast=0.5):
    """V / kT times the integral; a trapezium over samples of exp(-t / tau) is 1 / 2 + 1 / (exp(1 / tau) - 1)."""
    integral = sum(
        share * (0.5 + 1 / (np.exp(1 / tau) - 1)) for share, tau in ((fast, 2.0), (1 - fast, TAU))
    )  # samples
    pascal_2_s = (AMPLITUDE_BAR * 1e5) ** 2 * integral * SPACING_PS * 1e-12
    return VOLUME_A3 * 1e-30 * pascal_2_s / (KB_EV_PER_K * temperature_K * 1.602176565e-19) * 1e3


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
