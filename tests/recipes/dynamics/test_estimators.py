"""Estimators against synthetic series whose averages, variances and correlation times are known exactly.

The heart of it is coverage: over many independent repeats a 95 % interval must hold the truth in 95 % of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom
from synthetic_series import autoregressive, coverage, liquid_energy, vibrating_energy

from dp_sim.recipes.dynamics import estimators
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import EV_PER_A3_IN_BAR, EV_PER_A3_IN_GPA, KB_EV_PER_K

TEMPERATURE_K = 300.0
KT = KB_EV_PER_K * TEMPERATURE_K
REPEATS = 300


def check_coverage(
    make: Callable[[np.random.Generator], Estimate],
    truth: float,
    repeats: int = REPEATS,
    *,
    given: float = 0.95,
    hold: float = 0.95,
    error: float = 0.85,
) -> None:
    """The intervals hold the truth as often as they say, and the errors are as large as the scatter."""
    found = coverage(make, truth, repeats)
    assert found.given >= given * repeats, f"{repeats - found.given} of {repeats} estimates were withheld"
    assert found.hold >= binom.ppf(0.001, found.given, hold), f"{found.hold} of {found.given} intervals hold the truth"
    assert error < found.claimed_over_scatter < 1.5


@pytest.mark.parametrize(("tau", "size"), [(5.0, 900), (5.0, 3000), (20.0, 4000)])
def test_mean_interval_covers(tau: float, size: int):
    check_coverage(
        lambda rng: estimators.mean(3.0 + autoregressive(rng, size, tau), unit="", what="it", steps_per_sample=1), 3.0
    )


def test_intervals_cover_at_the_smallest_number_of_samples():
    """30 independent samples: where they seem fewer it is withheld, and where they seem more the error is small."""
    check_coverage(
        lambda rng: estimators.mean(liquid_energy(rng, 750), unit="", what="it", steps_per_sample=1),
        0.0,
        repeats=1000,
        given=0.7,
    )


@pytest.mark.parametrize(("size", "given"), [(750, 0.7), (1125, 0.9)])
def test_heat_capacity_of_a_liquid_covers(size: int, given: float):
    """30 independent energies, half as many of their slowest mode; and half as many again."""
    check_coverage(
        lambda rng: estimators.heat_capacity(
            KT * liquid_energy(rng, size), TEMPERATURE_K, degrees_of_freedom=0, what="the energy", steps_per_sample=1
        ),
        1.0,
        repeats=1000,
        given=given,
    )


@pytest.mark.parametrize(("tau", "size", "repeats"), [(5.0, 900, 300), (10.0, 900, 900), (20.0, 8000, 300)])
def test_heat_capacity_interval_covers(tau: float, size: int, repeats: int):
    def make(rng: np.random.Generator) -> Estimate:
        energy = -100.0 + 2.0 * KT * autoregressive(rng, size, tau)
        return estimators.heat_capacity(
            energy, TEMPERATURE_K, degrees_of_freedom=6, what="the energy", steps_per_sample=1
        )

    check_coverage(make, 4.0 + 3.0, repeats, given=0.85 if tau == 10.0 else 0.95)


def test_heat_capacity_of_vibrations_covers():
    """One frequency in all modes: the autocorrelation, summed to its first zero, would count each quarter period."""

    def make(rng: np.random.Generator) -> Estimate:
        return estimators.heat_capacity(
            KT * vibrating_energy(rng, 8000), TEMPERATURE_K, degrees_of_freedom=3, what="the energy", steps_per_sample=1
        )

    check_coverage(make, 3.0, repeats=100)


def test_compressibility_interval_covers():
    volume, spread = 1000.0, 60.0
    truth = spread**2 / (KT * volume) / EV_PER_A3_IN_GPA
    check_coverage(
        lambda rng: estimators.compressibility(
            volume + spread * autoregressive(rng, 2000, 5.0), TEMPERATURE_K, steps_per_sample=1
        ),
        truth,
    )


def test_thermal_expansion_interval_covers():
    """H = a V + independent noise: Cov(V, H) = a Var(V)."""
    volume, spread, slope = 1000.0, 60.0, 2e-3
    truth = slope * spread**2 / (KB_EV_PER_K * TEMPERATURE_K**2 * volume)

    def make(rng: np.random.Generator) -> Estimate:
        series = volume + spread * autoregressive(rng, 2500, 5.0)
        enthalpy = slope * series + 0.1 * autoregressive(rng, 2500, 8.0)
        return estimators.thermal_expansion(series, enthalpy, TEMPERATURE_K, steps_per_sample=1)

    check_coverage(make, truth)


def coupled(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Volume 1000 +- 60 A^3 and H = 2e-3 V + noise of 0.1 eV: of Var(H) the volume explains 0.12^2, not 0.1^2."""
    volume = 1000.0 + 60.0 * autoregressive(rng, size, 5.0)
    return volume, 2e-3 * volume + 0.1 * autoregressive(rng, size, 8.0)


