"""Constant volume and temperature against classical statistical mechanics in closed form."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixBondLength
from ase.io import read
from refusals import refused
from systems_dynamics import EinsteinCrystal, IdealGas, einstein_crystal, far_apart

from dp_sim.recipes import run_nvt
from dp_sim.recipes.dynamics.loop import Recorded
from dp_sim.recipes.dynamics.nvt import analyse
from dp_sim.recipes.dynamics.plan import make_plan
from dp_sim.recipes.dynamics.run_files import Row
from dp_sim.recipes.dynamics.settings import NVTSettings

KT_300 = units.kB * 300.0


def within(estimate, truth: float, sigmas: float = 4.0) -> bool:
    return abs(estimate.value - truth) < sigmas * estimate.error


@pytest.fixture(scope="module")
def einstein_run(tmp_path_factory):
    """8 atoms on springs (5 eV/Angstrom^2 on argon: a period of 181 fs), 64 ps."""
    atoms, calculator = einstein_crystal(8)
    out = tmp_path_factory.mktemp("nvt") / "run"
    result = run_nvt(
        atoms, calculator, temperature_K=300, steps=8000, timestep_fs=8, sample_every=5, out=out, progress=False
    )
    return result, out


def test_einstein_crystal_has_3N_kB(einstein_run):
    """Classical springs: C_V = 3 N k_B, half of it kinetic, and <U> = 3/2 N k_B T."""
    result, _ = einstein_run
    assert result.converged, result.cause
    assert within(result.heat_capacity_kB, 24.0)
    assert result.heat_capacity_kB.error < 1.5
    assert result.heat_capacity_kB_per_atom.value == pytest.approx(result.heat_capacity_kB.value / 8)
    assert within(result.potential_energy_eV, 12 * KT_300)
    assert result.degrees_of_freedom == 24
    assert result.pressure_bar.value is None
    assert "periodic along all three axes" in result.pressure_bar.cause


def test_momenta_are_not_what_the_heat_capacity_is_estimated_from(einstein_run):
    """C_V from the fluctuations of the whole energy, the textbook's formula, agrees within its larger error."""
    result, _ = einstein_run
    total = result.series("total_eV")[result.production_start :]
    assert total.var() / KT_300**2 == pytest.approx(result.heat_capacity_kB.value, rel=0.25)


def test_files(einstein_run):
    result, out = einstein_run
    frames = read(out / "trajectory.extxyz", index=":")
    assert len(frames) == 8000 // 100 + 1
    assert frames[3].get_potential_energy() == pytest.approx(result.rows[60].potential_eV)
    table = np.genfromtxt(out / "thermo.csv", delimiter=",", names=True)
    assert len(table) == len(result.rows) == 8000 // 5 + 1
    assert table["time_ps"][-1] == pytest.approx(64.0)
    assert np.allclose(table["total_eV"], table["potential_eV"] + table["kinetic_eV"])
    assert np.allclose(read(out / "final.extxyz").positions, result.atoms.positions, atol=1e-6)
    values = json.loads((out / "result.json").read_text())["values"]
    assert values["heat_capacity"]["value"] == result.heat_capacity_kB.value
    assert values["timestep"]["value"] == 8
    assert {"temperature.png", "energy.png", "report.html", "checkpoint.npz"} <= {file.name for file in out.iterdir()}
    legend = result.figures()["temperature"].axes[0].get_legend()
    assert "target, 300" in [text.get_text() for text in legend.get_texts()]


def test_pressure_of_an_ideal_gas():
    """p V = N k_B T; the virial of free particles is all kinetic."""
    atoms = Atoms("Ar20", positions=np.random.default_rng(0).random((20, 3)) * 15, cell=[15, 15, 15], pbc=True)
    result = run_nvt(atoms, IdealGas(), temperature_K=300, steps=2000, timestep_fs=10, progress=False)
    assert within(result.pressure_bar, 20 * KT_300 / 15**3 / units.bar)
    assert result.pressure_bar.error < 0.1 * result.pressure_bar.value
    assert (result.heat_capacity_kB.value, result.heat_capacity_kB.error) == (30.0, 0.0)


def test_fixed_atoms_stay_and_do_not_count():
    atoms, calculator = einstein_crystal(6)
    atoms.set_constraint(FixAtoms([0, 5]))
    result = run_nvt(atoms, calculator, temperature_K=300, steps=4000, timestep_fs=8, sample_every=5, progress=False)
    assert result.degrees_of_freedom == 12
    assert within(result.heat_capacity_kB, 12.0)
    assert np.array_equal(result.atoms.positions[[0, 5]], atoms.positions[[0, 5]])


