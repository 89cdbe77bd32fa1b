"""Corrections of a heat capacity: slopes of the energy, noise of a model, quantum oscillators."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from refusals import refused
from scipy.integrate import quad
from scipy.stats import binom
from systems_dynamics import einstein_crystal

from dp_sim.recipes import analyse, load_result, run_nvt
from dp_sim.recipes.analysis.heat_capacity import noise
from dp_sim.recipes.analysis.heat_capacity.corrections import HeatCapacityCorrections, with_quantum
from dp_sim.recipes.analysis.heat_capacity.quantum import CM_K, oscillator, quantum_correction
from dp_sim.recipes.analysis.heat_capacity.slope import combined, slope_between
from dp_sim.recipes.analysis.trajectory.motion import Motion
from dp_sim.recipes.analysis.trajectory.run_directory import read_run
from dp_sim.recipes.analysis.trajectory.source import Source
from dp_sim.recipes.analysis.transport.velocities import DensityOfStates, density_of_states
from dp_sim.recipes.models.accuracy import AccuracyResult
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import KB_EV_PER_K


def states(frequency_cm1: np.ndarray, density: np.ndarray, degrees_of_freedom: int) -> DensityOfStates:
    total = density * degrees_of_freedom / (density.sum() * frequency_cm1[1])
    return DensityOfStates(
        frequency_cm1=frequency_cm1, per_element={"Ar": total}, resolution_cm1=2.0,
        degrees_of_freedom=degrees_of_freedom, parts=np.tile(total, (8, 1)),
    )  # fmt: skip


def test_einstein_solid():
    """Einstein's function at x = h nu / k_B T = 2: x^2 e^x / (e^x - 1)^2 = 0.7241."""
    grid = np.arange(0.0, 1000.0)
    found = quantum_correction(states(grid, np.where(grid == 417, 1.0, 0.0), 30), 417 * CM_K / 2)
    assert 30 + found.value == pytest.approx(30 * 4 * np.exp(2) / (np.exp(2) - 1) ** 2, rel=1e-9)
    assert found.error == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("share", [0.2, 0.5, 2.0])
def test_debye_solid(share: float):
    """9 N (T / Theta)^3 int_0^(Theta/T) x^4 e^x / (e^x - 1)^2 dx, down to where few modes are left."""
    top = 400.0
    grid = np.arange(0.0, 600.0, 0.25)
    found = quantum_correction(states(grid, np.where(grid <= top, grid**2, 0.0), 3), share * top * CM_K)
    debye = 9 * share**3 * quad(lambda x: x**4 * np.exp(x) / (np.exp(x) - 1) ** 2, 0, 1 / share)[0]
    assert 3 + found.value == pytest.approx(debye, rel=5e-3)


def test_oscillators_are_classical_at_zero_frequency_and_frozen_at_high_ones():
    assert oscillator(np.array([0.0, 1e-6, 1e6]), 300.0) == pytest.approx([1.0, 1.0, 0.0])


def test_the_error_of_the_quantum_correction_is_that_of_the_density():
    """White velocities, every frequency alike: intervals hold the truth."""
    holds = 0
    for repeat in range(60):
        rng = np.random.default_rng([3, repeat])
        velocities = rng.normal(size=(4000, 2, 3))  # white: all frequencies alike
        found = density_of_states(
            velocities, np.ones(2), np.array(["Ar", "Ar"]), 0.005, resolution_cm1=100.0, degrees_of_freedom=6
        )
        made = quantum_correction(found, 1000.0)
        exact = 6 * float((oscillator(found.frequency_cm1, 1000.0) - 1).mean())
        holds += made.ci95[0] < exact < made.ci95[1]
    assert holds >= binom.ppf(0.001, 60, 0.95)


def test_too_few_parts_are_withheld():
    few = states(np.arange(0.0, 100.0), np.ones(100), 3)
    short = DensityOfStates(
        frequency_cm1=few.frequency_cm1, per_element=few.per_element, resolution_cm1=2.0, degrees_of_freedom=3,
        parts=few.parts[:2],
    )  # fmt: skip
    assert quantum_correction(short, 300.0).value is None


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """An Einstein crystal, C_V = 3 k_B an atom, at two temperatures."""
    base = tmp_path_factory.mktemp("runs")
    atoms, calculator = einstein_crystal(20)
    for temperature_K in (300, 450):
        run_nvt(
            atoms, calculator, temperature_K=temperature_K, steps=1600, timestep_fs=8, friction_per_ps=20,
            sample_every=4, out=base / str(temperature_K), progress=False,
        )  # fmt: skip
    return base


def test_slope_of_an_einstein_crystal(runs, tmp_path):
    result = analyse(runs / "300", only=["viscosity"], neighbour=runs / "450", out=tmp_path / "out", progress=False)
    numbers = result.heat_capacity.numbers
    slope = numbers["heat_capacity_from_slope"]
    assert slope.value == pytest.approx(60, abs=4 * slope.error)
    assert slope.error < 8
    assert slope.unit == "k_B"
    raw = load_result(runs / "300").heat_capacity_kB
    assert numbers["heat_capacity"] == raw
    assert "agree" in result.heat_capacity.words["heat_capacity_compared"]
    values = json.loads((tmp_path / "out" / "result.json").read_text())["values"]
    assert values["heat_capacity_from_slope"]["value"] == slope.value
    assert "heat capacity from slope" in (tmp_path / "out" / "report.html").read_text()
    assert load_result(tmp_path / "out").heat_capacity == result.heat_capacity


