"""The heat capacity of a finished run, and each correction of it beside the raw number."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from dp_sim.errors import InputError
from dp_sim.recipes.analysis.heat_capacity.committee import noise_of_members, noise_of_own_members
from dp_sim.recipes.analysis.heat_capacity.noise import Noise, given_noise, heat_capacity_of_noise, noise_of_test
from dp_sim.recipes.analysis.heat_capacity.quantum import ASSUMED, quantum_correction
from dp_sim.recipes.analysis.heat_capacity.slope import combined, estimate_of, slope_between
from dp_sim.recipes.analysis.settings import AnalyseSettings
from dp_sim.recipes.analysis.trajectory.run_directory import read_run
from dp_sim.recipes.analysis.trajectory.source import Source
from dp_sim.recipes.analysis.transport.velocities import DensityOfStates
from dp_sim.recipes.results.quantities import Estimate, Quantity

#: Settings that need one of our runs.
OF_RUNS = ("neighbour", "energy_noise_meV", "test_results", "members")


@dataclass(frozen=True, kw_only=True)
class HeatCapacityCorrections:
    """A heat capacity and what corrects it, each k_B of the whole system.

    Attributes
    ----------
    numbers
        Name -> estimate.
    words
        Name -> where a number is from, and what it assumes.
    """

    numbers: dict[str, Estimate] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    def quantities(self) -> dict[str, Quantity | Estimate]:
        """Return numbers and words by name."""
        return {**self.numbers, **{name: Quantity(text) for name, text in self.words.items()}}


def asked_corrections(source: Source, settings: AnalyseSettings) -> HeatCapacityCorrections:
    """Compute what the settings ask for; empty where they ask for nothing.

    Raises
    ------
    InputError
        A setting for a source that is no run of ours, runs that cannot be compared, or results of no test.
    """
    asked = [name for name in OF_RUNS if getattr(settings, name) not in (None, ())]
    if "heat_capacity" not in source.values:
        if not asked:
            return HeatCapacityCorrections()
        raise InputError(
            "option-not-for-source",
            f"{' and '.join(asked)} need the heat capacity of a run of nve, nvt or npt, which {source.name} has not; "
            "give the directory of such a run",
        )
    raw = estimate_of(source.values, "heat_capacity")
    numbers, words = {"heat_capacity": raw}, {}
    if settings.neighbour is not None:
        slope = slope_between(source, read_run(Path(settings.neighbour)))
        numbers |= {"heat_capacity_of_neighbour": slope.other_kB, "heat_capacity_from_slope": slope.heat_capacity_kB}
        words["heat_capacity_compared"] = slope.words
    noise = _noise(source, settings)
    if noise is None and not asked:
        return HeatCapacityCorrections()
    if noise is not None:
        assert source.temperature_K is not None
        part = heat_capacity_of_noise(noise, source.temperature_K)
        numbers |= {"heat_capacity_of_noise": part, "heat_capacity_without_noise": combined(raw, part, 1, -1, "k_B")}
        words["noise_source"] = noise.words
    return HeatCapacityCorrections(numbers=numbers, words=words)


def _noise(source: Source, settings: AnalyseSettings) -> Noise | None:
    """Find the model's noise as the settings say, else of the run's own committee; None where nothing tells it."""
    if settings.energy_noise_meV is not None:
        return given_noise(settings.energy_noise_meV)
    if settings.test_results is not None:
        counts = dict(Counter(source.frames[0].get_chemical_symbols()))
        return noise_of_test(settings.test_results, counts, source.models)
    if settings.members:
        return noise_of_members(source, settings, settings.members)
    return None if settings.only else noise_of_own_members(source, settings)


def with_quantum(
    found: HeatCapacityCorrections, source: Source, states: DensityOfStates | None
) -> HeatCapacityCorrections | None:
    """Add the quantum correction, where there is a density of states; None where there is no correction at all."""
    if states is None or source.temperature_K is None:
        return found if found.numbers else None
    part = quantum_correction(states, source.temperature_K)
    if (mass := source.settings.get("hydrogen_mass_amu")) is not None:
        part = Estimate.withheld(
            "k_B",
            f"the hydrogens of the run weigh {mass:g} amu, and oscillators of other masses have another quantum "
            "correction: run without hydrogen_mass_amu for the density of states",
        )
    numbers, words = {"quantum_correction": part}, {"quantum_assumption": ASSUMED}
    if "heat_capacity" in source.values:
        raw = estimate_of(source.values, "heat_capacity")
        numbers |= {"heat_capacity": raw, "heat_capacity_quantum": combined(raw, part, 1, 1, "k_B")}
    return HeatCapacityCorrections(numbers=found.numbers | numbers, words=found.words | words)
