"""Distributions, not averages alone: physical-validation (P. T. Merz and M. R. Shirts, PLOS ONE 13, e0202764 (2018)).

The kinetic energies of a run must follow the Maxwell-Boltzmann distribution, and runs at two temperatures (pressures)
must weigh each energy (volume) in the ratio of their Boltzmann factors. Both come out as a number of standard errors.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import physical_validation as pv
from ase import Atoms, units
from systems_dynamics import IdealGas, einstein_crystal, far_apart
from systems_openmm import no_force, run_with, springs

from dp_sim.recipes import run_npt, run_nvt
from dp_sim.recipes.dynamics import npt, nvt
from dp_sim.recipes.dynamics.estimators import statistical_inefficiency
from dp_sim.recipes.dynamics.result import DynamicsResult
from dp_sim.units import ANGSTROM_IN_NM, EV_IN_KJ_PER_MOL, KB_EV_PER_K
from validation.check import SIGMAS, Check
from validation.dynamics import KT, TEMPERATURE_K, TIMESTEP_FS, shown_temperature_K, whole_steps

#: physical-validation computes in kJ/mol, nm, ps and bar.
UNITS = pv.data.UnitData(
    kb=KB_EV_PER_K,
    energy_conversion=EV_IN_KJ_PER_MOL,
    length_conversion=ANGSTROM_IN_NM,
    volume_conversion=ANGSTROM_IN_NM**3,
    temperature_conversion=1.0,
    pressure_conversion=1.0,
    time_conversion=1e-3,
)
WARMER = 1.15
DENSER = 1.3


def checks(scale: float) -> Iterator[Check]:
    """Check oscillators and gases."""
    yield from oscillators(scale)
    yield from gases(scale)


def oscillators(scale: float) -> Iterator[Check]:
    """8 argon atoms on springs at 300 K, and 15 % warmer."""
    atoms, calculator = einstein_crystal(8)
    force = functools.partial(springs, atoms.positions)
    settings: dict[str, Any] = {"timestep_fs": TIMESTEP_FS, "sample_every": 5}
    temperatures = (TEMPERATURE_K, WARMER * TEMPERATURE_K)
    runs = {
        "ASE": [
            run_nvt(
                atoms, calculator, temperature_K=t, steps=whole_steps(60_000, scale), seed=seed, progress=False,
                **settings,
            )
            for seed, t in enumerate(temperatures)
        ],
        "OpenMM": [
            run_with(
                nvt, atoms, calculator, force, temperature_K=t, steps=whole_steps(60_000, scale), seed=seed,
                friction_per_ps=5.0, **settings,
            )
            for seed, t in enumerate(temperatures)
        ],
    }  # fmt: skip
    for engine, results in runs.items():
        subject = f"8 oscillators, NVT, {engine}"
        yield from kinetic_energies(subject, results[0], shown_temperature_K(engine, temperatures[0]))
        data = [
            distribution_data(result, "NVT", t, "potential_energy")
            for result, t in zip(results, temperatures, strict=True)
        ]
        yield energy_or_volume_ratio(subject, "ratio of potential energies at two temperatures", *data)


def gases(scale: float) -> Iterator[Check]:
    """6 free atoms at one pressure, and at 1.3 times that."""
    n, edge = 6, 16.0
    atoms = Atoms(f"Ar{n}", positions=far_apart(n), cell=[edge] * 3, pbc=True)
    pressure_bar = (n + 1) * KT / edge**3 / units.bar
    settings: dict[str, Any] = {"temperature_K": TEMPERATURE_K, "timestep_fs": 20.0, "sample_every": 25}
    pressures = (pressure_bar, DENSER * pressure_bar)
    runs = {
        "ASE": [
            run_npt(
                atoms, IdealGas(), pressure_bar=p, steps=whole_steps(60_000, scale), seed=seed, progress=False,
                **settings,
            )
            for seed, p in enumerate(pressures)
        ],
        "OpenMM": [
            run_with(
                npt, atoms, IdealGas(), no_force, pressure_bar=p, steps=whole_steps(200_000, scale), seed=seed,
                friction_per_ps=5.0, **settings,
            )
            for seed, p in enumerate(pressures)
        ],
    }  # fmt: skip
    for engine, results in runs.items():
        data = [
            distribution_data(result, "NPT", TEMPERATURE_K, "volume", p)
            for result, p in zip(results, pressures, strict=True)
        ]
        yield energy_or_volume_ratio(f"6 atoms, NPT, {engine}", "ratio of volumes at two pressures", *data)


def kinetic_energies(subject: str, result: DynamicsResult, temperature_K: float) -> Iterator[Check]:
    """Check mean and width of the kinetic energies against those of the degrees of freedom at this temperature."""
    mean, width = pv.kinetic_energy.distribution(
        distribution_data(result, "NVT", temperature_K, "kinetic_energy"),
        strict=False, verbosity=0, bootstrap_seed=1, data_is_uncorrelated=True,
    )  # fmt: skip
    yield _in_errors(subject, "mean of the kinetic energies", mean)
    yield _in_errors(subject, "width of the kinetic energies", width)


def energy_or_volume_ratio(subject: str, quantity: str, one: Any, other: Any) -> Check:
    """Of two runs with random numbers of their own: the error of the ratio is that of independent samples."""
    (off,) = pv.ensemble.check(one, other, data_is_uncorrelated=True, verbosity=0)
    return _in_errors(subject, quantity, off)


def distribution_data(
    result: DynamicsResult, ensemble: str, temperature_K: float, watched: str, pressure_bar: float | None = None
) -> Any:
    """Independent samples of the production part: every g-th, g the statistical inefficiency of what is `watched`.

    The package thins samples itself, by a count that a vibration deceives (see `statistical_inefficiency`). The first
    is left out: the oscillators start at rest, from an energy of 0.
    """
    columns = {"kinetic_energy": "kinetic_eV", "potential_energy": "potential_eV", "volume": "volume_A3"}
    series = {name: result.series(column)[result.production_start :] for name, column in columns.items()}
    stride = math.ceil(statistical_inefficiency(series[watched]))
    observed = {name: values[stride::stride] for name, values in series.items() if np.isfinite(values).all()}
    volume = None if ensemble == "NPT" else 1.0  # asked for at constant volume, and not used
    return pv.data.SimulationData(
        units=UNITS,
        system=pv.data.SystemData(
            natoms=len(result.atoms),
            nconstraints=0,
            ndof_reduction_tra=3 * len(result.atoms) - result.degrees_of_freedom,
            ndof_reduction_rot=0,
        ),
        ensemble=pv.data.EnsembleData(
            ensemble, natoms=len(result.atoms), temperature=temperature_K, volume=volume, pressure=pressure_bar
        ),
        observables=pv.data.ObservableData(**observed),
    )


def _in_errors(subject: str, quantity: str, off: float) -> Check:
    return Check(subject, quantity, "standard errors off", abs(float(off)), 0.0, 0.0, SIGMAS)
