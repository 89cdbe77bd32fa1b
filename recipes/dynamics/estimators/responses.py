"""Responses that follow from several fluctuations of one run, with what these have in common in their errors."""

from __future__ import annotations

from dp_sim.recipes.dynamics.estimators.correlation import Samples
from dp_sim.recipes.dynamics.estimators.fluctuations import (
    STILL,
    compressibility_statistic,
    expansion_statistic,
    needs_of,
    needs_of_both,
)
from dp_sim.recipes.dynamics.estimators.intervals import inverse_variance_interval, mean_interval, plus
from dp_sim.recipes.dynamics.estimators.statistic import Statistic, average, covariance, variance
from dp_sim.recipes.dynamics.estimators.verdict import Requirement, estimate
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import EV_PER_A3_IN_BAR, EV_PER_A3_IN_GPA, KB_EV_PER_K


def bulk_modulus(volume_A3: Samples, temperature_K: float, *, steps_per_sample: int) -> Estimate:
    """Estimate K_T = 1 / kappa_T = k_B T <V> / Var(V), in GPa; its interval is that of kappa_T, inverted."""
    kappa = compressibility_statistic(volume_A3, temperature_K)
    if kappa.value == 0:
        return Estimate.withheld("GPa", STILL)
    needs = needs_of("the volume", volume_A3, kappa)
    return estimate(1.0 / kappa, "GPa", inverse_variance_interval, steps_per_sample, *needs)


def heat_capacity_at_constant_volume(
    volume_A3: Samples,
    configurational_enthalpy_eV: Samples,
    temperature_K: float,
    *,
    degrees_of_freedom: int,
    steps_per_sample: int,
) -> tuple[Estimate, Estimate]:
    """Estimate C_p - C_V = T V alpha^2 / kappa_T, and C_V, from a run at constant pressure, both in k_B.

    M. P. Allen and D. J. Tildesley, *Computer Simulation of Liquids*, 2nd ed. (2017), eq. 2.92. Written with the
    fluctuations, C_V = (Var(H) - Cov(V, H)^2 / Var(V)) / (k_B T^2) + f k_B / 2: what of the enthalpy the volume does
    not explain.

    Parameters
    ----------
    volume_A3
        V of each sample.
    configurational_enthalpy_eV
        U + pV of each sample, with the barostat's p.
    temperature_K
        The thermostat's.
    degrees_of_freedom
        f: every momentum that the thermostat drives.
    steps_per_sample
        For the number of steps that a longer run would take.

    Returns
    -------
    difference, heat_capacity
        C_p - C_V and C_V.
    """
    kT = KB_EV_PER_K * temperature_K
    alpha = expansion_statistic(volume_A3, configurational_enthalpy_eV, temperature_K)  # 1/K
    kappa = compressibility_statistic(volume_A3, temperature_K) * EV_PER_A3_IN_GPA  # Angstrom^3/eV
    if kappa.value == 0:
        return Estimate.withheld("k_B", STILL), Estimate.withheld("k_B", STILL)
    needs = _needs_of_ratio(volume_A3, configurational_enthalpy_eV, alpha, kappa)
    difference = capacity_difference_statistic(volume_A3, configurational_enthalpy_eV, temperature_K)
    c_p = kT**-2 * variance(configurational_enthalpy_eV) + degrees_of_freedom / 2
    return (
        estimate(difference, "k_B", mean_interval, steps_per_sample, *needs),
        # What is left of H is positive and skewed, like any variance.
        estimate(c_p - difference, "k_B", plus(degrees_of_freedom / 2), steps_per_sample, *needs),
    )


def capacity_difference_statistic(
    volume_A3: Samples, enthalpy_eV: Samples, temperature_K: float, weights: Samples | None = None
) -> Statistic:
    """Compute C_p - C_V = T V alpha^2 / kappa_T, k_B."""
    alpha = expansion_statistic(volume_A3, enthalpy_eV, temperature_K, weights)
    kappa = compressibility_statistic(volume_A3, temperature_K, weights) * EV_PER_A3_IN_GPA  # Angstrom^3/eV
    return (temperature_K / KB_EV_PER_K) * average(volume_A3, weights) * alpha * alpha / kappa


