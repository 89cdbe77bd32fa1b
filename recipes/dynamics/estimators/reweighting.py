"""What each member of a committee would have averaged, from the one trajectory that their mean drove.

Member k has the energy U + h_k where the mean has U. With weights w_k = exp(-h_k / k_B T) of the samples

    <a>_k = <a w_k> / <w_k>                                                                                     (1)

exactly, and of N independent samples N_k = N <w_k>^2 / <w_k^2> are left (Kish). h_k grows with the system, and N_k
falls as exp(-Var(h_k) / (k_B T)^2): where too few are left, the first cumulant is taken in place of the exponential (G.
Imbalzano et al., J. Chem. Phys. 154, 074102 (2021)),

    <a>_k = <a> - (<a h_k> - <a> <h_k>) / k_B T,                                                                (2)

whose noise stays small, and which is exact for a and h_k that are normal together. A number theta that is no average
(a heat capacity) changes to the same order by -<psi h_k> / k_B T with its influence values psi, and, where it holds the
energy itself, by [theta(U + h_k) - theta(U - h_k)] / 2; with the pressure, P_k beside it in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np

from dp_sim.recipes.dynamics.estimators.correlation import Samples, is_constant, statistical_inefficiency
from dp_sim.recipes.dynamics.estimators.statistic import Statistic
from dp_sim.recipes.dynamics.estimators.verdict import NEEDED_FOR_FLUCTUATION
from dp_sim.uncertainty.derived import Kind, ModelError, SpreadWorth

#: Independent samples that eq. 1 must leave of every member; with fewer, eq. 2 is taken.
NEEDED_DIRECTLY = NEEDED_FOR_FLUCTUATION
#: Standard deviation of h_k / k_B T up to which eq. 2 is taken: beyond it a member's ensemble was not visited.
MOST_APART = 3.0
#: Makes a number of the energy U (S,) of the samples, eV, of what else differs between members (S,) each, and of their
#: weights (S,); None: all alike.
Computed: TypeAlias = Callable[..., Statistic]
#: What differs between members beside the energy: (S,) by their mean, and how far each is from that, (K, S).
Differing: TypeAlias = tuple[Samples, Samples]


class MemberAverages(NamedTuple):
    """How the members' averages were found.

    Attributes
    ----------
    words
        As a phrase.
    cause
        Why they were not, as a sentence; else empty.
    effective
        (K,) independent samples that reweighting leaves of each.
    """

    words: str
    cause: str
    effective: tuple[float, ...]


@dataclass(frozen=True)
class Reweighting:
    """The samples of a run, and how the members' energies differ from the mean's there.

    Attributes
    ----------
    energy_eV
        (S,) U.
    deviations_eV
        (K, S) h_k; a constant in them changes nothing but <U>.
    kT_eV
        Of the thermostat.
    worth
        What the spread of the members is worth.
    """

    energy_eV: Samples
    deviations_eV: Samples
    kT_eV: float
    worth: SpreadWorth

    @cached_property
    def weights(self) -> Samples:
        """(K, S) w_k, the largest of each 1."""
        exponent = -self.deviations_eV / self.kT_eV
        return np.asarray(np.exp(exponent - exponent.max(axis=1, keepdims=True)))

    @cached_property
    def effective(self) -> Samples:
        """(K,) N_k: independent samples that eq. 1 leaves of each member.

        Weights whose tail was not visited look more even than they are: no more than of a normal h_k are counted.
        """
        w, variances = self.weights, self.deviations_eV.var(axis=1) / self.kT_eV**2
        left = w.sum(axis=1) ** 2 / (w**2).sum(axis=1)
        normal = len(self.energy_eV) * np.exp(-variances)
        alike = [1.0 if is_constant(h) else statistical_inefficiency(h) for h in self.deviations_eV]
        return np.asarray(np.minimum(left, normal) / alike)

    @property
    def apart(self) -> float:
        """Largest standard deviation of h_k / k_B T over the samples."""
        return float(self.deviations_eV.std(axis=1).max() / self.kT_eV)

    @property
    def is_direct(self) -> bool:
        """Whether eq. 1 is taken."""
        return bool(self.effective.min() >= NEEDED_DIRECTLY)

    @property
    def cause(self) -> str:
        """Why no error of the model can be given; empty where it can."""
        if self.is_direct or self.apart <= MOST_APART:
            return ""
        return (
            f"the members' energies differ from their mean's by {self.apart:.1f} k_B T (standard deviation, "
            f"at most {MOST_APART:g}), so that {self.effective.min():.1f} of the independent samples are left by "
            "reweighting: the run did not visit where a member would go; train the committee further, or run each "
            "member by itself"
        )

    @property
    def told(self) -> MemberAverages:
        """What a result says of it."""
        return MemberAverages(self.words, self.cause, tuple(self.effective.tolist()))

    @property
    def words(self) -> str:
        """How the members' numbers were found, as a phrase."""
        how = (
            "reweighting of this run"
            if self.is_direct
            else f"the first cumulant of this run (reweighting would leave fewer than {NEEDED_DIRECTLY})"
        )
        return f"{self.worth.words}, each averaged by {how}"

    def error(self, computed: Computed, *others: Differing, kind: Kind = "energy") -> ModelError | None:
        """Compute the model's error of a number; None where there is a `cause` why not."""
        return None if self.cause else self.worth.error(self.values(computed, *others), kind)

    def values(self, computed: Computed, *others: Differing) -> Samples:
        """Compute what each member (K,) would have given."""
        own = [(self.energy_eV, self.deviations_eV), *others]
        numbers = range(len(self.deviations_eV))

        def of(number: int, sign: int, weights: Samples | None) -> Statistic:
            return computed(*(mean + sign * apart[number] for mean, apart in own), weights)

        if self.is_direct:
            return np.array([of(number, 1, self.weights[number]).value for number in numbers])
        found = computed(*(mean for mean, _ in own), None)
        by_value = [(of(number, 1, None).value - of(number, -1, None).value) / 2 for number in numbers]
        return np.array(
            [found.value + self._by_weight(found, h) + by_value[k] for k, h in enumerate(self.deviations_eV)]
        )

    def _by_weight(self, found: Statistic, h: Samples) -> float:
        return -float(np.mean(found.influence * (h - h.mean()))) / self.kT_eV
