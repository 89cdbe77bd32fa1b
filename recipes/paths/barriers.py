"""Barriers of a reaction: what every result about a path says of its energies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.recipes.inputs.members import member_energies, spread_worth
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.uncertainty.derived import ModelError, SpreadWorth


@dataclass(frozen=True, kw_only=True)
class BarrierResult(Result):
    """Base of the results about a reaction path. A subclass says in `levels_eV` which energies count.

    All barriers are differences of potential energies, without zero-point energy.

    Attributes
    ----------
    member_levels_eV
        (K, 3) what the members of a committee make of the same three structures. These are stationary points of their
        mean, so that the differences are, to first order, those between stationary points of each member.
    worth
        What their spread is worth.
    """

    member_levels_eV: NDArray[np.float64] | None = None
    worth: SpreadWorth | None = None

    def levels_eV(self) -> tuple[float, float, float]:
        """Return the potential energies of reactant, highest point and product, eV."""
        raise TypeError(f"{type(self).__name__} must define levels_eV()")

    @property
    def barrier_eV(self) -> float:
        """Energy of the highest point above the reactant."""
        reactant, top, _ = self.levels_eV()
        return top - reactant

    @property
    def reverse_barrier_eV(self) -> float:
        """Energy of the highest point above the product."""
        _, top, product = self.levels_eV()
        return top - product

    @property
    def reaction_energy_eV(self) -> float:
        """Energy of the product above the reactant."""
        reactant, _, product = self.levels_eV()
        return product - reactant

    def barrier_quantities(self) -> dict[str, Quantity | Estimate]:
        """Return the barriers and the reaction energy, for the start of `quantities()`."""
        numbers: dict[str, Quantity | Estimate] = {
            "barrier": Quantity(self.barrier_eV, "eV", model=self._error(1, 0)),
            "reverse_barrier": Quantity(self.reverse_barrier_eV, "eV", model=self._error(1, 2)),
            "reaction_energy": Quantity(self.reaction_energy_eV, "eV", model=self._error(2, 0)),
        }
        if self.worth is not None:
            numbers["model_errors_from"] = Quantity(self.worth.words)
        return numbers

    def _error(self, level: int, below: int) -> ModelError | None:
        """Compute the model's error of a difference between two levels: that of the differences in each member."""
        if self.member_levels_eV is None or self.worth is None:
            return None
        return self.worth.error(self.member_levels_eV[:, level] - self.member_levels_eV[:, below], "energy")

    @override
    def headline(self) -> tuple[str, ...]:
        return ("barrier", "reverse_barrier", "reaction_energy")

    def barrier_title(self) -> str:
        """Write both barriers as the title of a figure."""
        return f"barrier {self.barrier_eV:.3f} eV, back {self.reverse_barrier_eV:.3f} eV"


AnyBarrierResult = TypeVar("AnyBarrierResult", bound=BarrierResult)


def with_model_errors(result: AnyBarrierResult, levels: Sequence[Atoms], calculator: Any) -> AnyBarrierResult:
    """Ask the members of a committee for the energies of reactant, highest point and product.

    Parameters
    ----------
    result
        Without them; it is returned as it is where there is no committee.
    levels
        The three structures.
    calculator
        That the path was made with.
    """
    worth = spread_worth(calculator)
    if worth is None:
        return result
    return replace(result, member_levels_eV=member_energies(levels, calculator), worth=worth)
