"""Heat capacity, compressibility and expansion from fluctuations.

Equations: M. P. Allen and D. J. Tildesley, *Computer Simulation of Liquids*, 2nd ed. (2017), ch. 2.5.
"""

from __future__ import annotations

from dp_sim.recipes.dynamics.estimators.correlation import Samples, is_constant
from dp_sim.recipes.dynamics.estimators.intervals import mean_interval, plus, variance_interval
from dp_sim.recipes.dynamics.estimators.statistic import Statistic, average, covariance, variance
from dp_sim.recipes.dynamics.estimators.verdict import (
    NEEDED_FOR_FLUCTUATION,
    NEEDED_OF_FLUCTUATING,
    Requirement,
    estimate,
)
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import EV_PER_A3_IN_GPA, KB_EV_PER_K

#: Why nothing that a fluctuating volume tells is given.
STILL = "the volume does not fluctuate"


def heat_capacity(
    energy_eV: Samples,
    temperature_K: float,
    *,
    degrees_of_freedom: int,
    divide_by: int = 1,
    what: str,
    steps_per_sample: int,
) -> Estimate:
    """Estimate C = Var(U) / (k_B T^2) + f k_B / 2, in k_B, from the configurational energy (or enthalpy U + pV) U.

    In the canonical ensemble momenta and positions are independent, so Var(E) = Var(U) + Var(K), and the momenta are
    Gaussian, so Var(K) = f (k_B T)^2 / 2 exactly (Allen and Tildesley, eq. 2.82-2.83). The kinetic half is known and is
    not estimated: that halves the noise and keeps the time step's error in K out of the result.

    Parameters
    ----------
    energy_eV
        U of each sample.
    temperature_K
        The thermostat's.
    degrees_of_freedom
        f: every momentum that the thermostat drives.
    divide_by
        Number of atoms, for the value per atom.
    what
        The energy's name, for the cause if the estimate must be withheld.
    steps_per_sample
        For the number of steps that a longer run would take.
    """
    kinetic = degrees_of_freedom / 2 / divide_by
    capacity = heat_capacity_statistic(energy_eV, temperature_K, degrees_of_freedom, divide_by)
    return estimate(
        capacity,
        "k_B" if divide_by == 1 else "k_B/atom",
        plus(kinetic),
        steps_per_sample,
        *needs_of(what, energy_eV, capacity),
    )


def heat_capacity_statistic(
    energy_eV: Samples,
    temperature_K: float,
    degrees_of_freedom: int,
    divide_by: int = 1,
    weights: Samples | None = None,
) -> Statistic:
    """Compute C, k_B."""
    kT = KB_EV_PER_K * temperature_K
    return (kT**-2 / divide_by) * variance(energy_eV, weights) + degrees_of_freedom / 2 / divide_by


def compressibility(volume_A3: Samples, temperature_K: float, *, steps_per_sample: int) -> Estimate:
    """Estimate kappa_T = Var(V) / (k_B T <V>), in 1/GPa (Allen and Tildesley, eq. 2.89)."""
    kappa = compressibility_statistic(volume_A3, temperature_K)
    if kappa.value == 0:
        return Estimate.withheld("1/GPa", STILL)
    return estimate(kappa, "1/GPa", variance_interval, steps_per_sample, *needs_of("the volume", volume_A3, kappa))


def compressibility_statistic(volume_A3: Samples, temperature_K: float, weights: Samples | None = None) -> Statistic:
    """Compute kappa_T, 1/GPa."""
    per_GPa = 1 / (KB_EV_PER_K * temperature_K * EV_PER_A3_IN_GPA)
    return per_GPa * (variance(volume_A3, weights) / average(volume_A3, weights))


def thermal_expansion(
    volume_A3: Samples, configurational_enthalpy_eV: Samples, temperature_K: float, *, steps_per_sample: int
) -> Estimate:
    """Estimate alpha_p = Cov(V, H) / (k_B T^2 <V>), in 1/K (Allen and Tildesley, eq. 2.91).

    H = U + pV without the kinetic energy, which is independent of the volume and adds nothing but noise to the
    covariance.
    """
    if is_constant(volume_A3):
        return Estimate.withheld("1/K", STILL)
    alpha = expansion_statistic(volume_A3, configurational_enthalpy_eV, temperature_K)
    return estimate(
        alpha,
        "1/K",
        mean_interval,
        steps_per_sample,
        *needs_of_both("the volume", volume_A3, "the enthalpy", configurational_enthalpy_eV, alpha),
    )


def expansion_statistic(
    volume_A3: Samples, enthalpy_eV: Samples, temperature_K: float, weights: Samples | None = None
) -> Statistic:
    """Compute alpha_p, 1/K."""
    per_kT2 = 1 / (KB_EV_PER_K * temperature_K**2)
    return per_kT2 * (covariance(volume_A3, enthalpy_eV, weights) / average(volume_A3, weights))


def needs_of(what: str, series: Samples, fluctuation: Statistic) -> tuple[Requirement, Requirement]:
    """Say what a fluctuation of one series needs."""
    return (
        Requirement(what, series, NEEDED_OF_FLUCTUATING),
        Requirement(f"{what}'s fluctuations", fluctuation.influence, NEEDED_FOR_FLUCTUATION),
    )


def needs_of_both(
    what: str, series: Samples, other_what: str, other: Samples, covariance: Statistic
) -> tuple[Requirement, Requirement, Requirement]:
    """Say what the covariance of two series needs."""
    both = f"{what.removeprefix('the ')} and {other_what.removeprefix('the ')}"
    return (
        Requirement(what, series, NEEDED_OF_FLUCTUATING),
        Requirement(other_what, other, NEEDED_OF_FLUCTUATING),
        Requirement(f"the fluctuations of {both}", covariance.influence, NEEDED_FOR_FLUCTUATION),
    )
