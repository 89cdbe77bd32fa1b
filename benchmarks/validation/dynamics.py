"""Dynamics with known averages: oscillators at constant volume, gases at constant pressure, in both engines."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from ase import Atoms, units
from systems_dynamics import IdealGas, dimers, einstein_crystal, far_apart
from systems_openmm import gas_of_molecules, no_force, run_with, springs

from dp_sim.recipes import run_npt, run_nvt
from dp_sim.recipes.dynamics import npt, nvt
from dp_sim.units import EV_PER_A3_IN_GPA
from validation.check import Check, within_errors

TEMPERATURE_K = 300.0
TIMESTEP_FS = 8.0  # of the oscillators: omega dt = 0.28
KT = units.kB * TEMPERATURE_K


def oscillators(scale: float) -> Iterator[Check]:
    """8 argon atoms, each on its spring: C_V = 3 N k_B, <U> = 3/2 N k_B T."""
    atoms, calculator = einstein_crystal(8)
    settings: dict[str, Any] = {"temperature_K": TEMPERATURE_K, "timestep_fs": TIMESTEP_FS, "sample_every": 5}
    force = functools.partial(springs, atoms.positions)
    runs = {
        "ASE": run_nvt(atoms, calculator, steps=whole_steps(40_000, scale), progress=False, **settings),
        "OpenMM": run_with(
            nvt, atoms, calculator, force, steps=whole_steps(100_000, scale), friction_per_ps=5.0, **settings
        ),
    }
    for engine, result in runs.items():
        subject = f"8 oscillators, NVT, {engine}"
        yield within_errors(subject, "C_V", result.heat_capacity_kB, 24.0)
        yield within_errors(subject, "potential energy", result.potential_energy_eV, 12 * KT)
        yield within_errors(subject, "temperature", result.temperature_K, shown_temperature_K(engine, TEMPERATURE_K))


def shown_temperature_K(engine: str, temperature_K: float) -> float:
    """Give the temperature that the kinetic energy of the oscillators shows, which a time step lowers in ASE's scheme.

    BAOAB samples the positions of an oscillator exactly. Of its momenta at whole steps <p^2> is m k_B T
    (1 - (omega dt)^2 / 4): the scheme keeps p^2 / (2 m (1 - (omega dt)^2 / 4)) + U, as velocity Verlet does
    (B. Leimkuhler and C. Matthews, J. Chem. Phys. 138, 174102 (2013)). OpenMM reports the kinetic energy of the half
    steps, where it is exact (Z. Zhang et al., J. Phys. Chem. A 123, 6056 (2019)).
    """
    if engine == "OpenMM":
        return temperature_K
    atoms, calculator = einstein_crystal(1)
    angle_squared = calculator.spring / atoms.get_masses()[0] * (TIMESTEP_FS * units.fs) ** 2  # (omega dt)^2
    return float(temperature_K * (1 - angle_squared / 4))


def ideal_gas(scale: float) -> Iterator[Check]:
    """p(V) ~ V^N exp(-pV / kT): <V> = (N + 1) kT / p, kappa = 1 / p, alpha = 1 / T."""
    n, edge = 6, 16.0
    atoms = Atoms(f"Ar{n}", positions=far_apart(n), cell=[edge] * 3, pbc=True)
    yield from _gas(
        "6 atoms, NPT", atoms, IdealGas(), no_force, n, 20.0, (whole_steps(40_000, scale), whole_steps(300_000, scale))
    )


def molecular_gas(scale: float) -> Iterator[Check]:
    """Check the same with N molecules of two atoms: how the barostat moves their atoms must not matter."""
    n, edge, bond = 8, 34.0, 1.4
    atoms, calculator = dimers(n, bond, edge)
    _, bonds = gas_of_molecules(n, bond, edge)
    yield from _gas(
        "8 molecules, NPT", atoms, calculator, bonds, n, 2.0, (whole_steps(60_000, scale), whole_steps(200_000, scale))
    )


def _gas(
    subject: str, atoms: Atoms, calculator: Any, make_force: Any, n: int, timestep_fs: float, steps: tuple[int, int]
) -> Iterator[Check]:
    volume = atoms.get_volume()
    pressure = (n + 1) * KT / volume
    settings: dict[str, Any] = {
        "temperature_K": TEMPERATURE_K,
        "pressure_bar": pressure / units.bar,
        "timestep_fs": timestep_fs,
        "sample_every": 25,
    }
    runs = {
        "ASE": run_npt(atoms, calculator, steps=steps[0], progress=False, **settings),
        "OpenMM": run_with(npt, atoms, calculator, make_force, steps=steps[1], friction_per_ps=5.0, **settings),
    }
    for engine, result in runs.items():
        yield within_errors(f"{subject}, {engine}", "volume", result.volume_A3, volume)
        yield within_errors(
            f"{subject}, {engine}", "compressibility", result.compressibility_per_GPa, 1 / (pressure * EV_PER_A3_IN_GPA)
        )
        yield within_errors(
            f"{subject}, {engine}", "thermal expansion", result.thermal_expansion_per_K, 1 / TEMPERATURE_K
        )
        yield within_errors(
            f"{subject}, {engine}", "bulk modulus", result.bulk_modulus_GPa, pressure * EV_PER_A3_IN_GPA
        )
        yield within_errors(f"{subject}, {engine}", "C_p - C_V", result.heat_capacity_difference_kB, n + 1)


def whole_steps(steps: int, scale: float) -> int:
    """Round to a whole number of samples."""
    return 100 * max(1, round(steps * scale / 100))


def checks(scale: float) -> Iterator[Check]:
    """Check oscillators and both gases."""
    yield from oscillators(scale)
    yield from ideal_gas(scale)
    yield from molecular_gas(scale)
