"""Averages of a committee's members from the run that their mean drove, where they are known exactly."""

import numpy as np
import pytest
from ase import units
from ase.build import molecule

from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import load_result, optimize, run_nvt
from dp_sim.recipes.dynamics import estimators
from dp_sim.recipes.dynamics.estimators import Reweighting, average
from dp_sim.uncertainty.derived import SpreadWorth
from dp_sim.units import EV_PER_A3_IN_BAR
from tests.support.random_model import write_random_committee

KT = units.kB * 300
STIFF = 2.0
SAMPLES = 40_000


def reweighting(energy, deviations) -> Reweighting:
    deviations = np.asarray(deviations)
    return Reweighting(energy, deviations, KT, SpreadWorth.of(len(deviations), None))


@pytest.fixture(scope="module")
def oscillators() -> np.ndarray:
    """Positions (S, 30) of harmonic oscillators, k x^2 / 2, in equilibrium."""
    return np.random.default_rng(0).normal(scale=np.sqrt(KT / STIFF), size=(SAMPLES, 30))


def test_stiffer_and_softer_springs(oscillators):
    """<x^2> = k_B T / (k + dk), while energy and heat capacity do not know k."""
    energy = STIFF * (oscillators**2).sum(axis=1) / 2
    changes = np.array([-0.03, 0.01, 0.04]) * STIFF
    found = reweighting(energy, [dk * (oscillators**2).sum(axis=1) / 2 for dk in changes])
    assert found.is_direct
    square = (oscillators**2).mean(axis=1)
    exact = KT / (STIFF + changes)
    np.testing.assert_allclose(found.values(lambda _, w: average(square, w)), exact, rtol=4e-3)
    means = found.values(average)
    np.testing.assert_allclose(means - energy.mean(), 0, atol=0.004 * energy.mean())
    capacities = found.values(lambda u, w: estimators.heat_capacity_statistic(u, 300, 30, 1, w))
    np.testing.assert_allclose(capacities, 30, rtol=0.03)


def test_the_first_cumulant_of_many_springs(oscillators):
    """Too many for weights: the first order in dk of <x^2>, which all springs that are alike answer to."""
    several = np.tile(oscillators, 30)  # 900 oscillators, 30 of them alike: deviations of 30 times the size
    energy = STIFF * (several**2).sum(axis=1) / 2
    changes = np.array([-0.023, 0.023]) * STIFF
    found = reweighting(energy, [dk * (several**2).sum(axis=1) / 2 for dk in changes])
    assert not found.is_direct
    assert not found.cause
    assert "cumulant" in found.words
    # Alike, they respond 30 times as much: d<x^2>/dk = -Cov(x^2, sum of x^2) / 2 k_B T.
    square = (several**2).mean(axis=1)
    expected = square.mean() - 30 * KT / STIFF**2 * changes
    np.testing.assert_allclose(found.values(lambda _, w: average(square, w)), expected, rtol=0.03)


def test_a_force_on_a_spring_is_exact_to_first_order():
    """<x> of k x^2 / 2 - f x is f / k; x and the deviation are normal together."""
    x = np.random.default_rng(1).normal(scale=np.sqrt(KT / STIFF), size=SAMPLES)
    forces = np.array([0.3, -0.5]) * np.sqrt(KT * STIFF)
    exactly = reweighting(STIFF * x**2 / 2, [-f * x for f in forces])
    np.testing.assert_allclose(exactly.values(lambda _, w: average(x, w)), forces / STIFF, atol=0.01)
    large = 2.8 * np.sqrt(KT * STIFF)
    far = reweighting(STIFF * x**2 / 2, [-large * x, large * x])
    assert not far.is_direct
    assert not far.cause
    np.testing.assert_allclose(far.values(lambda _, w: average(x, w)), [large / STIFF, -large / STIFF], rtol=0.03)


