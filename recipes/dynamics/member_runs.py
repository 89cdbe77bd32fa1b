"""A run of each member of a committee beside that of their mean: the model's errors without reweighting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from dp_sim.errors import InputError
from dp_sim.recipes.dynamics.estimators import MemberAverages
from dp_sim.recipes.dynamics.replicas.processes import Beside
from dp_sim.recipes.dynamics.result import DynamicsResult
from dp_sim.recipes.inputs.calculator_recipe import recipe_of
from dp_sim.recipes.inputs.calculators import member_calculators
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.uncertainty.derived import SpreadWorth

AnyResult = TypeVar("AnyResult", bound=DynamicsResult)


def runs_of_members(calculator: Any, seed: int) -> list[Beside]:
    """Say what runs: each member with the seed of the mean's run, in `member-0` and so on.

    A member alone knows no uncertainty of forces: that is watched in the run of the mean.

    Raises
    ------
    InputError
        The calculator is no committee.
    """
    calculators = member_calculators(calculator)
    if not calculators:
        raise InputError(
            "members-too-few",
            "members='each' needs a committee of models; give one (dp-sim train --members), or leave it out",
        )
    changes = {"seed": seed, "max_force_uncertainty_eV_A": None}
    return [Beside(f"member-{number}", recipe_of(one), changes) for number, one in enumerate(calculators)]


def with_errors_of_runs(result: AnyResult, members: Sequence[AnyResult], worth: SpreadWorth) -> AnyResult:
    """Give the numbers of the mean's run the model errors that the members' own runs show.

    Parameters
    ----------
    result
        Of the mean.
    members
        Of each member.
    worth
        What their spread is worth. They are driven by forces and weighted by energies: the larger factor counts.
    """
    cause = next((f"member-{k}: {one.unusable}" for k, one in enumerate(members) if one.unusable), "")
    errors: dict[str, Any] = {}
    for name, estimate in _of_the_model(result):
        values = [getattr(one, name).value for one in members]
        known = not cause and None not in values
        errors[name] = replace(estimate, model=worth.error(values, "both") if known else None)
    words = f"{worth.words}, each averaged over a run of its own, whose errors of sampling are in it"
    return replace(result, member_averages=MemberAverages(words, cause, ()), **errors)


def without_error(result: DynamicsResult) -> list[str]:
    """Name the numbers that have a value, and no model error because a member's run gives none."""
    return [name for name, one in _of_the_model(result) if one.value is not None and one.model is None]


def _of_the_model(result: DynamicsResult) -> list[tuple[str, Estimate]]:
    numbers = ((field.name, getattr(result, field.name)) for field in fields(result))
    return [(name, one) for name, one in numbers if isinstance(one, Estimate) and name not in result.of_the_bath]
