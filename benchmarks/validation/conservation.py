"""Constant energy: what remains of the energy's fluctuation falls as the square of the time step.

Velocity Verlet and leap-frog conserve a Hamiltonian that differs from the true one by terms in dt^2 (B. Leimkuhler and
S. Reich, *Simulating Hamiltonian Dynamics*, 2004, ch. 5); wrong forces, or a wrong step, show as another power.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from systems_dynamics import einstein_crystal
from systems_openmm import run_with, springs

from dp_sim.recipes import run_nve
from dp_sim.recipes.dynamics import nve
from dp_sim.recipes.dynamics.nve import NVEResult
from validation.check import Check


def checks(scale: float) -> Iterator[Check]:
    """Check how energy fluctuations fall with the time step, in both engines."""
    crystal, calculator = einstein_crystal(8)
    force = functools.partial(springs, crystal.positions)
    copper = bulk("Cu", cubic=True)
    copper.rattle(0.05, seed=0)
    runs: dict[str, tuple[float, Callable[[int, float], NVEResult]]] = {
        "8 oscillators, NVE, ASE": (
            16.0,
            lambda steps, dt: run_nve(
                crystal, calculator, temperature_K=600, steps=steps, timestep_fs=dt, sample_every=1, frame_every=steps,
                progress=False,
            ),
        ),
        "8 oscillators, NVE, OpenMM": (
            16.0,
            lambda steps, dt: run_with(
                nve, crystal, calculator, force, temperature_K=600, steps=steps, timestep_fs=dt, sample_every=1,
                frame_every=steps,
            ),
        ),
        "copper (EMT), NVE, ASE": (
            8.0,
            lambda steps, dt: run_nve(
                copper, EMT(), temperature_K=600, steps=steps, timestep_fs=dt, sample_every=1, frame_every=steps,
                progress=False,
            ),
        ),
    }  # fmt: skip
    for subject, (longest_fs, run) in runs.items():
        yield _power(subject, longest_fs, run, max(50, round(200 * scale)))


def _power(subject: str, longest_fs: float, run: Callable[[int, float], NVEResult], steps: int) -> Check:
    """Check the slope of log(fluctuation) against log(time step) over runs of equal length from one start."""
    timesteps = longest_fs / np.array([1.0, 2.0, 4.0])
    fluctuations = [run(round(steps * longest_fs / dt), dt).energy_fluctuation_meV_per_atom for dt in timesteps]
    power = float(np.polyfit(np.log(timesteps), np.log(fluctuations), 1)[0])
    return Check(subject, "power of the time step in the energy's fluctuation", "", power, 2.0, 1.9, 2.1)
