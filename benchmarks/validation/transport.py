"""Diffusion and viscosity of the Lennard-Jones liquid near its triple point, from runs of ours through `analyse`.

Published at rho* = 0.8442, T* = 0.722: eta* = 3.258 (K. Meier, A. Laesecke and S. Kabelac, J. Chem. Phys. 121, 3671
(2004); M. Ferrario et al., Phys. Rev. A 44, 6936 (1991): 3.24 +- 0.04), and D* = 0.0325 of 1372 particles (the former,
121, 9526 (2004)), which Yeh and Hummer's equation with that viscosity makes 0.0353 in an infinite cell.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from systems_lennard_jones import DIFFUSION_1E9, TAU_FS, VISCOSITY_MPA_S, LennardJones, liquid

from dp_sim.recipes import analyse, run_nvt
from dp_sim.recipes.analysis.transport.finite_size import XI_CUBIC
from dp_sim.recipes.results.quantities import Estimate
from validation.check import SIGMAS, Check
from validation.dynamics import whole_steps
from validation.lennard_jones import kelvin, melted, reduced

DENSITY, TEMPERATURE = 0.8442, 0.722
VISCOSITY, ITS_ERROR = 3.258, 0.033
PUBLISHED_D, PUBLISHED_N, D_ERROR = 0.0325, 1372, 0.0004
#: The centre of mass rests and no random force acts on an atom: what transport is measured under.
SETTINGS: dict[str, Any] = {
    "timestep_fs": 0.004 * TAU_FS, "thermostat": "bussi", "thermostat_time_fs": TAU_FS, "progress": False,
}  # fmt: skip


def infinite(diffusion: float, particles: int) -> float:
    """Add xi T* / (6 pi eta* L*): diffusion in an infinite cell (I.-C. Yeh and G. Hummer, 2004, eq. 12)."""
    edge = (particles / DENSITY) ** (1 / 3)
    return float(diffusion + XI_CUBIC * TEMPERATURE / (6 * np.pi * VISCOSITY * edge))


def checks(scale: float) -> Iterator[Check]:
    """Check viscosity and diffusion, and that Einstein's and Green and Kubo's diffusion agree.

    The integral of the velocities still falls by 6 % between 1.7 and 4.5 ps, behind the cage: 60 ps show no plateau.
    """
    settings = {**SETTINGS, "temperature_K": kelvin(TEMPERATURE)}
    start = melted(liquid(DENSITY), TEMPERATURE)
    with tempfile.TemporaryDirectory() as folder:
        long, dense = Path(folder) / "long", Path(folder) / "dense"
        run = run_nvt(
            start, LennardJones(), steps=whole_steps(80_000, scale), sample_every=2, frame_every=40, out=long,
            **settings,
        )  # fmt: skip
        run_nvt(
            run.atoms, LennardJones(), steps=whole_steps(24_000, scale), sample_every=8, frame_every=8, out=dense,
            velocities=True, **settings,
        )  # fmt: skip
        found = analyse(
            long, only=["diffusion", "viscosity"], viscosity_mPa_s=VISCOSITY * VISCOSITY_MPA_S, progress=False
        )
        moving = analyse(dense, first=0, only=["velocities"], progress=False)  # it goes on from `run`
    subject = f"Lennard-Jones, rho* {DENSITY}, T* {TEMPERATURE}, {len(start)} atoms"
    assert found.viscosity is not None
    yield _beside(subject, "viscosity", reduced(found.viscosity.value, VISCOSITY_MPA_S), VISCOSITY, ITS_ERROR)
    einstein = reduced(found.diffusion("Ar"), DIFFUSION_1E9)
    corrected = reduced(found.corrected_diffusions[0], DIFFUSION_1E9)
    expected = infinite(PUBLISHED_D, PUBLISHED_N)
    yield _beside(subject, "D*, Einstein, corrected for the cell", corrected, expected, D_ERROR)
    (correlation,) = moving.velocity_correlations
    green_kubo = reduced(correlation.green_kubo.value, DIFFUSION_1E9)
    known = einstein.value if einstein.value is not None else 0.0
    yield _beside(subject, "D*, Green-Kubo (exact: Einstein's)", green_kubo, known, einstein.error or 0.0)


def _beside(subject: str, quantity: str, found: Estimate, expected: float, its_error: float) -> Check:
    """Check a number against another, within the errors of both; one that is withheld fails."""
    allowed = 0.0 if found.error is None else SIGMAS * float(np.hypot(found.error, its_error))
    return Check(subject, quantity, "", found.value, expected, expected - allowed, expected + allowed)