def pressure_coefficient(
    potential_eV: Samples,
    virial_pressure_bar: Samples,
    volume_A3: float,
    temperature_K: float,
    *,
    degrees_of_freedom: int,
    steps_per_sample: int,
) -> Estimate:
    """Estimate gamma_V = (dp/dT)_V = alpha_p / kappa_T, in bar/K, at constant volume.

    p = 2 K / 3 V + P, with P = -dU/dV of scaled positions. Positions and momenta are independent, so only U goes with
    P, d<P>/dT = Cov(U, P) / (k_B T^2), and <K> = f k_B T / 2 gives f k_B / 3 V exactly (Allen and Tildesley, eq. 2.85:
    N k_B / V for f = 3 N).

    Parameters
    ----------
    potential_eV
        U of each sample.
    virial_pressure_bar
        P of each sample: the pressure without its kinetic part.
    volume_A3
        V.
    temperature_K
        The thermostat's.
    degrees_of_freedom
        f: every momentum in the kinetic part of the pressure; with rigid bonds those of the centres of their groups.
    steps_per_sample
        For the number of steps that a longer run would take.
    """
    gamma = pressure_coefficient_statistic(
        potential_eV, virial_pressure_bar, volume_A3, temperature_K, degrees_of_freedom
    )
    needs = needs_of_both("the potential energy", potential_eV, "the pressure", virial_pressure_bar, gamma)
    return estimate(gamma, "bar/K", mean_interval, steps_per_sample, *needs)


def pressure_coefficient_statistic(
    potential_eV: Samples,
    virial_pressure_bar: Samples,
    volume_A3: float,
    temperature_K: float,
    degrees_of_freedom: int,
    weights: Samples | None = None,
) -> Statistic:
    """Compute gamma_V at constant volume, bar/K."""
    kinetic = degrees_of_freedom * KB_EV_PER_K / (3 * volume_A3) * EV_PER_A3_IN_BAR
    virial = (1 / (KB_EV_PER_K * temperature_K**2)) * covariance(potential_eV, virial_pressure_bar, weights)
    return virial + kinetic


def expansion_over_compressibility(
    volume_A3: Samples, configurational_enthalpy_eV: Samples, temperature_K: float, *, steps_per_sample: int
) -> Estimate:
    """Estimate gamma_V = (dp/dT)_V = alpha_p / kappa_T = Cov(V, H) / (T Var(V)), in bar/K, at constant pressure."""
    kappa = compressibility_statistic(volume_A3, temperature_K)
    if kappa.value == 0:
        return Estimate.withheld("bar/K", STILL)
    alpha = expansion_statistic(volume_A3, configurational_enthalpy_eV, temperature_K)
    needs = _needs_of_ratio(volume_A3, configurational_enthalpy_eV, alpha, kappa)
    ratio = thermal_pressure_statistic(volume_A3, configurational_enthalpy_eV, temperature_K)
    return estimate(ratio, "bar/K", mean_interval, steps_per_sample, *needs)


def thermal_pressure_statistic(
    volume_A3: Samples, enthalpy_eV: Samples, temperature_K: float, weights: Samples | None = None
) -> Statistic:
    """Compute gamma_V = alpha_p / kappa_T, bar/K."""
    per_bar = EV_PER_A3_IN_GPA / EV_PER_A3_IN_BAR
    kappa = compressibility_statistic(volume_A3, temperature_K, weights) * per_bar
    return expansion_statistic(volume_A3, enthalpy_eV, temperature_K, weights) / kappa


def _needs_of_ratio(
    volume_A3: Samples, enthalpy_eV: Samples, alpha: Statistic, kappa: Statistic
) -> tuple[Requirement, ...]:
    """Say what alpha over kappa needs: what either does."""
    return (
        *needs_of_both("the volume", volume_A3, "the enthalpy", enthalpy_eV, alpha),
        *needs_of("the volume", volume_A3, kappa),
    )