def test_too_short_is_not_converged_and_says_how_long():
    atoms, calculator = einstein_crystal(4)
    result = run_nvt(atoms, calculator, temperature_K=300, steps=200, timestep_fs=8, progress=False)
    assert not result.converged
    assert result.heat_capacity_kB.value is None
    assert result.cause.startswith("the heat capacity is not given: the run holds ")
    assert result.cause.endswith(" steps more")


def test_a_time_step_that_misses_the_temperature_is_told():
    """omega dt = 1.3: stable, but the full-step momenta are (1 - (omega dt)^2 / 4) too cold."""
    atoms, calculator = einstein_crystal(8)
    result = run_nvt(atoms, calculator, temperature_K=300, steps=1500, timestep_fs=37, sample_every=5, progress=False)
    assert not result.converged
    assert "instead of 300 K, and stays off: take a smaller time step" in result.cause


@pytest.mark.parametrize("sample_every", [1, 100])
def test_an_unstable_run_stops_and_keeps_its_frames(tmp_path, sample_every):
    """omega dt > 2: the integrator diverges, found at a sample or through positions that are no longer finite."""
    atoms, calculator = einstein_crystal(3)
    result = run_nvt(
        atoms, calculator, temperature_K=300, steps=20_000, timestep_fs=80, sample_every=sample_every,
        frame_every=sample_every, out=tmp_path / "run", progress=False,
    )  # fmt: skip
    assert not result.converged
    assert "the motion is unstable" in result.cause
    assert " at step " in result.cause or " between steps " in result.cause
    assert result.cause.startswith(result.heat_capacity_kB.cause)
    assert result.heat_capacity_kB.value is None
    frames = read(tmp_path / "run" / "trajectory.extxyz", index=":")
    assert len(frames) == len(result.rows)
    assert np.isfinite(frames[-1].positions).all()
    json.loads((tmp_path / "run" / "result.json").read_text())


def test_a_calculators_own_failure_is_not_called_instability():
    class Broken(EinsteinCrystal):
        def calculate(self, *arguments, **keywords):
            super().calculate(*arguments, **keywords)
            if not np.allclose(self.atoms.positions, self.sites):
                raise RuntimeError("the SCF did not converge")

    atoms, calculator = einstein_crystal(2)
    result = run_nvt(atoms, Broken(calculator.sites), temperature_K=300, steps=20, progress=False)
    assert "the SCF did not converge" in result.cause
    assert "unstable" not in result.cause


def test_seed_decides_the_run():
    atoms, calculator = einstein_crystal(2)
    ends = [
        run_nvt(atoms, calculator, temperature_K=300, steps=20, seed=seed, progress=False).atoms.positions
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(ends[0], ends[1])
    assert not np.allclose(ends[0], ends[2])


@pytest.mark.parametrize(("symbols", "timestep"), [("H2O", 0.5), ("CO2", 1.0), ("SiH4", 0.5)])
def test_time_step_follows_the_lightest_atom(symbols, timestep):
    atoms = molecule(symbols)
    result = run_nvt(atoms, EinsteinCrystal(atoms.positions), temperature_K=300, steps=10, progress=False)
    assert result.timestep_fs == timestep


def test_heavy_atoms_take_two_femtoseconds():
    atoms = bulk("Cu")
    assert run_nvt(atoms, EMT(), temperature_K=300, steps=10, progress=False).timestep_fs == 2.0


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({"temperature_K": -5}, ("setting-out-of-range", "temperature_K", "0", "-5")),
        ({"temperature_K": float("nan")}, ("setting-out-of-range", "temperature_K", "0")),
        ({"steps": 0}, ("setting-out-of-range", "1", "0")),
        ({"steps": 10.5}, ("setting-invalid", "steps", "10.5")),
        ({"steps": 5}, ("setting-out-of-range", "sample_every", "10", "5")),
        ({"timestep_fs": 0}, ("setting-out-of-range", "timestep_fs", "0")),
        ({"friction_per_ps": -1}, ("setting-out-of-range", "friction_per_ps", "0")),
        ({"thermostat": "nose"}, ("choice-unknown", "nose", "nose-hoover")),
        (
            {"thermostat_time_fs": 50},
            ("option-not-for-thermostat", "thermostat_time_fs", "langevin", "friction_per_ps"),
        ),
        ({"thermostat": "bussi", "friction_per_ps": 5}, ("option-not-for-thermostat", "friction_per_ps", "bussi")),
        ({"engine": "openmm", "thermostat": "bussi"}, ("thermostat-not-for-engine", "openmm", "bussi", "langevin")),
        ({"frame_every": 15}, ("setting-out-of-range", "frame_every", "sample_every", "15")),
        ({"engine": "opnmm"}, ("choice-unknown", "opnmm", "openmm")),
        ({"engine": "openmm"}, ("engine-needs-our-model", "openmm", "EinsteinCrystal")),
        ({"platform": "CPU"}, ("option-not-for-engine", "openmm")),
    ],
)
def test_bad_settings(tmp_path, settings, refusal):
    atoms, calculator = einstein_crystal(2)
    with refused(*refusal):
        run_nvt(
            atoms, calculator, out=tmp_path / "run", progress=False, **{"temperature_K": 300, "steps": 100, **settings}
        )
    assert not (tmp_path / "run").exists()


