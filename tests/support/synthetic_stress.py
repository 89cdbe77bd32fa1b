"""Pressure tensors whose Green-Kubo viscosity is known."""

from __future__ import annotations

import numpy as np
from synthetic_series import autoregressive

from dp_sim.recipes.analysis.transport.viscosity import NEEDED
from dp_sim.units import KB_EV_PER_K

TAU, SPACING_PS, AMPLITUDE_BAR, VOLUME_A3 = 8.0, 0.01, 500.0, 8000.0


def table(rng: np.random.Generator, n_samples: int, fast: float = 0.5) -> dict[str, np.ndarray]:
    """Six components with autocorrelation A^2 [fast exp(-t / 2) + (1 - fast) exp(-t / 8)], t in samples.

    The diagonal has twice the variance about the pressure, as in an isotropic liquid: (xx - yy) / 2 has that of xy.
    """

    def series():
        return AMPLITUDE_BAR * (
            np.sqrt(fast) * autoregressive(rng, n_samples, 2.0)
            + np.sqrt(1 - fast) * autoregressive(rng, n_samples, TAU)
        )

    columns = {name: series() * (np.sqrt(2) if name[9] == name[10] else 1) for name in NEEDED}
    for name in ("pressure_xx_bar", "pressure_yy_bar", "pressure_zz_bar"):
        columns[name] += 1000.0
    return {**columns, "time_ps": np.arange(n_samples) * SPACING_PS, "volume_A3": np.full(n_samples, VOLUME_A3)}


def exact(temperature_K: float, fast: float = 0.5) -> float:
    """V / kT times the integral; a trapezium over samples of exp(-t / tau) is 1 / 2 + 1 / (exp(1 / tau) - 1)."""
    integral = sum(
        share * (0.5 + 1 / (np.exp(1 / tau) - 1)) for share, tau in ((fast, 2.0), (1 - fast, TAU))
    )  # samples
    pascal_2_s = (AMPLITUDE_BAR * 1e5) ** 2 * integral * SPACING_PS * 1e-12
    return float(VOLUME_A3 * 1e-30 * pascal_2_s / (KB_EV_PER_K * temperature_K * 1.602176565e-19) * 1e3)
