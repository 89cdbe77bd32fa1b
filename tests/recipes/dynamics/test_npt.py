"""Constant pressure against partition functions that are known: the ideal gas, and a spring of the volume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read
from refusals import refused
from systems_dynamics import EinsteinCrystal, IdealGas, VolumeSpring

from dp_sim.recipes import run_npt
from dp_sim.units import EV_PER_A3_IN_GPA

TEMPERATURE_K = 300.0
KT = units.kB * TEMPERATURE_K
N = 6
VOLUME = 1000.0


def gas(n: int = N) -> Atoms:
    edge = VOLUME ** (1 / 3)
    positions = np.random.default_rng(0).random((n, 3)) * edge
    return Atoms(f"Ar{n}", positions=positions, cell=[edge] * 3, pbc=True)


def within(estimate, truth: float, sigmas: float = 4.0) -> bool:
    return abs(estimate.value - truth) < sigmas * estimate.error


@pytest.fixture(scope="module")
def ideal_gas_run(tmp_path_factory):
    """At the pressure that puts the mean volume, (N + 1) kT / p, at the start's."""
    pressure = (N + 1) * KT / VOLUME
    out = tmp_path_factory.mktemp("npt") / "run"
    result = run_npt(
        gas(), IdealGas(), temperature_K=TEMPERATURE_K, pressure_bar=pressure / units.bar, steps=7000,
        timestep_fs=20, sample_every=10, out=out, progress=False,
    )  # fmt: skip
    return result, pressure, out


def test_ideal_gas(ideal_gas_run):
    """p(V) ~ V^N exp(-pV / kT): kappa = 1/p and alpha = 1/T exactly, for any N."""
    result, pressure, _ = ideal_gas_run
    assert result.converged, result.cause
    assert within(result.volume_A3, (N + 1) * KT / pressure)
    assert within(result.compressibility_per_GPa, 1 / (pressure * EV_PER_A3_IN_GPA))
    assert within(result.thermal_expansion_per_K, 1 / TEMPERATURE_K)
    assert within(result.heat_capacity_kB, N + 1 + 1.5 * N)
    assert within(result.pressure_bar, pressure / units.bar)  # <N kT / V> = p, since V is Gamma-distributed
    assert result.compressibility_per_GPa.error < 0.3 * result.compressibility_per_GPa.value
    assert within(result.bulk_modulus_GPa, pressure * EV_PER_A3_IN_GPA)
    assert result.bulk_modulus_GPa.ci95[0] == pytest.approx(1 / result.compressibility_per_GPa.ci95[1], rel=1e-6)
    assert within(result.enthalpy_eV, (1.5 * N + N + 1) * KT)
    # C_V of an ideal gas is that of its momenta, in each run: the volume explains all of the enthalpy pV.
    assert result.heat_capacity_at_constant_volume_kB.value == pytest.approx(1.5 * N, abs=0.02 * N)
    assert within(result.heat_capacity_difference_kB, N + 1)
    assert result.thermal_pressure_bar_per_K.value == pytest.approx(pressure / units.bar / TEMPERATURE_K, rel=1e-6)


def test_files(ideal_gas_run):
    result, _, out = ideal_gas_run
    names = {file.name for file in out.iterdir()}
    assert {"density.png", "density_histogram.png", "volume.png", "thermo.csv", "trajectory.extxyz"} <= names
    table = np.genfromtxt(out / "thermo.csv", delimiter=",", names=True)
    mass_g = N * 39.95 * 1.66053907e-24
    assert table["density_g_cm3"] == pytest.approx(mass_g / (table["volume_A3"] * 1e-24), rel=1e-4)
    # The cell changes its size, not its shape, and the frames carry it.
    last = read(out / "trajectory.extxyz", index=-1)
    assert last.get_volume() == pytest.approx(result.series("volume_A3")[-1], rel=1e-5)
    assert last.cell.cellpar()[3:] == pytest.approx([90, 90, 90])
    assert np.ptp(last.cell.lengths()) < 1e-5


def test_a_density_that_only_rounding_changes_is_drawn(ideal_gas_run):
    """As where the barostat of a short run has accepted no move."""
    result, _, _ = ideal_gas_run
    rows = [row._replace(density_g_cm3=1.0) for row in result.rows[:20]]
    rows[3] = rows[3]._replace(density_g_cm3=np.nextafter(1.0, 2.0))
    assert {"density_histogram", "density"} <= replace(result, rows=rows, production_start=0).figures().keys()


