"""Heat capacity from two runs at neighbouring temperatures: the slope of their mean energies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dp_sim.errors import InputError
from dp_sim.recipes.analysis.trajectory.source import Source
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import KB_EV_PER_K

#: Relative difference of lengths and angles of cells that counts as none.
SAME_CELL = 1e-6


class Slope(NamedTuple):
    """C between two temperatures.

    Attributes
    ----------
    heat_capacity_kB
        (<E2> - <E1>) / (T2 - T1), k_B.
    other_kB
        C of the other run from its fluctuations, k_B.
    words
        Whether the slope and the mean of both fluctuation values agree.
    """

    heat_capacity_kB: Estimate
    other_kB: Estimate
    words: str


def slope_between(run: Source, other: Source) -> Slope:
    """Compute the heat capacity from the mean energies of two runs, and compare.

    At constant volume E is the potential energy, and f k_B / 2 is added; at constant pressure the enthalpy. The slope
    is C at the mean temperature to second order in the difference, and so is the mean of the two fluctuation values.

    Raises
    ------
    InputError
        Runs of other ensembles, models, systems, cells, pressures or degrees of freedom, or of one temperature.
    """
    _check_comparable(run, other)
    name = "potential_energy" if run.settings["recipe"] == "nvt" else "enthalpy"
    first, second = estimate_of(run.values, name), estimate_of(other.values, name)
    raw, other_raw = estimate_of(run.values, "heat_capacity"), estimate_of(other.values, "heat_capacity")
    apart = KB_EV_PER_K * (other.settings["temperature_K"] - run.settings["temperature_K"])
    freedom = run.degrees_of_freedom or 0
    kinetic = freedom / 2 if name == "potential_energy" else 0.0
    found = combined(second, first, 1 / apart, -1 / apart, "k_B", kinetic)
    between = combined(raw, other_raw, 0.5, 0.5, "k_B")
    return Slope(found, other_raw, _compared(found, between))


def estimate_of(values: Mapping[str, Any], name: str) -> Estimate:
    """Read an estimate back from the values of a result.json."""
    entry = values[name]
    bounds = entry["ci95"]
    return Estimate(
        entry["value"], entry["error"], None if bounds is None else (bounds[0], bounds[1]), entry["n_effective"],
        entry["unit"], entry["cause"],
    )  # fmt: skip


def combined(first: Estimate, second: Estimate, a: float, b: float, unit: str, added: float = 0.0) -> Estimate:
    """Return a x + b y + added of two independent estimates.

    Half widths of the interval add in squares, on either side: with Student's t of few degrees of freedom that is a
    little too wide.
    """
    cause = first.cause if first.value is None else second.cause
    if first.value is None or second.value is None or first.error is None or second.error is None:
        return Estimate.withheld(unit, cause)
    assert first.ci95 is not None
    assert second.ci95 is not None
    value = a * first.value + b * second.value + added
    below = above = 0.0
    for factor, one, middle in ((a, first.ci95, first.value), (b, second.ci95, second.value)):
        low, high = sorted((factor * (one[0] - middle), factor * (one[1] - middle)))
        below, above = below + low**2, above + high**2
    counts = [one.n_effective for one in (first, second) if one.n_effective is not None]
    error = float(np.hypot(a * first.error, b * second.error))
    bounds = (value - float(np.sqrt(below)), value + float(np.sqrt(above)))
    return Estimate(value, error, bounds, min(counts, default=None), unit)


def _compared(slope: Estimate, between: Estimate) -> str:
    difference = combined(slope, between, 1.0, -1.0, "k_B")
    if difference.value is None or difference.ci95 is None:
        return f"cannot be compared: {difference.cause}"
    state = "agree" if difference.ci95[0] <= 0 <= difference.ci95[1] else "disagree"
    return (
        f"slope and fluctuations {state}: they differ by {difference}, 95 % interval {difference.ci95[0]:.4g} to "
        f"{difference.ci95[1]:.4g} k_B"
    )


def _check_comparable(run: Source, other: Source) -> None:
    """Refuse two runs whose energies do not lie on one curve E(T)."""
    for source in (run, other):
        if source.settings.get("recipe") not in ("nvt", "npt"):
            raise InputError(
                "run-of-another-recipe",
                f"the slope of <E>(T) needs two runs of nvt, or two of npt; {source.name} is of "
                f"'{source.settings.get('recipe', 'another program')}'",
            )
    same = ["recipe"] + (["pressure_bar", "cell_change"] if run.settings["recipe"] == "npt" else [])
    pairs = {name: (run.settings.get(name), other.settings.get(name)) for name in same}
    first, second = run.frames[0], other.frames[0]
    pairs["formula"] = (first.get_chemical_formula(), second.get_chemical_formula())
    pairs["degrees of freedom"] = (run.degrees_of_freedom, other.degrees_of_freedom)
    pairs |= {name: (run.settings.get(name), other.settings.get(name)) for name in ("calculator", "calculator_arg")}
    pairs["model (SHA-256)"] = (list(run.models), list(other.models))
    if run.settings["recipe"] == "nvt" and (first.pbc.any() or second.pbc.any()):
        lengths = first.cell.cellpar(), second.cell.cellpar()
        if not np.allclose(*lengths, rtol=SAME_CELL, atol=0.0):
            pairs["cell in A and degrees"] = (lengths[0].round(6).tolist(), lengths[1].round(6).tolist())
    for name, (one, two) in pairs.items():
        if one != two:
            raise InputError(
                "runs-not-comparable",
                f"{run.name} and {other.name} differ in {name}: {one} and {two}; give runs that differ in temperature",
            )
    if run.settings["temperature_K"] == other.settings["temperature_K"]:
        raise InputError(
            "runs-not-comparable",
            f"{run.name} and {other.name} are both at {run.settings['temperature_K']:g} K; the slope needs two "
            "temperatures",
        )