def test_given_noise_is_subtracted(runs):
    result = analyse(runs / "300", only=["viscosity"], energy_noise_meV=50.0, progress=False)
    numbers = result.heat_capacity.numbers
    expected = (0.050 / (KB_EV_PER_K * 300)) ** 2
    assert numbers["heat_capacity_of_noise"].value == pytest.approx(expected)
    left = numbers["heat_capacity"].value - numbers["heat_capacity_without_noise"].value
    assert left == pytest.approx(expected)
    assert "50 meV" in result.heat_capacity.words["noise_source"]


def _periodic(atoms: Atoms, gamma: float) -> Atoms:
    """Return the atoms in a cell of one volume, whatever its angle."""
    made = atoms.copy()
    made.set_cell([10, 10 / np.sin(np.radians(gamma)), 10, 90, 90, gamma])
    made.pbc = True
    return made


def test_heavy_hydrogens_have_no_quantum_correction():
    """Frequencies go with the masses; the classical heat capacity does not."""
    source = replace(read_run_of_nothing(), settings={"hydrogen_mass_amu": 3.0})
    grid = np.arange(0.0, 1000.0)
    of_light, of_heavy = (
        with_quantum(HeatCapacityCorrections(), one, states(grid, np.ones(1000), 30)).numbers["quantum_correction"]
        for one in (read_run_of_nothing(), source)
    )
    assert of_light.value < -1
    assert of_heavy.value is None
    assert "3 amu" in of_heavy.cause


def read_run_of_nothing() -> Source:
    return Source(name="run", frames=[], frame_ps=0.001, motion=Motion(thermostat="none"), temperature_K=300.0)


def test_runs_that_cannot_be_compared(runs, tmp_path):
    with refused("runs-not-comparable", "300"):
        analyse(runs / "300", neighbour=runs / "300", progress=False)
    atoms, calculator = einstein_crystal(3)
    run_nvt(atoms, calculator, temperature_K=400, steps=40, timestep_fs=8, out=tmp_path / "other", progress=False)
    with refused("runs-not-comparable", "formula"):
        analyse(runs / "300", neighbour=tmp_path / "other", out=tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
    atoms, calculator = einstein_crystal(20)
    with refused("runs-not-comparable", "model", "b2"):
        slope_between(read_run(runs / "300"), replace(read_run(runs / "450"), models=["b2"]))
    other = read_run(runs / "450")
    other.settings["calculator_arg"] = {"k": 7}
    with refused("runs-not-comparable", "calculator_arg"):
        slope_between(read_run(runs / "300"), other)
    with refused("runs-not-comparable", "cell", "60"):
        slope_between(
            replace(read_run(runs / "300"), frames=[_periodic(atoms, 90)]),
            replace(read_run(runs / "450"), frames=[_periodic(atoms, 60)]),
        )
    with refused("option-not-for-source", "energy_noise_meV"):
        analyse([atoms, atoms], energy_noise_meV=1.0, progress=False)
    with refused("options-exclude", "energy_noise_meV", "test_results"):
        analyse(runs / "300", energy_noise_meV=1.0, test_results="x", progress=False)
    with refused("run-of-another-recipe", "nvt"):
        noise.noise_of_test(str(runs / "300"), {"Ar": 20}, [])


def give_errors(monkeypatch, error: np.ndarray, label: np.ndarray) -> None:
    parity = SimpleNamespace(system="Ar10", energy=np.stack([label, label + error], axis=1))
    result = object.__new__(AccuracyResult)
    object.__setattr__(result, "parities", (parity,))
    object.__setattr__(result, "provenance", {"model_sha256": ["a1"]})
    monkeypatch.setattr(noise, "load_result", lambda directory: result)


def test_noise_of_a_test_set(monkeypatch):
    """An offset is no noise; twice the atoms have twice the variance."""
    rng = np.random.default_rng(0)
    error, label = 0.3 + 0.02 * rng.standard_normal(400), rng.standard_normal(400)
    give_errors(monkeypatch, error, label)
    found = noise.noise_of_test("tests", {"Ar": 20}, ["a1"])
    assert found.variance_eV2.value == pytest.approx(2 * error.var(ddof=1))
    assert found.variance_eV2.ci95[0] < 2 * 0.02**2 < found.variance_eV2.ci95[1]
    with refused("composition-differs", "Ar10"):
        noise.noise_of_test("tests", {"Ne": 20}, ["a1"])
    with refused("model-differs", "tests", "a1", "b2"):
        noise.noise_of_test("tests", {"Ar": 20}, ["b2"])


def test_errors_that_go_with_the_energy_are_no_noise(monkeypatch):
    label = np.random.default_rng(0).standard_normal(100)
    give_errors(monkeypatch, 0.05 * label, label)
    found = noise.heat_capacity_of_noise(noise.noise_of_test("tests", {"Ar": 10}, ["a1"]), 300.0)
    assert found.value is None
    assert "no noise" in found.cause


def test_intervals_of_sums_add_in_squares_on_either_side():
    first = Estimate(10.0, 1.0, (7.0, 14.0), 50.0, "k_B")
    found = combined(first, Estimate(4.0, 1.0, (1.0, 4.0), 40.0, "k_B"), 1.0, -1.0, "k_B")
    assert found.value == 6.0
    assert found.ci95 == pytest.approx((3.0, 6.0 + 5.0))
    assert found.n_effective == 40.0