def test_bad_structures():
    atoms, calculator = einstein_crystal(3)
    held = atoms.copy()
    held.set_constraint(FixBondLength(0, 1))
    with refused("constraint-unsupported"):
        run_nvt(held, calculator, temperature_K=300, steps=10)
    held.set_constraint(FixAtoms([0, 1, 2]))
    with refused("atoms-all-fixed"):
        run_nvt(held, calculator, temperature_K=300, steps=10)
    weightless = atoms.copy()
    weightless.set_masses([39.9, 0.0, 39.9])
    with refused("mass-invalid", "1", "0"):
        run_nvt(weightless, calculator, temperature_K=300, steps=10)


def recorded_run(temperature_K: np.ndarray, potential_eV: np.ndarray, freedom: int = 6):
    """What `analyse` makes of a run at 300 K with these samples, 10 fs apart."""
    atoms, calculator = einstein_crystal(2)
    plan = make_plan(NVTSettings.check({"temperature_K": 300, "steps": 3000, "timestep_fs": 1}), atoms, calculator)
    rows = [
        Row(10 * i, 0.01 * i, temperature, potential, 0.1, potential, None, None, None)
        for i, (temperature, potential) in enumerate(zip(temperature_K, potential_eV, strict=True))
    ]
    return analyse(Recorded(rows, atoms, freedom, ""), plan)


def test_a_drifting_run_is_refused():
    """A potential energy that still falls at the end: no number is given, and the verdict says what to do."""
    noise = np.random.default_rng(0).standard_normal(301)
    result = recorded_run(300 + noise, -0.1 * np.arange(301) + 0.1 * noise)
    assert not result.converged
    assert result.cause.startswith("the run is not equilibrated after 3,000 of its 3,000 steps")
    assert result.cause.endswith("run at least as many steps again")
    assert result.heat_capacity_kB.value is None
    assert result.figures().keys() == {"temperature", "energy"}
    assert result.temperature_K.value is None


def test_a_slow_drift_is_refused():
    """As large as the noise, and so not cut off."""
    noise = np.random.default_rng(0).standard_normal(301)
    result = recorded_run(300 + noise, noise - np.linspace(0, 2, 301))
    assert result.cause == (
        "the potential energy still drifts in the last 3,000 of 3,000 steps: run at least as many steps again"
    )
    assert result.heat_capacity_kB.cause == "the potential energy still drifts in the last 3,000 of 3,000 steps"


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("start", "end", "advice"),
    [(45, 15, "the structure is relaxing, run longer"), (30, 30, "stays off: take a smaller time step")],
)
def test_relaxing_is_told_from_a_long_time_step(side: int, start: float, end: float, advice: str):
    """30 K off on average, once nearing the thermostat's 300 K and once not."""
    potential, noise = np.random.default_rng(1).standard_normal((2, 301))
    result = recorded_run(300 + side * np.linspace(start, end, 301) + 15 * noise, 0.1 * potential)
    assert not result.converged
    assert result.cause.endswith(advice)


def test_at_another_temperature_only_the_temperature_is_given():
    potential, noise = np.random.default_rng(1).standard_normal((2, 301))
    result = recorded_run(250 + noise, 0.1 * potential)
    assert result.temperature_K.value == pytest.approx(250, abs=1)
    for estimate in (result.heat_capacity_kB, result.potential_energy_eV):
        assert estimate.value is None
        assert estimate.cause.startswith("the kinetic temperature averages 250.")


