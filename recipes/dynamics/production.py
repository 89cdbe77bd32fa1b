"""The equilibrated part of a run of dynamics, and the verdict on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from dp_sim.recipes.dynamics import estimators
from dp_sim.recipes.dynamics.estimators import Reweighting
from dp_sim.recipes.dynamics.loop import Recorded
from dp_sim.recipes.dynamics.plan import Plan
from dp_sim.recipes.dynamics.run_files import MEMBER_PRESSURES, MEMBERS, column
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.uncertainty.derived import SpreadWorth
from dp_sim.units import KB_EV_PER_K

#: A mean kinetic temperature farther off than this, and than an equilibrium of that temperature is once in 200 such
#: runs, is not that of the thermostat.
TEMPERATURE_TOLERANCE, TEMPERATURE_LEVEL = 0.05, 0.005
#: Relaxation times of the thermostat after which a temperature that stays off comes from the time step.
SETTLED = 10
#: One eV/ps in meV/ns.
EV_PER_PS_IN_MEV_PER_NS = 1e6


class Production:
    """The part of a run after equilibration, as series for the estimators.

    Parameters
    ----------
    recorded, plan
        The run.
    watched
        Columns by which equilibration is judged -> their names in words.

    Attributes
    ----------
    start
        Index of the first row that counts, from which all of the watched are equilibrated.
    steps_per_sample
        Time steps between two rows.
    unusable
        Why no number can be given (unstable, not equilibrated); else empty.
    missed
        Why no number but the temperature can be given: it is not the thermostat's; else empty.
    """

    def __init__(self, recorded: Recorded, plan: Plan, watched: Mapping[str, str]) -> None:
        self.unusable = recorded.stopped
        self._recorded = recorded
        self._plan, self._conditions = plan, plan.conditions
        self.steps_per_sample = plan.settings.sample_every
        self.start = (
            0
            if self.unusable or recorded.pooled
            else estimators.equilibration(*(column(recorded.rows, name) for name in watched))
        )
        self._rows = recorded.rows[self.start :]
        self.unusable = self.unusable or self._not_equilibrated(watched)
        self.missed = "" if self.unusable else self._missed_temperature()

    def _not_equilibrated(self, watched: Mapping[str, str]) -> str:
        """Say why no part of the run counts as equilibrium; empty if one does."""
        if self._recorded.pooled:  # each was judged by itself
            return ""
        advice = "run at least as many steps again"
        steps, cut = self._recorded.rows[-1].step, self.start * self.steps_per_sample
        if self.start > estimators.LATEST_START * len(self._recorded.rows):
            return f"the run is not equilibrated after {cut:,} of its {steps:,} steps: {advice}"
        for name, words in watched.items():
            if estimators.drifts(self.series(name)):
                return f"the {words} still drifts in the last {steps - cut:,} of {steps:,} steps: {advice}"
        return ""

    def series(self, name: str) -> NDArray[np.float64]:
        """Return one column of the production part."""
        return column(self._rows, name)

    def has(self, *names: str) -> bool:
        """Tell whether every row has these columns."""
        return all(getattr(row, name) is not None for row in self._rows for name in names)

    def estimate(self, unit: str, compute: Callable[[], Estimate]) -> Estimate:
        """Call `compute`, unless the whole run is unusable or at another temperature."""
        cause = self.unusable or self.missed
        return Estimate.withheld(unit, cause.partition(":")[0]) if cause else compute()

    def mean(self, name: str, unit: str, what: str) -> Estimate:
        """Estimate the average of one column; withheld where the run does not have it."""
        return self.estimate_of(name, unit, what, lambda: self._mean(name, unit, what))

    def estimate_of(self, name: str, unit: str, what: str, compute: Callable[[], Estimate]) -> Estimate:
        """Call `compute`, which needs a column, unless the run does not have it or is unusable."""
        if not self.unusable and not self.has(name):
            return Estimate.withheld(
                unit, f"this run has no {what}: it needs a cell periodic along all three axes, and a stress"
            )
        return self.estimate(unit, compute)

    def temperature(self) -> Estimate:
        """Estimate the average kinetic temperature, whether it is the thermostat's or not."""
        if self.unusable:
            return Estimate.withheld("K", self.unusable.partition(":")[0])
        return self._mean("temperature_K", "K", "temperature")

    def _mean(self, name: str, unit: str, what: str) -> Estimate:
        return estimators.mean(self.series(name), unit=unit, what=f"the {what}", steps_per_sample=self.steps_per_sample)

    def drift(self, name: str, what: str) -> Estimate:
        """Estimate the slope of an energy against time, meV/atom/ns."""
        per_atom = EV_PER_PS_IN_MEV_PER_NS / len(self._recorded.atoms)
        return estimators.slope(
            self.series("time_ps"),
            self.series(name) * per_atom,
            unit="meV/atom/ns",
            what=what,
            steps_per_sample=self.steps_per_sample,
        )

    def _conserved_drift(self) -> Estimate | None:
        """Estimate the drift of what thermostat and barostat conserve; None where the engine does not sum it up."""
        if self._conditions.temperature_K is None or self._recorded.pooled or not self._rows:
            return None  # at constant energy it is the total energy; replicas have each their own
        if not self.has("conserved_eV"):
            return None
        if self.unusable:
            return Estimate.withheld("meV/atom/ns", self.unusable.partition(":")[0])
        return self.drift("conserved_eV", "the conserved energy")

    @cached_property
    def reweighting(self) -> Reweighting | None:
        """What the members of a committee say of the samples; None where there are none, or no number is given."""
        model, temperature_K = self._plan.committee, self._conditions.temperature_K
        if self.unusable or self.missed or model is None or temperature_K is None or not self.has(MEMBERS):
            return None
        energy = self.series("potential_eV")
        members = np.array([row.members_eV for row in self._rows]).T
        worth = SpreadWorth.of(len(members), model.calibration)
        return Reweighting(energy, members - energy, KB_EV_PER_K * temperature_K, worth)

    def with_model_error(self, estimate: Estimate, computed: estimators.Computed) -> Estimate:
        """Add what the members of a committee say of a number that `computed` makes of energies and weights."""
        if self.reweighting is None or estimate.value is None:
            return estimate
        return replace(estimate, model=self.reweighting.error(computed))

    def with_model_error_of_pressures(self, estimate: Estimate, computed: estimators.Computed) -> Estimate:
        """Do the same for a number that `computed` makes of energies, pressures (bar) and weights."""
        if self.reweighting is None or estimate.value is None or not self.has(MEMBER_PRESSURES):
            return estimate
        pressure = self.series("pressure_bar")
        members = np.array([row.members_bar for row in self._rows]).T
        return replace(estimate, model=self.reweighting.error(computed, (pressure, members - pressure), kind="both"))

    def heat_capacities(self, energy: Callable[[], NDArray[np.float64]], what: str) -> tuple[Estimate, Estimate]:
        """Estimate the heat capacity of the system, and per atom.

        Parameters
        ----------
        energy
            Returns the configurational energy or enthalpy of each sample, eV.
        what
            Its name in words.
        """
        assert self._conditions.temperature_K is not None
        temperature_K = self._conditions.temperature_K

        freedom = self._recorded.degrees_of_freedom

        def of(unit: str, divide_by: int) -> Estimate:
            def computed(potential: NDArray[np.float64], weights: NDArray[np.float64] | None) -> estimators.Statistic:
                whole = energy() + (potential - self.series("potential_eV"))
                return estimators.heat_capacity_statistic(whole, temperature_K, freedom, divide_by, weights)

            found = self.estimate(
                unit,
                lambda: estimators.heat_capacity(
                    energy(),
                    temperature_K,
                    degrees_of_freedom=freedom,
                    divide_by=divide_by,
                    what=what,
                    steps_per_sample=self.steps_per_sample,
                ),
            )
            return self.with_model_error(found, computed)

        return of("k_B", 1), of("k_B/atom", len(self._recorded.atoms))

    def common_fields(self, plan: Plan, wanted: Mapping[str, Estimate]) -> dict[str, Any]:
        """Collect the fields of `DynamicsResult`; the run has converged if it supports each of `wanted`."""
        temperature = self.temperature()
        cause = self._recorded.failed or self.unusable or self.missed or _missing(wanted)
        return {
            "converged": not cause,
            "cause": cause,
            "atoms": self._recorded.atoms,
            "rows": self._recorded.rows,
            "stages": self._recorded.stages,
            "unusable": self.unusable,
            "production_start": self.start,
            "engine": plan.settings.engine,
            "timestep_fs": plan.conditions.timestep_fs,
            "degrees_of_freedom": self._recorded.degrees_of_freedom,
            "rigid_bonds": 0 if plan.rigid_bonds is None else len(plan.rigid_bonds),
            "temperature_K": temperature,
            "conserved_drift_meV_per_atom_ns": self._conserved_drift(),
            "potential_energy_eV": self.with_model_error(
                self.mean("potential_eV", "eV", "potential energy"), estimators.average
            ),
            "member_averages": None if self.reweighting is None else self.reweighting.told,
        }

    def _missed_temperature(self) -> str:
        """Say what to do about a mean temperature that is not the thermostat's; else empty.

        A structure that still gives off heat (or takes it up) nears the thermostat's temperature as it relaxes; the
        error of a time step stays. A run of few times of the thermostat is too short to decide.
        """
        target, values = self._conditions.temperature_K, self.series("temperature_K")
        if target is None or len(values) < estimators.LEAST_JUDGED:
            return ""
        off, error = float(values.mean()) - target, estimators.standard_error(values)
        errors = float(student_t.ppf(1 - TEMPERATURE_LEVEL / 2, estimators.FEWEST_COSINES))
        if abs(off) <= max(errors * error, TEMPERATURE_TOLERANCE * target):
            return ""
        missed = f"the kinetic temperature averages {values.mean():.1f} ± {error:.1f} K instead of {target:g} K"
        first, second = (float(half.mean()) for half in np.array_split(values, 2))
        if estimators.drifts(values) and (second - first) * off < 0:
            return (
                f"{missed}, and still moves towards it (first half {first:.1f} K, second half {second:.1f} K): "
                "the structure is relaxing, run longer"
            )
        settled = self._steps_to_settle()
        if len(values) * self.steps_per_sample < settled:
            return f"{missed}: the thermostat needs {settled:,} steps to settle, run longer"
        return f"{missed}, and stays off: take a smaller time step"

    def _steps_to_settle(self) -> int:
        return math.ceil(SETTLED * self._conditions.relaxation_fs / self._conditions.timestep_fs)


def _missing(wanted: Mapping[str, Estimate]) -> str:
    """Say why one of the wanted estimates is not given; empty if all are."""
    causes = (f"{name} is not given: {estimate.cause}" for name, estimate in wanted.items() if estimate.value is None)
    return next(causes, "")
