"""Double wells and a harmonic crystal at constant volume, in both engines, against quadrature and counting."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from systems_openmm import run_with
from systems_wells import DoubleWells, by_quadrature, double_wells, harmonic_crystal

from dp_sim.recipes import run_nvt
from dp_sim.recipes.dynamics import estimators, nvt
from dp_sim.recipes.dynamics.run_files import TRAJECTORY
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.recipes.results.trajectory import ExtxyzFrames
from validation.check import Check, within_errors
from validation.dynamics import KT, TEMPERATURE_K, whole_steps

#: Wells 3 k_B T deep and 0.6 k_B T apart: some thousand crossings in a run.
N, BARRIER, TILT = 8, 3.0 * KT, 0.3 * KT
FRAME_EVERY = 20
SETTINGS: dict[str, Any] = {"temperature_K": TEMPERATURE_K, "friction_per_ps": 5.0}


def checks(scale: float) -> Iterator[Check]:
    """Check the double wells, then the crystal."""
    yield from double_well(scale)
    yield from crystal(scale)


def double_well(scale: float) -> Iterator[Check]:
    """Mean energy, C_V and the populations of both wells."""
    atoms, wells = double_wells(N, BARRIER, TILT)
    exact = by_quadrature(wells, KT)
    settings = {**SETTINGS, "timestep_fs": 5.0, "sample_every": 10, "frame_every": FRAME_EVERY}
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            "ASE": run_nvt(
                atoms, wells, steps=whole_steps(100_000, scale), out=Path(folder) / "ASE", progress=False, **settings
            ),
            "OpenMM": run_with(
                nvt, atoms, wells, wells.in_openmm, steps=whole_steps(150_000, scale), out=Path(folder) / "OpenMM",
                **settings,
            ),
        }  # fmt: skip
        for engine, result in runs.items():
            subject = f"{N} double wells, NVT, {engine}"
            yield within_errors(subject, "potential energy", result.potential_energy_eV, N * exact.energy)
            yield within_errors(subject, "C_V", result.heat_capacity_kB, N * exact.heat_capacity)
            first = result.rows[result.production_start].step // FRAME_EVERY
            share = share_on_the_right(Path(folder) / engine / TRAJECTORY, wells, first)
            yield within_errors(subject, "share in the upper well", share, exact.right)


def share_on_the_right(trajectory: Path, wells: DoubleWells, first: int) -> Estimate:
    """Estimate the share of the time that the atoms spend beyond the barrier."""
    frames = ExtxyzFrames(trajectory)
    right = [float((one.positions[:, 0] > wells.sites[:, 0]).mean()) for one in frames.part(first, len(frames), 1)]
    return estimators.mean(np.array(right), unit="", what="the populations", steps_per_sample=FRAME_EVERY)


def crystal(scale: float) -> Iterator[Check]:
    """3N momenta and 3N - 3 vibrations of many frequencies, 1 / 2 of k_B each."""
    atoms, springs = harmonic_crystal()
    settings = {**SETTINGS, "timestep_fs": 8.0, "sample_every": 5, "frame_every": 10**6}
    n = len(atoms)
    runs = {
        "ASE": run_nvt(atoms, springs, steps=whole_steps(40_000, scale), progress=False, **settings),
        "OpenMM": run_with(nvt, atoms, springs, springs.in_openmm, steps=whole_steps(60_000, scale), **settings),
    }
    for engine, result in runs.items():
        subject = f"harmonic crystal of {n}, NVT, {engine}"
        yield within_errors(subject, "potential energy", result.potential_energy_eV, (3 * n - 3) / 2 * KT)
        yield within_errors(subject, "C_V", result.heat_capacity_kB, 3 * n - 1.5)