def test_a_run_of_few_times_of_the_thermostat_does_not_blame_the_time_step():
    """Friction 5/ps: ten times of the thermostat are 2 ps, the run has 1."""
    potential, noise = np.random.default_rng(1).standard_normal((2, 101))
    result = recorded_run(250 + noise, 0.1 * potential)
    assert "the thermostat needs 2,000 steps" in result.cause


def test_a_temperature_that_moves_away_is_no_relaxation():
    potential, noise = np.random.default_rng(1).standard_normal((2, 301))
    result = recorded_run(300 + np.linspace(15, 45, 301) + 15 * noise, 0.1 * potential)
    assert result.cause.endswith("take a smaller time step")


def test_thermal_pressure_of_an_ideal_gas():
    """(dp/dT)_V = N k_B / V: no fluctuation of the energy, so without error."""
    atoms = Atoms("Ar6", positions=far_apart(6), cell=[16.0] * 3, pbc=True)
    result = run_nvt(atoms, IdealGas(), temperature_K=300, steps=600, timestep_fs=20, progress=False)
    assert result.thermal_pressure_bar_per_K.value == pytest.approx(6 * units.kB / 16.0**3 / units.bar)
    assert result.quantities()["thermal_pressure_coefficient"].error == 0.0


def test_the_momentum_of_the_centre_of_mass_is_shown_beside():
    """Two atoms, three momenta driven: 3/2 k_B more in a sample that moves; none where all six are driven."""
    temperature, potential = 300 + np.random.default_rng(0).standard_normal((2, 301))
    shown = recorded_run(temperature, 1e-3 * potential, freedom=3).quantities()
    for name, added in (("heat_capacity", 1.5), ("heat_capacity_per_atom", 0.75)):
        raw, whole = shown[name], shown[f"{name}_with_centre_of_mass"]
        assert whole.value == raw.value + added
        assert whole.error == raw.error
        assert whole.ci95 == (raw.ci95[0] + added, raw.ci95[1] + added)
    driven = recorded_run(temperature, 1e-3 * potential).quantities()
    assert not [name for name in driven if "centre_of_mass" in name]


def bulk_run(freedom: int):
    """Four atoms at 300 K in their cell: kinetic energies of `freedom` momenta, U of 10 meV, P = U / V beside."""
    rng = np.random.default_rng(3)
    potential = 0.01 * rng.standard_normal(3001)
    kinetic = KT_300 / 2 * rng.chisquare(freedom, 3001)
    atoms = bulk("Ar", cubic=True)
    volume = atoms.get_volume()
    rows = [
        Row(
            10 * n, 0.01 * n, 2 * k / (freedom * units.kB), u, k, u + k, volume, 1.0,
            (2 / 3 * k + u) / volume / units.bar,
        )
        for n, (u, k) in enumerate(zip(potential.tolist(), kinetic.tolist(), strict=True))
    ]  # fmt: skip
    plan = make_plan(NVTSettings.check({"temperature_K": 300, "steps": 30000, "timestep_fs": 1}), atoms, IdealGas())
    return analyse(Recorded(rows, atoms, freedom, ""), plan), potential, volume


def test_pressure_and_its_derivative_with_the_centre_of_mass():
    """p holds (N - 1) k_B T / V where the centre of mass rests: k_B T / V and k_B / V stand beside."""
    result, _, volume = bulk_run(9)
    shown, per_K = result.quantities(), units.kB / volume / units.bar
    for name, added in (("pressure", per_K * result.temperature_K.value), ("thermal_pressure_coefficient", per_K)):
        whole = shown[f"{name}_with_centre_of_mass"]
        assert whole.value == pytest.approx(shown[name].value + added, rel=1e-12)
    assert within(shown["pressure_with_centre_of_mass"], 4 * per_K * 300)
    driven, _, _ = bulk_run(12)
    assert "pressure_with_centre_of_mass" not in driven.quantities()


def test_the_kinetic_energy_adds_no_noise_to_the_thermal_pressure():
    """The virial part is U / V, so Cov(U, P) = Var(U) / V to the digits, beside a kinetic part four times as loud."""
    result, potential, volume = bulk_run(12)
    used = potential[result.production_start :]
    virial = result.thermal_pressure_bar_per_K.value * volume * units.bar - 4 * units.kB
    assert virial == pytest.approx(used.var() / (KT_300 * 300), rel=5e-3)
