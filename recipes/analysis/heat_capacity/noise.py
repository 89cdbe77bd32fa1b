"""The share of a model's error in a heat capacity.

Let the model's energy be U + e with an error e that is independent of U. Sampled with the model, Var(U + e) = Var(U) +
Var(e), so that C is Var(e) / (k_B T^2) too large; that is the heat capacity of the model itself, whose free energy has
the term -Var(e) / (2 k_B T). An error that goes with the energy is no noise: it changes the slope of U, and no variance
corrects for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ase.formula import Formula
from scipy.stats import chi2, pearsonr

from dp_sim.errors import InputError
from dp_sim.recipes.results.loading import load_result
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import KB_EV_PER_K

#: Frames below which a test set tells no variance.
FEWEST_FRAMES = 20
#: Chance that independent errors are said to go with the energy.
CORRELATION_LEVEL = 0.01


class Noise(NamedTuple):
    """The variance of a model's error of the energy of the whole system.

    Attributes
    ----------
    variance_eV2
        With its interval, eV^2; withheld where it is no noise.
    words
        Where it is from, and what was assumed.
    """

    variance_eV2: Estimate
    words: str


def given_noise(deviation_meV: float) -> Noise:
    """Take the standard deviation that the user gives, meV."""
    variance = (deviation_meV / 1000) ** 2
    known = Estimate(variance, 0.0, (variance, variance), None, "eV^2")
    return Noise(known, f"{deviation_meV:g} meV as given; assumed independent of the energy")


def noise_of_test(directory: str, counts: dict[str, int], model_sha256: Sequence[str]) -> Noise:
    """Take the scatter of the errors of energy in the results of `dp-sim test`.

    Parameters
    ----------
    directory
        Where it wrote.
    counts
        Element -> number of atoms of the run.
    model_sha256
        Hashes of the model files of the run.

    Raises
    ------
    InputError
        No such results, those of another model, or none of frames with these elements in these proportions.
    """
    result: Any = load_result(directory)
    if result.recipe != "test":
        raise InputError("run-of-another-recipe", f"{directory} holds a run of '{result.recipe}'; give one of 'test'")
    if (tested := list(result.provenance.get("model_sha256", []))) != list(model_sha256):
        raise InputError(
            "model-differs",
            f"{directory} tells the error of a model with SHA-256 {_shown(tested)}, but the run is of "
            f"{_shown(model_sha256)}; test the model of the run",
        )
    n_atoms = sum(counts.values())
    for parity in result.parities:
        found = Formula(parity.system).count()
        size = sum(found.values())
        if {name: number * n_atoms for name, number in found.items()} == {
            name: number * size for name, number in counts.items()
        }:
            return _of_frames(
                parity.energy, n_atoms / size, f"{directory}, {len(parity.energy)} frames of {size} atoms"
            )
    raise InputError(
        "composition-differs",
        f"{directory} holds no frames with the elements of the run in its proportions (it has: "
        f"{', '.join(one.system for one in result.parities)}); test the model on frames of this system",
    )


def _shown(hashes: Sequence[str]) -> str:
    return ", ".join(one[:12] for one in hashes) or "none"


def _of_frames(energy_eV: np.ndarray, times: float, source: str) -> Noise:
    if len(energy_eV) < FEWEST_FRAMES:
        return Noise(Estimate.withheld("eV^2", f"{source}: at least {FEWEST_FRAMES} are needed"), source)
    label, error = energy_eV[:, 0], energy_eV[:, 1] - energy_eV[:, 0]
    if np.ptp(label) > 0 and np.ptp(error) > 0:
        correlation, chance = pearsonr(label, error)
        if chance < CORRELATION_LEVEL:
            cause = (
                f"{source}: the error goes with the energy (correlation {correlation:.2f}, p = {chance:.1g}), so that "
                "it is no noise, and its variance must not be subtracted"
            )
            return Noise(Estimate.withheld("eV^2", cause, float(len(label))), source)
    free = len(error) - 1
    variance = float(error.var(ddof=1)) * times
    low, high = (free * variance / float(chi2.ppf(level, free)) for level in (0.975, 0.025))
    spread = Estimate(variance, variance * float(np.sqrt(2 / free)), (low, high), float(len(error)), "eV^2")
    scaled = "" if times == 1 else f", times {times:.3g}, as of errors of parts that are independent of one another"
    return Noise(spread, f"scatter of the errors in {source}{scaled}; assumed: frames like those of the run")


def heat_capacity_of_noise(noise: Noise, temperature_K: float) -> Estimate:
    """Compute Var(e) / (k_B T^2), in k_B: what is subtracted."""
    found, scale = noise.variance_eV2, (KB_EV_PER_K * temperature_K) ** -2
    if found.value is None or found.error is None or found.ci95 is None:
        return Estimate.withheld("k_B", found.cause, found.n_effective)
    bounds = (found.ci95[0] * scale, found.ci95[1] * scale)
    return Estimate(found.value * scale, found.error * scale, bounds, found.n_effective, "k_B")