def test_pressures_that_members_see_otherwise():
    """P_k = (a + d) x + b x^2 + c under k x^2 / 2 - f x, with <x> = f / k, <x^2> = k_B T / k + (f / k)^2.

    With y = x - f / k, Cov(U_k, P_k) = b k <(y^2 - <y^2>)^2> / 2 = b (k_B T)^2 / k.
    """
    half = np.random.default_rng(4).normal(scale=np.sqrt(KT / STIFF), size=SAMPLES // 2)
    x = np.concatenate([half, -half])  # odd moments vanish, as they do without noise
    energy, a, b, d, c = STIFF * x**2 / 2, 30.0, 7000.0, np.array([300.0, -500.0]), np.array([30.0, -50.0])
    pressure, apart = a * x + b * x**2, d[:, None] * x + c[:, None]
    for size in (0.4, 2.8):  # directly, and by the first cumulant
        f = size * np.array([0.5, -1.0]) * np.sqrt(KT * STIFF)
        found = reweighting(energy, [-one * x for one in f])
        assert found.is_direct == (size == 0.4)
        second_order = found.is_direct * (b * (f / STIFF) ** 2 + d * f / STIFF)
        means = found.values(lambda _, p, w: average(p, w), (pressure, apart))
        np.testing.assert_allclose(means, a * f / STIFF + b * KT / STIFF + c + second_order, atol=4)

        def coefficient(u, p, w):
            return estimators.pressure_coefficient_statistic(u, p, 1.0, 300, 0, w)

        coefficients = found.values(coefficient, (pressure, apart))
        np.testing.assert_allclose(coefficients, b * units.kB / STIFF, rtol=0.08)


def test_ideal_gas_whose_members_feel_another_pressure():
    """V of N particles at p is gamma distributed: <V> = (N + 1) k_B T / p, Var(V) = (N + 1) (k_B T / p)^2."""
    particles, pressure = 20, 1e-4
    volume = np.random.default_rng(2).gamma(particles + 1, KT / pressure, size=4 * SAMPLES)
    more = np.array([-0.05, 0.02, 0.08]) * pressure
    found = reweighting(np.zeros(len(volume)), [dp * volume for dp in more])
    assert found.is_direct
    np.testing.assert_allclose(
        found.values(lambda _, w: average(volume, w)), (particles + 1) * KT / (pressure + more), rtol=3e-3
    )
    kappa = found.values(lambda _, w: estimators.compressibility_statistic(volume, 300, w))
    np.testing.assert_allclose(kappa * 160.21766, 1 / (pressure + more), rtol=0.03)
    # H = p V: C_p - C_V = (N + 1) k_B whatever the pressure, and gamma_V = p / T
    difference, slope = (
        found.values(lambda u, w, statistic=one: statistic(volume, u + pressure * volume, 300, w))
        for one in (estimators.capacity_difference_statistic, estimators.thermal_pressure_statistic)
    )
    np.testing.assert_allclose(difference, particles + 1, rtol=0.03)
    np.testing.assert_allclose(slope * 1e-4 / 160.21766, (pressure + more) / 300, rtol=1e-6)
    told = found.error(lambda _, w: average(volume, w))
    exact = np.std((particles + 1) * KT / (pressure + more), ddof=1)
    assert told.standard == pytest.approx(found.worth.energy.factor * exact, rel=0.05)


def test_members_that_would_go_elsewhere_are_refused():
    x = np.random.default_rng(3).normal(scale=np.sqrt(KT / STIFF), size=2000)
    force = 3.5 * np.sqrt(KT * STIFF)
    found = reweighting(STIFF * x**2 / 2, [-force * x, 0 * x])
    assert found.error(average) is None
    assert "3.5 k_B T" in found.cause
    assert found.effective[0] < 10 < found.effective[1]


def test_a_run_keeps_what_each_member_says(tmp_path, monkeypatch):
    """The table has their energies, whose mean drives; the mean energy has an error of the model beside its own."""
    monkeypatch.setattr(estimators.averages, "NEEDED_FOR_MEAN", 3)  # a run of seconds
    files = write_random_committee(tmp_path, 3, apart=0.003, species=("H", "O"), seed=6)
    start = optimize(molecule("H2O2"), files, fmax=0.05, progress=False).atoms
    asked = {"temperature_K": 300, "timestep_fs": 0.5, "friction_per_ps": 50, "sample_every": 4, "progress": False}
    found = run_nvt(start, files, steps=600, out=tmp_path / "run", **asked)
    for row in found.rows[::50]:
        assert np.mean(row.members_eV) == pytest.approx(row.potential_eV, abs=1e-9)
    assert (tmp_path / "run" / "thermo.csv").read_text().splitlines()[0].endswith("member_1_eV,member_2_eV,member_3_eV")
    again = load_result(tmp_path / "run")
    np.testing.assert_allclose(again.rows[7].members_eV, found.rows[7].members_eV, atol=1e-9)
    assert len(found.member_averages.effective) == 3
    energy = found.quantities()["potential_energy"]
    low, high = energy.total_ci95
    assert energy.model_error > 0
    assert low < energy.ci95[0] < energy.ci95[1] < high
    assert run_nvt(start, files[0], steps=8, **asked).rows[0].members_eV is None


@pytest.mark.parametrize("engine", ["ase", "openmm"])
def test_a_run_keeps_the_pressure_that_each_member_says(tmp_path, monkeypatch, engine):
    monkeypatch.setattr(estimators.averages, "NEEDED_FOR_MEAN", 3)  # a run of a second
    monkeypatch.setattr(estimators, "equilibration", lambda *_: 0)
    monkeypatch.setattr(estimators, "drifts", lambda *_: False)
    files = write_random_committee(tmp_path, 3, apart=0.003, species=("H", "O"), seed=6)
    start = molecule("H2O2")
    start.set_cell([9, 9.5, 10])
    start.pbc = True
    start = optimize(start, files, fmax=0.05, progress=False).atoms
    more = {"backend": "python", "platform": "Reference"} if engine == "openmm" else {}
    found = run_nvt(
        start, files, engine=engine, temperature_K=300, timestep_fs=0.5, friction_per_ps=50, sample_every=4, steps=400,
        frame_every=400, out=tmp_path / "run", progress=False, **more,
    )  # fmt: skip
    end = load_result(tmp_path / "run")
    last, row = end.atoms, end.rows[-1]
    kinetic = 2 * row.kinetic_eV / (3 * row.volume_A3)
    for file, pressure in zip(files, row.members_bar, strict=True):
        last.calc = DPCalculator(file)
        of_one = kinetic - last.get_stress()[:3].mean()
        assert pressure == pytest.approx(of_one * EV_PER_A3_IN_BAR, rel=1e-5)
    assert np.ptp(row.members_bar) > 1
    for name in ("pressure", "thermal_pressure_coefficient"):
        number = found.quantities()[name]
        assert number.value is None or number.model_error > 0
    assert found.quantities()["pressure"].value is not None
