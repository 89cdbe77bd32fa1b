"""Trajectories whose structure and transport are known exactly."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.build import bulk

TRICLINIC = np.array([[9.0, 0.0, 0.0], [2.5, 8.0, 0.0], [-1.5, 2.0, 7.5]])


def ideal_gas(
    rng: np.random.Generator, n_frames: int, symbols: str = "Ar30Ne20", cell: np.ndarray = TRICLINIC
) -> list[Atoms]:
    """Atoms anywhere in the cell, anew in each frame: g(r) = 1 and S(q) = 1."""
    n_atoms = len(Atoms(symbols))
    return [Atoms(symbols, positions=rng.random((n_atoms, 3)) @ cell, cell=cell, pbc=True) for _ in range(n_frames)]


def hot_crystal(rng: np.random.Generator, n_frames: int, spread: float = 0.06) -> list[Atoms]:
    """An fcc crystal of 108 atoms, a = 4 Angstrom, each atom off its site by a Gaussian of width `spread`, Angstrom."""
    crystal = bulk("Cu", a=4.0, cubic=True).repeat(3)
    frames = []
    for _ in range(n_frames):
        frame = crystal.copy()
        frame.positions += rng.normal(0, spread, frame.positions.shape)
        frame.wrap()
        frames.append(frame)
    return frames


def walk_steps(rng: np.random.Generator, n_frames: int, n_atoms: int, diffusion_A2_ps: float, frame_ps: float):
    """Positions (S, N, 3) of independent random walks in Angstrom: MSD = 6 D t."""
    steps = rng.normal(0, np.sqrt(2 * diffusion_A2_ps * frame_ps), (n_frames, n_atoms, 3))
    return steps.cumsum(axis=0)


def wrapped(positions: np.ndarray, cell: np.ndarray, symbols: str) -> list[Atoms]:
    """Frames with positions (S, N, 3) wrapped into one cell."""
    frames = [Atoms(symbols, positions=one, cell=cell, pbc=True) for one in positions]
    for frame in frames:
        frame.wrap()
    return frames


def walkers_in_a_box(rng: np.random.Generator, n_frames: int, n_atoms: int, step_A: float) -> list[Atoms]:
    """Free walkers in a cubic cell of 12 Angstrom: correlated frames of an ideal gas, whose g(r) and S(q) are 1."""
    start = rng.random((1, n_atoms, 3)) * 12
    return wrapped(start + rng.normal(0, step_A, (n_frames, n_atoms, 3)).cumsum(axis=0), np.eye(3) * 12, f"Ar{n_atoms}")


def thermal_velocity(temperature_K: float) -> float:
    """Mean square of a velocity component of argon, k_B T / m, (Angstrom/ps)^2."""
    return float(units.kB * temperature_K / Atoms("Ar").get_masses()[0] * (1000 * units.fs) ** 2)


def langevin_gas(
    rng: np.random.Generator, n_frames: int, n_atoms: int, *, temperature_K: float, tau_ps: float, frame_ps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (Angstrom) and velocities (Angstrom/ps), (S, N, 3), of free argon atoms in a Langevin bath, exactly.

    <v(0) v(t)> = (kT / m) exp(-t / tau), D = kT tau / m. One step of length h maps (x, v) to (x + tau (1 - c) v + R,
    c v + V) with c = exp(-h / tau) and R, V Gaussian (S. Chandrasekhar, Rev. Mod. Phys. 15, 1 (1943)).
    """
    thermal = thermal_velocity(temperature_K)
    c = np.exp(-frame_ps / tau_ps)
    var_v = thermal * (1 - c**2)
    var_x = thermal * tau_ps**2 * (2 * frame_ps / tau_ps - 3 + 4 * c - c**2)
    cov = thermal * tau_ps * (1 - c) ** 2
    factor = np.linalg.cholesky(np.array([[var_x, cov], [cov, var_v]]))
    velocities = np.empty((n_frames, n_atoms, 3))
    positions = np.zeros((n_frames, n_atoms, 3))
    velocities[0] = rng.normal(0, np.sqrt(thermal), (n_atoms, 3))
    for n in range(1, n_frames):
        noise = np.einsum("ij,jmx->imx", factor, rng.standard_normal((2, n_atoms, 3)))
        positions[n] = positions[n - 1] + tau_ps * (1 - c) * velocities[n - 1] + noise[0]
        velocities[n] = c * velocities[n - 1] + noise[1]
    return positions, velocities
