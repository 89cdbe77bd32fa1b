"""A model's error of the energy, from how far the members of a committee lie apart on the frames of a run.

Let member k have the energy U + e_k, with errors e_k that are independent of one another and of U, each with the same
variance s^2. With d_k the deviation of member k from the mean of M members, less its average over frames (a constant
does not change a heat capacity) and less what goes with the energy (which is no noise),

    s^2 = < sum_k d_k^2 > / (M - 1).                                                                            (1)

A run that one model drove fluctuates by Var(U) + s^2; one that the mean of K models drove by Var(U) + s^2 / K. What all
members get wrong alike is not seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.stats import t as student_t

from dp_sim.errors import DPSimError, InputError
from dp_sim.model.committee.folder import member_files
from dp_sim.recipes.analysis.frame_range import FrameRange
from dp_sim.recipes.analysis.heat_capacity.noise import Noise
from dp_sim.recipes.analysis.series import mean_of
from dp_sim.recipes.analysis.settings import AnalyseSettings
from dp_sim.recipes.analysis.trajectory.source import Source
from dp_sim.recipes.results.quantities import Estimate

Array = NDArray[np.float64]
#: Frames that are evaluated, at most, evenly spaced.
MOST_FRAMES = 1000
#: What the number takes for granted.
ASSUMED = (
    "assumed: errors of members that are independent of one another; what they get wrong alike is not seen, so "
    "that the noise may be larger"
)


def noise_of_own_members(source: Source, settings: AnalyseSettings) -> Noise | None:
    """Do as `noise_of_members` with the committee that drove the run itself; None where there was none.

    It was not asked for: where it cannot be, the noise is withheld with the reason.
    """
    if len(source.models) < 2:
        return None
    from dp_sim.model.model_file import load_model  # noqa: PLC0415 - it loads torch

    try:
        files = list(map(str, member_files(source.settings.get("model") or ())))
        if len(files) != len(source.models):
            raise InputError("model-missing", f"of its {len(source.models)} models {len(files)} are in files")
        for file, expected in zip(files, source.models, strict=True):
            if load_model(file).members[0].sha256 != expected:
                raise InputError("model-changed", f"{file} is another model than that of the run")
        return noise_of_members(source, settings, files)
    except DPSimError as error:
        cause = f"the committee of the run cannot be evaluated: {error}"
        return Noise(Estimate.withheld("eV^2", cause), cause)


def noise_of_members(source: Source, settings: AnalyseSettings, files: Sequence[str]) -> Noise:
    """Evaluate the frames of a run with each of several models.

    Raises
    ------
    InputError
        Fewer than two different members, a run that no model of ours drove, or files and frames that do not fit.
    """
    if not source.models:
        raise InputError(
            "members-not-for-run",
            f"members tell the error of a model, and the energies of {source.name} are of the calculator "
            f"{source.settings.get('calculator', 'of another kind')}; leave them out",
        )
    from dp_sim.model.model_file import load_model  # noqa: PLC0415 - it loads torch

    files = list(map(str, member_files(files)))
    members = [load_model(file, dtype="float64") for file in files]  # without rounding of single precision
    hashes = [one.members[0].sha256 for one in members]
    if len(set(hashes)) < max(2, len(hashes)):
        raise InputError(
            "members-too-few",
            f"members must be at least two different models, got {', '.join(files)}; give models that were "
            "trained alike from other random numbers",
        )
    frames = _evenly(source, settings)
    energies = np.array([[out.energy.item() for out in one.evaluate_each(frames)] for one in members])
    return of_energies(energies, len(source.models), _words(source, hashes, len(frames)))


def of_energies(energies_eV: Array, n_driving: int, words: str) -> Noise:
    """Estimate the variance of the error of what drove the run, by eq. 1.

    The error is that of an average over correlated frames, and, from three members on, of one over members.

    Parameters
    ----------
    energies_eV
        (M, S) of members on frames.
    n_driving
        Number of models whose mean drove the run.
    words
        Where the energies are from.
    """
    n_members, n_frames = energies_eV.shape
    middle = energies_eV.mean(axis=0)
    apart = energies_eV - middle
    apart = apart - apart.mean(axis=1, keepdims=True)
    with_energy = middle - middle.mean()
    slopes = apart @ with_energy / max(float(with_energy @ with_energy), np.finfo(float).tiny)
    left = apart - slopes[:, None] * with_energy
    freedom = (n_members - 1) * (1 - 2 / n_frames) * n_driving  # a constant and a slope of each were fitted
    found = mean_of((left**2).sum(axis=0) / freedom, unit="eV^2", what="the spread of the members")
    share = 1 - float((left**2).sum() / (apart**2).sum()) if apart.any() else 0.0
    words += f"; {100 * share:.0f} % of their spread goes with the energy, and is left in" if round(share, 2) else ""
    return Noise(_with_members(found, (left**2).mean(axis=1) * n_members / freedom), f"{words}; {ASSUMED}")


def _with_members(found: Estimate, each: Array) -> Estimate:
    """Widen the interval by the scatter of the variances (M,) of members; two have deviations of one size."""
    if found.value is None or found.error is None or found.ci95 is None or len(each) < 3:
        return found
    scatter = float(each.std(ddof=1)) / np.sqrt(len(each))
    wide = float(student_t.ppf(0.975, len(each) - 1)) * scatter
    low, high = (float(np.hypot(bound - found.value, wide)) for bound in found.ci95)
    bounds = (max(0.0, found.value - low), found.value + high)
    return Estimate(found.value, float(np.hypot(found.error, scatter)), bounds, found.n_effective, found.unit)


def _evenly(source: Source, settings: AnalyseSettings) -> Sequence[Atoms]:
    """Take frames of the part that is used, evenly spaced."""
    frames = FrameRange.of(source, settings)
    every = -(-frames.n_used // MOST_FRAMES)
    return [atoms for number, atoms in frames.read() if number % every == 0]


def _words(source: Source, hashes: Sequence[str], n_frames: int) -> str:
    driving, inside = len(source.models), set(source.models) <= set(hashes)
    which = "one model" if driving == 1 else f"the mean of {driving} models"
    whose = "of these" if inside else "of others, whose error is taken as large as theirs"
    mean = "" if driving == 1 else f": variance of one model's error over {driving}"
    return f"spread of {len(hashes)} members on {n_frames} frames; the run was driven by {which} {whose}{mean}"