def test_bulk_modulus_interval_covers():
    truth = KT * 1000.0 / 60.0**2 * EV_PER_A3_IN_GPA
    check_coverage(lambda rng: estimators.bulk_modulus(coupled(rng, 2000)[0], TEMPERATURE_K, steps_per_sample=1), truth)


@pytest.mark.parametrize(("which", "truth"), [(0, 0.12**2 / KT**2), (1, 0.1**2 / KT**2 + 3.0)])
def test_heat_capacity_at_constant_volume_covers(which: int, truth: float):
    """C_p - C_V is what the volume explains of the enthalpy's variance, C_V the rest and the momenta."""

    def make(rng: np.random.Generator) -> Estimate:
        return estimators.heat_capacity_at_constant_volume(
            *coupled(rng, 2500), TEMPERATURE_K, degrees_of_freedom=6, steps_per_sample=1
        )[which]

    check_coverage(make, truth)


def test_heat_capacity_at_constant_volume_covers_at_few_samples():
    """A variance is left of H, as skewed as any: with a symmetric interval 89 to 93 of 100 hold the truth."""

    def make(rng: np.random.Generator) -> Estimate:
        volume = 1000.0 + 60.0 * autoregressive(rng, 1200, 8.0)
        enthalpy = 2e-3 * volume + 0.1 * liquid_energy(rng, 1200)
        return estimators.heat_capacity_at_constant_volume(
            volume, enthalpy, TEMPERATURE_K, degrees_of_freedom=6, steps_per_sample=1
        )[1]

    check_coverage(make, 0.1**2 / KT**2 + 3.0, repeats=600)


def test_a_volume_that_does_not_fluctuate_tells_nothing():
    rng = np.random.default_rng(0)
    volume, enthalpy = np.full(500, 1000.0), rng.standard_normal(500)
    settings = {"steps_per_sample": 1}
    found = [
        estimators.compressibility(volume, TEMPERATURE_K, **settings),
        estimators.bulk_modulus(volume, TEMPERATURE_K, **settings),
        estimators.thermal_expansion(volume, enthalpy, TEMPERATURE_K, **settings),
        estimators.expansion_over_compressibility(volume, enthalpy, TEMPERATURE_K, **settings),
        *estimators.heat_capacity_at_constant_volume(volume, enthalpy, TEMPERATURE_K, degrees_of_freedom=6, **settings),
    ]
    assert [one.value for one in found] == [None] * 6
    assert {one.cause for one in found} == {"the volume does not fluctuate"}


def test_an_enthalpy_that_the_volume_explains_leaves_the_momenta():
    """But for rounding nothing of Var(H) is left: the interval stays finite."""
    rng = np.random.default_rng(0)
    volume = 1000.0 + 60.0 * autoregressive(rng, 4000, 5.0)
    _, found = estimators.heat_capacity_at_constant_volume(
        volume, 2e-3 * volume, TEMPERATURE_K, degrees_of_freedom=6, steps_per_sample=1
    )
    assert found.value == pytest.approx(3.0, abs=1e-9)
    assert np.isfinite(found.ci95).all()


