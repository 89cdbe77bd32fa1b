"""The Lennard-Jones liquid near its triple point against NIST's tables, at constant volume, in both engines.

NIST Standard Reference Simulation Website, "Lennard-Jones Fluid Properties", Monte Carlo at T* = 0.85: 500 particles,
truncated at 3 sigma, with long-range corrections. Truncated forces conserve an energy that is shifted to 0 at the
cutoff; the pairs counted in the frames give back the truncated one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ase import Atoms, units
from systems_lennard_jones import (
    AT_CUTOFF,
    EPSILON_EV,
    PRESSURE_BAR,
    TAU_FS,
    LennardJones,
    liquid,
    openmm_lennard_jones,
    pairs_within_cutoff,
    tail,
)
from systems_openmm import run_with

from dp_sim.recipes import run_nvt
from dp_sim.recipes.dynamics import nvt
from dp_sim.recipes.dynamics.run_files import TRAJECTORY
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.recipes.results.trajectory import ExtxyzFrames
from validation.check import SIGMAS, Check
from validation.dynamics import whole_steps

DENSITY, TEMPERATURE = 0.776, 0.85
#: U*/N and p*, each with its error.
NIST_ENERGY, NIST_PRESSURE = (-5.5121, 4.55e-4), (6.7714e-3, 1.72e-3)
MELTING = 3.0
#: The friction is weak: it is for averages, and slows down no more than it must.
SETTINGS: dict[str, Any] = {"timestep_fs": 0.003 * TAU_FS, "sample_every": 10, "frame_every": 1000}


def checks(scale: float) -> Iterator[Check]:
    """Check energy and pressure of the liquid."""
    start, calculator = melted(liquid(DENSITY), TEMPERATURE), LennardJones()
    settings = {**SETTINGS, "temperature_K": kelvin(TEMPERATURE), "friction_per_ps": 1.0}
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            "ASE": run_nvt(
                start, calculator, steps=whole_steps(40_000, scale), progress=False, out=Path(folder) / "ASE",
                **settings,
            ),
            "OpenMM": run_with(
                nvt, start, calculator, openmm_lennard_jones, platform="CPU", steps=whole_steps(60_000, scale),
                out=Path(folder) / "OpenMM", **settings,
            ),
        }  # fmt: skip
        beyond = tail(DENSITY)
        for engine, result in runs.items():
            subject = f"Lennard-Jones, rho* {DENSITY}, T* {TEMPERATURE}, {engine}"
            pairs = pairs_within_cutoff(ExtxyzFrames(Path(folder) / engine / TRAJECTORY))
            added = AT_CUTOFF * pairs / len(start) + beyond.energy
            energy = reduced(result.potential_energy_eV, len(start) * EPSILON_EV)
            yield _beside(subject, "U*/N", energy, added, *NIST_ENERGY)
            yield _beside(subject, "p*", reduced(result.pressure_bar, PRESSURE_BAR), beyond.pressure, *NIST_PRESSURE)


def kelvin(temperature: float) -> float:
    """Convert a reduced temperature."""
    return float(temperature * EPSILON_EV / units.kB)


def melted(crystal: Atoms, temperature: float) -> Atoms:
    """Melt a crystal hot, and bring the liquid to its temperature."""
    for hot, steps in ((MELTING, 2000), (temperature, 4000)):
        crystal = run_nvt(
            crystal, LennardJones(), temperature_K=kelvin(hot), steps=steps, progress=False, **SETTINGS
        ).atoms
    return crystal


def reduced(found: Estimate, unit: float) -> Estimate:
    """Divide an estimate by a unit."""
    if found.value is None or found.error is None or found.ci95 is None:
        return found
    low, high = found.ci95
    return Estimate(found.value / unit, found.error / unit, (low / unit, high / unit), found.n_effective, "")


def _beside(subject: str, quantity: str, found: Estimate, added: float, published: float, its_error: float) -> Check:
    """Check a number, with what was `added` to it, against a published one, within the errors of both."""
    if found.value is None or found.error is None:
        return Check(subject, quantity, "", None, published, published, published)
    allowed = SIGMAS * (found.error**2 + its_error**2) ** 0.5
    return Check(subject, quantity, "", found.value + added, published, published - allowed, published + allowed)
