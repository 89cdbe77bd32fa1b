"""Errors of numbers that are derived from a model: a barrier, a frequency, a lattice constant.

Every member k of a committee gives the number its own value x_k. Errors that a member makes at both ends of a path
alike are not in the difference, so the spread is taken of the differences:

    u = f s(x),    s the standard deviation of the x_k over M members (ddof=1)                                  (1)

is the standard uncertainty, which holds 68.3 % of the errors. To first order that is what members give that were moved
away from their mean by the factor of the calibration, x_k = <x> + f (x_k - <x>), as in Imbalzano et al., J. Chem. Phys.
154, 074102 (2021). Without a calibration the truth is taken for one member more (alpha^2 = 1 in eq. 1 of
dp_sim.uncertainty.likelihood, so c^2 = 1 + 1/M), and the intervals are those of Student's t with M - 1 degrees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dp_sim.uncertainty.calibration import Calibration
from dp_sim.uncertainty.likelihood import STANDARD, student_quantile
from dp_sim.uncertainty.scale import Scale

#: What a number may be derived from: energies alone, forces and their derivatives, or both.
Kind: TypeAlias = Literal["energy", "forces", "both"]


class ModelError(NamedTuple):
    """What the model's errors make of a number, or of an array of them.

    Attributes
    ----------
    standard
        Standard uncertainty.
    below, above
        From the value down and up to the bounds of the 95 % interval.
    """

    standard: Any
    below: Any
    above: Any

    def scaled(self, factor: float) -> ModelError:
        """Return the error in another unit."""
        return ModelError(*(factor * one for one in self))

    def at(self, place: int) -> ModelError:
        """Return the error of one number of an array."""
        return ModelError(*(one[place] for one in self))


class Worth(NamedTuple):
    """A standard uncertainty over the spread, and half the 95 % interval over the standard uncertainty."""

    factor: float
    reach: float


@dataclass(frozen=True)
class SpreadWorth:
    """What the spread of a committee's members is worth for numbers derived from them.

    Attributes
    ----------
    members
        How many they are.
    energy, forces
        For numbers derived from energies, and from forces or their derivatives.
    calibrated
        Whether these were measured (`dp-sim calibrate`).
    """

    members: int
    energy: Worth
    forces: Worth
    calibrated: bool

    @classmethod
    def of(cls, members: int, calibration: Calibration | None) -> SpreadWorth:
        """Take it from a calibration, or without one from Student's t.

        Parameters
        ----------
        members
            Two or more.
        calibration
            Of the committee; None where there is none.
        """
        if calibration is not None:
            energy, forces = (_measured(scale, members) for scale in (calibration.energy, calibration.forces))
            return cls(members, energy, forces, calibrated=True)
        c = math.sqrt(1.0 + 1.0 / members)
        raw = Worth(c * student_quantile(STANDARD, 1, members - 1), _student_reach(members))
        return cls(members, raw, raw, calibrated=False)

    def among(self, members: int) -> SpreadWorth:
        """Return the same where only some of the members have the number."""
        if members == self.members:
            return self
        return replace(self, members=members) if self.calibrated else self.of(members, None)

    @property
    def words(self) -> str:
        """Where the errors come from, as a phrase."""
        if self.calibrated:
            return f"the calibrated spread of {self.members} members"
        return (
            f"the raw spread of {self.members} members, the truth taken for one member more (Student's t): nobody has "
            "measured what it is worth (dp-sim calibrate)"
        )

    def of_kind(self, kind: Kind) -> Worth:
        """Return what counts for a number of this kind: of both the one with the larger factor."""
        if kind == "both":
            return max(self.energy, self.forces)
        return self.energy if kind == "energy" else self.forces

    def error(self, values: Any, kind: Kind) -> ModelError:
        """Compute the error of a number from the values that the members give it, eq. 1.

        Parameters
        ----------
        values
            (K, ...) of the members along the first axis.
        kind
            What it is derived from.
        """
        return self.error_of_spread(np.std(np.asarray(values, dtype=float), axis=0, ddof=1), kind)

    def error_of_spread(self, spread: NDArray[np.float64] | float, kind: Kind) -> ModelError:
        """Compute the error of a number from its standard deviation over the members."""
        worth = self.of_kind(kind)
        standard = worth.factor * spread
        return ModelError(standard, worth.reach * standard, worth.reach * standard)

    def error_of_logarithm(self, value: float, logarithms: Any, kind: Kind) -> ModelError:
        """Compute the error of 10^value from the logarithms that the members give, whose interval is no even one."""
        log = self.error(logarithms, kind)
        number, grown = 10.0**value, np.log(10.0) * log.standard
        return ModelError(number * grown, number - 10.0 ** (value - log.below), 10.0 ** (value + log.above) - number)


def measured_error(standard: Any, scale: Scale, members: int) -> ModelError:
    """Give a standard uncertainty its 95 % interval.

    Parameters
    ----------
    standard
        Standard uncertainty that came from this scale.
    scale
        Of a committee, or of a single model.
    members
        How many they are.
    """
    reach = _measured(scale, members).reach * standard
    return ModelError(standard, reach, reach)


def _measured(scale: Scale, members: int) -> Worth:
    """Take a scale; where its frames were too few for an interval of 95 %, Student's t widens its 68.3 %."""
    reach = scale.interval(95)
    return Worth(scale.factor, _student_reach(members) if reach is None else reach)


def _student_reach(members: int) -> float:
    """Return 95 % over 68.3 %; one member has no spread with chance in it, and its errors are taken as normal."""
    if members == 1:
        return student_quantile(0.95, 1, 1e9)
    return student_quantile(0.95, 1, members - 1) / student_quantile(STANDARD, 1, members - 1)