def test_expansion_over_compressibility_covers():
    truth = 2e-3 / TEMPERATURE_K * EV_PER_A3_IN_BAR
    check_coverage(
        lambda rng: estimators.expansion_over_compressibility(*coupled(rng, 2500), TEMPERATURE_K, steps_per_sample=1),
        truth,
    )


def test_pressure_coefficient_covers():
    """P = 1e5 bar/eV U + noise: Cov(U, P) = 1e5 Var(U); and 3000 momenta in 1000 A^3, half of the whole."""
    truth = 1e5 * 0.1**2 / (KT * TEMPERATURE_K) + 3000 * KB_EV_PER_K / 3000.0 * EV_PER_A3_IN_BAR

    def make(rng: np.random.Generator) -> Estimate:
        energy = 0.1 * autoregressive(rng, 2000, 5.0)
        pressure = 1e5 * energy + 5e3 * rng.standard_normal(2000)
        return estimators.pressure_coefficient(
            energy, pressure, 1000.0, TEMPERATURE_K, degrees_of_freedom=3000, steps_per_sample=1
        )

    check_coverage(make, truth)


def test_slope_interval_covers():
    time = np.linspace(0.0, 10.0, 1000)
    check_coverage(
        lambda rng: estimators.slope(
            time, 0.3 * time + autoregressive(rng, 1000, 5.0), unit="", what="it", steps_per_sample=1
        ),
        0.3,
    )


@pytest.mark.parametrize("tau", [0.01, 3.0, 30.0])
def test_statistical_inefficiency_of_a_known_series(tau: float):
    """g = (1 + phi) / (1 - phi) for an autoregressive series."""
    phi = np.exp(-1 / tau)
    found = estimators.statistical_inefficiency(autoregressive(np.random.default_rng(1), 200_000, tau))
    assert found == pytest.approx((1 + phi) / (1 - phi), rel=0.25)


def test_independent_samples_need_no_correction():
    """Against the textbook: 4000 independent samples, the variance's standard error is sqrt(2 / (n - 1)) of it."""
    energy = KT * np.random.default_rng(3).standard_normal(4000)
    estimate = estimators.heat_capacity(
        energy, TEMPERATURE_K, degrees_of_freedom=0, what="the energy", steps_per_sample=1
    )
    assert estimate.value == pytest.approx(energy.var(ddof=1) / KT**2, rel=2e-3)
    assert estimate.error == pytest.approx(np.sqrt(2 / 3999), rel=0.25)


def test_per_atom_is_the_whole_divided():
    energy = KT * np.random.default_rng(3).standard_normal(1000)
    whole, per_atom = (
        estimators.heat_capacity(
            energy, TEMPERATURE_K, degrees_of_freedom=12, divide_by=n, what="the energy", steps_per_sample=1
        )
        for n in (1, 4)
    )
    assert per_atom.unit == "k_B/atom"
    assert [4 * per_atom.value, 4 * per_atom.error, *(4 * np.array(per_atom.ci95))] == pytest.approx(
        [whole.value, whole.error, *whole.ci95]
    )


def test_too_short_is_withheld_and_says_how_much_more():
    """The forecast is worth something: that many more samples, and half more, suffice; a third of them does not."""
    rng = np.random.default_rng(5)
    series = KT * autoregressive(rng, 40_000, 20.0)

    def heat_capacity(size: int) -> Estimate:
        return estimators.heat_capacity(
            series[:size], TEMPERATURE_K, degrees_of_freedom=0, what="the potential energy", steps_per_sample=10
        )

    estimate = heat_capacity(500)
    assert (estimate.value, estimate.error, estimate.ci95) == (None, None, None)
    assert estimate.n_effective == pytest.approx(12.5, abs=8)
    assert "independent samples of the potential energy after equilibration and 30 are needed" in estimate.cause
    more_steps = int(estimate.cause.split("run about ")[1].split(" ")[0].replace(",", ""))
    assert heat_capacity(500 + int(1.5 * more_steps / 10)).value is not None
    assert heat_capacity(500 + int(0.3 * more_steps / 10)).value is None


