"""Every thermostat and barostat of both engines, on atoms in a cell of rubber whose distributions are known.

At constant volume the kinetic energies must follow the distribution of the momenta that the thermostat drives, and
potential energies at two temperatures the ratio of their Boltzmann factors. At constant pressure <V> and the strains of
each change of the cell have known means (with V^N where the centre of mass moves, V^(N-1) where it rests), and volumes
at two pressures must stand in the ratio of exp(-p V / k_B T). In OpenMM, at constant pressure, the atoms are free: the
cell's energy alone is fast there.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms, units
from systems_dynamics import ElasticBox
from systems_openmm import ase_force, rubber, run_with

from dp_sim.recipes import run_npt, run_nvt
from dp_sim.recipes.dynamics import estimators, npt, nvt
from dp_sim.recipes.dynamics.engines import engine_class
from dp_sim.recipes.dynamics.engines.cell_modes import cell_modes
from dp_sim.recipes.dynamics.run_files import CELL_COLUMNS
from validation.check import SIGMAS, Check
from validation.dynamics import KT, TEMPERATURE_K, whole_steps
from validation.ensembles import DENSER, WARMER, distribution_data, energy_or_volume_ratio, kinetic_energies

N, EDGE = 8, 12.0
#: Relative width of the strains: (k_B T / K V0)^(1/2) = 0.065.
MODULUS = 30 * N * KT / EDGE**3
PRESSURE = N * KT / EDGE**3
SETTINGS: dict[str, Any] = {"timestep_fs": 20.0}
#: Time constants, of the same length for each.
TIMES: dict[str, dict[str, Any]] = {
    "langevin": {"friction_per_ps": 5.0},
    "bussi": {"thermostat_time_fs": 200.0},
    "nose-hoover": {"thermostat_time_fs": 200.0},
}


def checks(scale: float) -> Iterator[Check]:
    """Check the thermostats, then the barostats, of ASE and then of OpenMM."""
    for engine, name in (("ASE", "ase"), ("OpenMM", "openmm")):
        ensembles = engine_class(name).ensembles
        for thermostat in ensembles:
            yield from _thermostat(engine, thermostat, scale)
        for thermostat, changes in ensembles.items():
            for change in changes:
                yield from _barostat(engine, thermostat, change, scale)


def _rubber(barrier: float = 0.05) -> tuple[Atoms, ElasticBox]:
    positions = np.random.default_rng(0).random((N, 3)) * EDGE
    return Atoms(f"Ar{N}", positions=positions, cell=[EDGE] * 3, pbc=True), ElasticBox(EDGE, MODULUS, barrier)


def _thermostat(engine: str, thermostat: str, scale: float) -> Iterator[Check]:
    atoms, calculator = _rubber()
    temperatures = (TEMPERATURE_K, WARMER * TEMPERATURE_K)
    settings = {
        "steps": whole_steps(20_000, scale), "sample_every": 5, "thermostat": thermostat,
        **TIMES[thermostat], **SETTINGS,
    }  # fmt: skip
    results = [
        run_nvt(atoms, calculator, temperature_K=t, seed=seed, progress=False, **settings)
        if engine == "ASE"
        else run_with(
            nvt, atoms, calculator, ase_force(atoms, ElasticBox(EDGE, MODULUS)), temperature_K=t, seed=seed, **settings
        )
        for seed, t in enumerate(temperatures)
    ]
    subject = f"{N} atoms, NVT, {engine}, {thermostat}"
    yield from kinetic_energies(subject, results[0], TEMPERATURE_K)
    data = [distribution_data(one, "NVT", t, "potential_energy") for one, t in zip(results, temperatures, strict=True)]
    yield energy_or_volume_ratio(subject, "ratio of potential energies at two temperatures", *data)


def _runs_under_pressure(engine: str, thermostat: str, change: str, scale: float) -> list[Any]:
    """Run at two pressures: OpenMM's barostat moves every 25 steps only."""
    atoms, calculator = _rubber(barrier=0.05 if engine == "ASE" else 0.0)
    settings = {
        "temperature_K": TEMPERATURE_K, "cell_change": change, "thermostat": thermostat,
        **TIMES[thermostat], **SETTINGS,
    }  # fmt: skip
    return [
        run_npt(
            atoms, calculator, pressure_bar=p / units.bar, steps=whole_steps(8_000, scale), seed=seed, sample_every=5,
            barostat_time_fs=250.0, progress=False, **settings,
        )
        if engine == "ASE"
        else run_with(
            npt, atoms, calculator, functools.partial(rubber, calculator), pressure_bar=p / units.bar,
            steps=whole_steps(60_000, scale), seed=seed, sample_every=25, **settings,
        )
        for seed, p in enumerate((PRESSURE, DENSER * PRESSURE))
    ]  # fmt: skip


def _barostat(engine: str, thermostat: str, change: str, scale: float) -> Iterator[Check]:
    results = _runs_under_pressure(engine, thermostat, change, scale)
    # A tenth of each is left out, however short it is: the start is near the mean.
    results = [replace(one, production_start=len(one.rows) // 10) for one in results]
    subject = f"{N} atoms, NPT, {engine}, {thermostat}, {change}"
    modes = cell_modes(np.eye(3), change)
    strain, volume, weights = ElasticBox(EDGE, MODULUS).cells(
        modes, N if thermostat == "langevin" else N - 1, PRESSURE, KT
    )
    start = results[0].production_start
    found = results[0].series("volume_A3")[start:]
    yield _mean(subject, "volume", "A^3", found, np.average(volume, weights=weights))
    squares = np.average((strain**2).sum(axis=(1, 2)), weights=weights)
    yield _mean(subject, "square of the strains", "", (_strains(results[0])[start:] ** 2).sum(axis=(1, 2)), squares)
    yield _mean(subject, "pressure", "bar", results[0].series("pressure_bar")[start:], PRESSURE / units.bar)
    data = [
        distribution_data(result, "NPT", TEMPERATURE_K, "volume", p / units.bar)
        for result, p in zip(results, (PRESSURE, DENSER * PRESSURE), strict=True)
    ]
    yield energy_or_volume_ratio(subject, "ratio of volumes at two pressures", *data)


def _strains(result: Any) -> np.ndarray:
    """Strains (S, 3, 3) of the cell of each sample."""
    if result.rows[0].cell_ax_A is None:
        stretch = (result.series("volume_A3") / EDGE**3) ** (2 / 3)
        return (stretch - 1)[:, None, None] / 2 * np.eye(3)
    cells = np.stack([result.series(name) for name in CELL_COLUMNS], axis=1).reshape(-1, 3, 3)
    return (cells @ cells.transpose(0, 2, 1) / EDGE**2 - np.eye(3)) / 2


def _mean(subject: str, quantity: str, unit: str, values: np.ndarray, exact: float) -> Check:
    allowed = SIGMAS * estimators.standard_error(values)
    return Check(subject, quantity, unit, float(values.mean()), float(exact), exact - allowed, exact + allowed)
