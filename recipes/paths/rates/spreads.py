"""What the members of a committee say of a rate's errors, and numbers that are known by their logarithms."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dp_sim.recipes.paths.rates.members import MemberRates
from dp_sim.recipes.results.quantities import Quantity
from dp_sim.uncertainty.derived import Kind, ModelError

#: Beyond these powers of ten a number has no place in a float.
LARGEST_LOG10 = 300.0
#: What the arrays of `MemberRates` are derived from.
KINDS: dict[str, Kind] = {
    "barriers_eV": "energy", "reaction_energies_eV": "energy", "frequencies_cm1": "forces",
    "ground_barriers_eV": "both", "gibbs_eV": "both", "log10_rates": "both", "log10_equilibria": "both",
}  # fmt: skip


class RateErrors(NamedTuple):
    """The model's errors of a rate.

    Attributes
    ----------
    members
        What they found; None without a committee.
    place
        Of the temperature that is told, in their tables.
    """

    members: MemberRates | None
    place: int

    def all(self, name: str) -> ModelError | None:
        """Compute the errors of what the members have an array of, over temperatures; None where it is not known."""
        members = self.members
        values = None if members is None else getattr(members, name)
        if members is None or members.worth is None or values is None or not np.isfinite(values).all():
            return None
        return members.worth.error(values, KINDS[name])

    def values(self, name: str) -> Any:
        """Pick what the members (K,) have, at the temperature; None where no error of it is known."""
        if self.all(name) is None:
            return None
        values = getattr(self.members, name)
        return values if values.ndim == 1 else values[:, self.place]

    def one(self, name: str) -> ModelError | None:
        """Compute the error of a number, of a table that at the temperature."""
        values = self.values(name)
        if values is None or self.members is None or self.members.worth is None:
            return None
        return self.members.worth.error(values, KINDS[name])

    def power(self, logarithm: float, unit: str, name: str, less: str = "") -> Quantity:
        """Make a number of its logarithm, with its error.

        Parameters
        ----------
        logarithm
            Of the number, to base 10.
        unit
            Of the number.
        name, less
            Which logarithms of the members it is, and which are subtracted.
        """
        values, others = self.values(name), self.values(less) if less else 0.0
        if values is None or others is None or self.members is None or self.members.worth is None:
            return power_quantity(logarithm, unit)
        reach = self.members.worth.error(values - others, "both").above
        error = None
        if abs(logarithm) + reach < LARGEST_LOG10:
            error = self.members.worth.error_of_logarithm(logarithm, values - others, "both")
        return power_quantity(logarithm, unit, error)


def power_of_ten(exponent: float) -> float | None:
    """Raise 10 to a power; None where no float holds it."""
    return float(10.0**exponent) if abs(exponent) < LARGEST_LOG10 else None


def power_quantity(logarithm: float, unit: str, error: ModelError | None = None) -> Quantity:
    """Make a number of its logarithm to base 10; it has no value where no float holds it."""
    number = power_of_ten(logarithm)
    if number is None:
        return Quantity(None, unit, f"it is 10^{logarithm:.1f}, beyond the range of numbers")
    return Quantity(number, unit, model=error)
