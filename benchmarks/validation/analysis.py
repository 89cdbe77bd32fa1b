"""Coverage of the intervals of `analyse`, on trajectories and stresses whose structure and transport are exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import synthetic_stress
from synthetic_trajectories import langevin_gas, thermal_velocity, walk_steps, walkers_in_a_box

from dp_sim.recipes import analyse
from dp_sim.recipes.analysis.result import AnalysisResult
from dp_sim.recipes.analysis.trajectory.unwrapping import Paths
from dp_sim.recipes.analysis.transport.displacements import displacements
from dp_sim.recipes.analysis.transport.velocities import velocity_correlation
from dp_sim.recipes.analysis.transport.viscosity import viscosity
from dp_sim.recipes.results.quantities import Estimate
from validation.check import Check
from validation.intervals import Case, covered

DIFFUSION_A2_PS, FRAME_PS = 0.3, 0.05
TEMPERATURE_K, TAU_PS = 300.0, 0.2


def walk(n_frames: int, pairs: int) -> Case:
    """Make the case of D from displacements, of walkers in pairs: 10 D in 10^-9 m^2/s.

    Two hydrogens of one molecule move so; an error that took the walkers as independent would fail.
    """

    def make(rng: np.random.Generator) -> Estimate:
        steps = np.repeat(walk_steps(rng, n_frames, pairs, DIFFUSION_A2_PS, FRAME_PS), 2, axis=1)
        return displacements(_paths(steps, None, FRAME_PS), "Ar").diffusion

    return Case(make, 10 * DIFFUSION_A2_PS)


def gas(n_frames: int, atoms: int, frame_ps: float, of: Callable[[Paths], Estimate]) -> Case:
    """Make the case of D of free atoms in a Langevin bath: k_B T tau / m, ballistic at first."""

    def make(rng: np.random.Generator) -> Estimate:
        moved = langevin_gas(rng, n_frames, atoms, temperature_K=TEMPERATURE_K, tau_ps=TAU_PS, frame_ps=frame_ps)
        return of(_paths(*moved, frame_ps))

    return Case(make, 10 * thermal_velocity(TEMPERATURE_K) * TAU_PS)


def stress(n_samples: int, given: float) -> Case:
    """Make the case of the viscosity."""

    def make(rng: np.random.Generator) -> Estimate:
        return viscosity(synthetic_stress.table(rng, n_samples), TEMPERATURE_K).value

    return Case(make, synthetic_stress.exact(TEMPERATURE_K), given)


def ideal(value: Callable[[AnalysisResult], tuple[float, float | None]]) -> Case:
    """Make the case of a point of g(r) or S(q) of walkers in a box, with the band of twice its error: 1."""

    def make(rng: np.random.Generator) -> Estimate:
        frames = walkers_in_a_box(rng, 120, 40, 0.8)
        found, error = value(
            analyse(frames, first=0, only=["structure"], r_max_A=5.0, bin_A=0.25, q_max_per_A=2.0, progress=False)
        )
        assert error is not None
        return Estimate(found, error, (found - 2 * error, found + 2 * error), None, "")

    return Case(make, 1.0)


def _paths(positions: np.ndarray, velocities: np.ndarray | None, frame_ps: float) -> Paths:
    names = np.array(["Ar"] * positions.shape[1])
    return Paths(species=names, positions=positions, velocities=velocities, frame_ps=frame_ps)


def _g(found: AnalysisResult) -> tuple[float, float | None]:
    (one,) = found.distributions
    at = int(np.argmin(np.abs(one.r - 4.0)))
    return float(one.g[at]), None if one.error is None else float(one.error[at])


def _s(found: AnalysisResult) -> tuple[float, float | None]:
    one = found.structure_factors[0]
    at = int(np.argmin(np.abs(one.q - 1.5)))
    return float(one.s[at]), None if one.error is None else float(one.error[at])


def checks(scale: float) -> Iterator[Check]:
    """Check how often the intervals hold the truth: 200 seeds of each."""
    repeats = max(50, round(200 * scale))
    cases = {
        "D by Einstein, 600 frames of 5 pairs": walk(600, 5),
        "D by Einstein, 2500 frames of 2 pairs": walk(2500, 2),
        "D by Einstein, gas, 2000 frames": gas(2000, 6, 0.1, lambda paths: displacements(paths, "Ar").diffusion),
        "D by Green-Kubo, gas, 4000 frames": gas(
            4000, 6, 0.02, lambda paths: velocity_correlation(paths, "Ar").green_kubo.value
        ),
        "viscosity, 3000 samples": stress(3000, 0.9),
        "viscosity, 12000 samples": stress(12_000, 0.95),
        "g(r) at 4 Angstrom, correlated frames": ideal(_g),
        "S(q) at 1.5 per Angstrom, correlated frames": ideal(_s),
    }
    for name, case in cases.items():
        yield from covered(name, case, repeats)
