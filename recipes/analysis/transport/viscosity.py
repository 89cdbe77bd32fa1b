"""Shear viscosity from the fluctuations of the pressure tensor."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dp_sim.recipes.analysis.series import standard_errors
from dp_sim.recipes.analysis.transport.green_kubo import GreenKubo, integrate
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import KB_EV_PER_K

Array = NDArray[np.float64]
#: bar^2 ps Angstrom^3 / eV in mPa s: 1e10 Pa^2 x 1e-12 s x 1e-30 m^3 / 1.602176565e-19 J, in 1e-3 Pa s.
MPA_S = 1e10 * 1e-12 * 1e-30 / 1.602176565e-19 * 1e3
UNIT = "mPa s"
NEEDED = tuple(f"pressure_{axes}_bar" for axes in ("xx", "yy", "zz", "yz", "xz", "xy"))
#: A mean shear stress so many standard errors from zero does not relax: the sample is no liquid.
SIGMAS = 5.0
#: The correlation must be resolved: it may fall between two samples by this share of its value at most.
RESOLVED = 0.5


def shear_components(table: Mapping[str, Array]) -> Array:
    """Return the five independent anisotropic components of the pressure tensor, (S, 5) bar.

    xy, xz, yz, (xx - yy) / 2 and (xx + yy - 2 zz) / (2 sqrt 3): in a liquid they are uncorrelated and have the same
    variance. ((yy - zz) / 2, which is often taken as the fifth, is correlated with (xx - yy) / 2; together these two
    hold the same information; P. J. Daivis and D. J. Evans, J. Chem. Phys. 100, 541 (1994).)
    """
    xx, yy, zz, yz, xz, xy = (table[name] for name in NEEDED)
    return np.stack([xy, xz, yz, (xx - yy) / 2, (xx + yy - 2 * zz) / (2 * np.sqrt(3))], axis=1)


def viscosity(table: Mapping[str, Array], temperature_K: float) -> GreenKubo:
    """Integrate eta = V / (k_B T) int_0^inf < P_ab(0) P_ab(t) > dt over five components (Allen and Tildesley, 8.27).

    Parameters
    ----------
    table
        Columns of thermo.csv, evenly spaced in time.
    temperature_K
        K.
    """
    missing = [name for name in (*NEEDED, "volume_A3") if name not in table]
    if missing:
        return withheld_viscosity(
            f"the table of the run has no {missing[0]}: the viscosity needs the pressure tensor, which a run with a "
            "stress in a cell periodic along all three axes records"
        )
    stress, time = shear_components(table), table["time_ps"]
    n_samples = len(stress)
    if n_samples < 2:
        return withheld_viscosity(f"the table of the run holds {n_samples} samples; run longer")
    spacing = float((time[-1] - time[0]) / (n_samples - 1))
    refusal = _not_a_liquid(stress) or _unresolved(stress, spacing)
    if refusal:
        return withheld_viscosity(refusal)
    running = np.zeros_like(stress)
    running[1:] = np.cumsum((stress[1:] + stress[:-1]) / 2, axis=0) * spacing

    def products(lag: int) -> Array:
        return np.asarray((stress[:-lag] * (running[lag:] - running[:-lag])).mean(axis=1))

    scale = float(table["volume_A3"].mean()) / (KB_EV_PER_K * temperature_K) * MPA_S
    return integrate(products, n_samples, spacing, scale, unit=UNIT, what="the shear stress")


def _not_a_liquid(stress: Array) -> str:
    """Say that a shear stress stays, as in a solid; empty where all average to zero."""
    errors = standard_errors(stress)
    if errors is None:
        return f"{len(stress)} samples of the shear stress are too few for a viscosity; run longer"
    if (np.abs(stress.mean(axis=0)) > SIGMAS * errors).any():
        return "the shear stress does not average to zero: the sample is a solid, or not relaxed, and has no viscosity"
    return ""


def _unresolved(stress: Array, spacing_ps: float) -> str:
    """Say that the samples are too far apart to integrate over the decay of the stress; empty where they are not."""
    first = float((stress[1:] * stress[:-1]).mean() / (stress**2).mean())
    if first >= 1 - RESOLVED:
        return ""
    return (
        f"the shear stress keeps {100 * first:.0f} % of its correlation from one line of thermo.csv to the next "
        f"({spacing_ps:g} ps), and {100 - 100 * RESOLVED:.0f} % are needed to integrate it; run with a smaller "
        "sample_every"
    )


def withheld_viscosity(cause: str) -> GreenKubo:
    """Make a viscosity that is not given, with the reason."""
    empty = np.array([])
    return GreenKubo(time_ps=empty, integral=empty, error=None, cut_ps=None, value=Estimate.withheld(UNIT, cause))