def test_stiff_fluid():
    """E(V) = K (V - V0)^2 / 2 V0: mean, compressibility and expansion from one-dimensional quadrature."""
    calculator = VolumeSpring(bulk_modulus=5.0 * N * KT / VOLUME, volume=VOLUME)
    pressure = 2.0 * N * KT / VOLUME
    volume = np.linspace(1.0, 4 * VOLUME, 40_001)
    log_weight = N * np.log(volume) - (calculator.energy(volume) + pressure * volume) / KT
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    mean = (weight * volume).sum()
    enthalpy = calculator.energy(volume) + pressure * volume
    covariance = (weight * (volume - mean) * enthalpy).sum()
    result = run_npt(
        gas(), calculator, temperature_K=TEMPERATURE_K, pressure_bar=pressure / units.bar, steps=4000,
        timestep_fs=20, sample_every=5, progress=False,
    )  # fmt: skip
    assert within(result.volume_A3, mean)
    variance = (weight * (volume - mean) ** 2).sum()
    assert within(result.compressibility_per_GPa, variance / (KT * mean) / EV_PER_A3_IN_GPA)
    assert within(result.thermal_expansion_per_K, covariance / (KT * TEMPERATURE_K * mean))
    assert result.volume_A3.error < 0.05 * mean


def test_copper_swells_to_the_pressure():
    """EMT copper at 300 K and 1 bar: its lattice constant; the instantaneous pressure averages to the barostat's."""
    atoms = bulk("Cu", cubic=True)
    result = run_npt(atoms, EMT(), temperature_K=300, pressure_bar=1.0, steps=600, timestep_fs=4, progress=False)
    assert result.volume_A3.value == pytest.approx(4 * 11.8, rel=0.03)
    assert abs(result.pressure_bar.value - 1.0) < 4 * result.pressure_bar.error
    assert result.degrees_of_freedom == 12


def test_the_table_holds_the_pressure_tensor(tmp_path):
    """Its components of a compressed, sheared crystal are ASE's, kinetic part included; their mean is the pressure."""
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell.array * 0.97 + [[0, 0, 0], [0.2, 0, 0], [0, 0.1, 0]], scale_atoms=True)
    result = run_npt(atoms, EMT(), temperature_K=300, steps=20, timestep_fs=2, out=tmp_path / "run", progress=False)
    table = np.genfromtxt(tmp_path / "run" / "thermo.csv", delimiter=",", names=True)
    last = result.atoms.copy()
    last.calc = EMT()
    tensor = -last.get_stress(include_ideal_gas=True) / units.bar
    for place, axes in enumerate(("xx", "yy", "zz", "yz", "xz", "xy")):
        assert table[f"pressure_{axes}_bar"][-1] == pytest.approx(tensor[place], rel=1e-9)
        assert result.series(f"pressure_{axes}_bar")[-1] == pytest.approx(tensor[place], rel=1e-9)
    assert table["pressure_bar"] == pytest.approx(sum(table[f"pressure_{axis}_bar"] for axis in ("xx", "yy", "zz")) / 3)
    assert abs(tensor[5]) > 1000  # it is sheared
    assert not any(name.startswith("cell") for name in table.dtype.names)  # the shape stays


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({"cell_change": "flexi"}, ("choice-unknown", "flexible")),
        ({"thermostat": "bussi"}, ("thermostat-without-barostat", "ase", "bussi", "langevin or nose-hoover")),
        ({"barostat_time_fs": 0}, ("setting-out-of-range", "barostat_time_fs")),
    ],
)
def test_changes_of_the_cell_that_are_not_there(settings, refusal):
    with refused(*refusal):
        run_npt(gas(), IdealGas(), temperature_K=300, steps=10, **settings)


def test_a_runaway_volume_stops():
    result = run_npt(
        gas(), IdealGas(), temperature_K=TEMPERATURE_K, pressure_bar=1e-3, steps=20_000, timestep_fs=20, progress=False
    )
    assert not result.converged
    assert "the volume has become" in result.cause
    assert result.density_g_cm3.value is None


@pytest.mark.parametrize("pbc", [False, (True, True, False)])
def test_needs_three_periodic_axes(pbc):
    atoms = gas()
    atoms.pbc = pbc
    with refused("periodicity-unsupported"):
        run_npt(atoms, IdealGas(), temperature_K=300, steps=10)


def test_needs_the_stress(tmp_path):
    atoms = gas()
    with refused("stress-missing", "EinsteinCrystal"):
        run_npt(atoms, EinsteinCrystal(atoms.positions), temperature_K=300, steps=10, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_refuses_fixed_atoms_and_infinite_pressure():
    atoms = gas()
    with refused("setting-out-of-range", "pressure_bar"):
        run_npt(atoms, IdealGas(), temperature_K=300, steps=10, pressure_bar=float("inf"))
    atoms.set_constraint(FixAtoms([0]))
    with refused("constraint-unsupported"):
        run_npt(atoms, IdealGas(), temperature_K=300, steps=10)
