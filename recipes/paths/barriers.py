"""Barriers of a reaction: what every result about a path says of its energies."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result


@dataclass(frozen=True, kw_only=True)
class BarrierResult(Result):
    """Base of the results about a reaction path. A subclass says in `levels_eV` which energies count.

    All barriers are differences of potential energies, without zero-point energy.
    """

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
        return {
            "barrier": Quantity(self.barrier_eV, "eV"),
            "reverse_barrier": Quantity(self.reverse_barrier_eV, "eV"),
            "reaction_energy": Quantity(self.reaction_energy_eV, "eV"),
        }

    @override
    def headline(self) -> tuple[str, ...]:
        return ("barrier", "reverse_barrier", "reaction_energy")

    def barrier_title(self) -> str:
        """Write both barriers as the title of a figure."""
        return f"barrier {self.barrier_eV:.3f} eV, back {self.reverse_barrier_eV:.3f} eV"