def test_a_handful_of_samples_is_withheld():
    estimate = estimators.mean(np.array([1.0, 2.0]), unit="eV", what="the energy", steps_per_sample=10)
    assert estimate.value is None
    assert "2 samples after equilibration" in estimate.cause
    assert "run at least 280 steps more" in estimate.cause


def test_a_handful_of_samples_tells_nothing_of_equilibrium():
    series = np.linspace(0.0, 1.0, 19)
    assert estimators.equilibration(series) == 0
    assert not estimators.drifts(series)


@pytest.mark.parametrize("size", [300, 600])
@pytest.mark.parametrize("make", [lambda rng, size: autoregressive(rng, size, 5.0), liquid_energy])
def test_noise_does_not_move_the_start_of_equilibrium(make: Callable[..., np.ndarray], size: int):
    """Stationary from the first sample: little is cut, and few are said not to be equilibrated."""
    starts, refused = [], 0
    for repeat in range(REPEATS):
        series = make(np.random.default_rng([8, repeat]), size)
        start = estimators.equilibration(series)
        starts.append(start)
        refused += start > estimators.LATEST_START * size or estimators.drifts(series[start:])
    assert np.mean(starts) < 0.08 * size
    assert np.median(starts) < 0.02 * size
    assert refused <= (0.02 if size == 600 else 0.06) * REPEATS


def test_a_drifting_series_never_equilibrates():
    series = np.linspace(0, 10, 5000) + 0.1 * autoregressive(np.random.default_rng(0), 5000, 5.0)
    assert estimators.equilibration(series) > estimators.LATEST_START * series.size


def test_a_drift_below_the_noise_is_told():
    series = np.linspace(0, 1, 5000) + autoregressive(np.random.default_rng(0), 5000, 5.0)
    assert estimators.equilibration(series) < 500
    assert estimators.drifts(series)


def test_an_outlying_first_sample_is_cut():
    """A maximum of the number of independent samples keeps it: it lowers the correlation of the rest."""
    series = autoregressive(np.random.default_rng(4), 1000, 10.0)
    series[0] = 50.0
    assert 1 <= estimators.equilibration(series) < 100


def test_a_start_far_off_leaves_the_digits_of_the_rest():
    """Five samples of 1e12 before noise of one: sums of squares about the mean of all would lose the noise."""
    series = np.random.default_rng(4).standard_normal(1000)
    series[:5] = 1e12
    assert 5 <= estimators.equilibration(series) < 50


def test_equilibration_finds_the_transient():
    rng = np.random.default_rng(2)
    quiet, settling = autoregressive(rng, 4000, 5.0), autoregressive(rng, 4000, 5.0)
    settling += 30 * np.exp(-np.arange(4000) / 150.0)
    start = estimators.equilibration(quiet, settling)
    assert 400 < start < 1600  # exp(-400/150) leaves 2 standard deviations, exp(-1600/150) less than a thousandth
    average = estimators.mean(settling[start:], unit="", what="it", steps_per_sample=1)
    assert abs(average.value) < 4 * average.error


def test_a_relaxation_leaves_little_in_the_mean():
    """5 standard deviations, a tenth of the run: half a standard error, averaged over many runs."""
    relaxation = 5 * np.exp(-np.arange(1200) / 120.0)
    left = []
    for repeat in range(REPEATS):
        series = liquid_energy(np.random.default_rng([10, repeat]), 1200) + relaxation
        left.append(series[estimators.equilibration(series) :].mean())
    assert abs(np.mean(left)) < 0.7 * np.sqrt(25 / 1200)


def test_no_fluctuation_is_exact():
    """An ideal gas has no potential energy: its heat capacity is the kinetic half, without error."""
    estimate = estimators.heat_capacity(
        np.zeros(500), TEMPERATURE_K, degrees_of_freedom=30, what="the energy", steps_per_sample=1
    )
    assert (estimate.value, estimate.error, estimate.ci95) == (15.0, 0.0, (15.0, 15.0))
