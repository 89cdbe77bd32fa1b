"""Normal modes of the members of a committee, matched to those of its mean: how far the members disagree.

All members are asked at one structure, that at which the mean is at rest, with the rigid motions of the mean taken out:
what spreads is the curvature. That each member would be at rest a little elsewhere is not part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.recipes.inputs.calculators import member_calculators
from dp_sim.recipes.static.mode_analysis import ModeAnalysis
from dp_sim.recipes.static.normal_modes import ZERO_CM1, Array, normal_modes, zero_point_energy_eV
from dp_sim.recipes.static.thermochemistry import Spread, Thermochemistry

#: A mode of the mean that shares less than this with its counterpart in a member is no mode of that member.
POOR_OVERLAP = 0.5


class MemberModes(NamedTuple):
    """Modes of K members, in the order of the M modes of their mean.

    Attributes
    ----------
    frequencies_cm1
        (K, M), imaginary ones negative.
    overlaps
        (K, M) square of the scalar product of each mode, mass-weighted, with that of the mean.
    energies_eV
        (K,) potential energies.
    """

    frequencies_cm1: Array
    overlaps: Array
    energies_eV: Array

    @property
    def frequencies_std_cm1(self) -> Array:
        """(M,) standard deviation over the members."""
        return np.asarray(self.frequencies_cm1.std(axis=0, ddof=1))

    @property
    def energy_std_eV(self) -> float:
        """Standard deviation of the potential energy."""
        return float(self.energies_eV.std(ddof=1))

    @property
    def zero_point_energy_std_eV(self) -> float:
        """Standard deviation of the zero-point energy."""
        return float(np.std([zero_point_energy_eV(one) for one in self.frequencies_cm1], ddof=1))

    @property
    def n_imaginary(self) -> NDArray[np.intp]:
        """(K,) how many frequencies of each member are imaginary."""
        return np.asarray((self.frequencies_cm1 < -ZERO_CM1).sum(axis=1))

    @property
    def words(self) -> str:
        """Who spreads, and how well the modes correspond, as a phrase."""
        text = f"{len(self.energies_eV)} members at this structure"
        if not self.overlaps.size:
            return text
        worst = float(self.overlaps.min())
        text += f", their modes matched by overlap ({worst:.2f} or more)"
        if worst < POOR_OVERLAP:
            poor = np.flatnonzero(self.overlaps.min(axis=0) < POOR_OVERLAP) + 1
            text += f"; mode(s) {', '.join(map(str, poor[:6]))} mix with others in a member, and have no spread of one"
        return text


def member_modes(atoms: Atoms, mobile: NDArray[np.intp], found: ModeAnalysis) -> MemberModes | None:
    """Find the modes of each member of a committee, and match them to those of the mean.

    Parameters
    ----------
    atoms
        The structure, with its calculator and the masses that count.
    mobile
        (n,) indices of the atoms that may move.
    found
        Hessians of mean and members over them, and the modes of the mean.

    Returns
    -------
    MemberModes or None
        None where there are no Hessians of members.
    """
    if not found.second.members:
        return None
    masses = atoms.get_masses()[mobile]
    mean = _unit_vectors(found.modes.displacements, masses)
    matched = [_matched(one, masses, found.rigid.columns, mean) for one in found.second.members]
    frequencies, overlaps = (np.array(one) for one in zip(*matched, strict=True))
    return MemberModes(frequencies, overlaps, _energies(atoms))


def _energies(atoms: Atoms) -> Array:
    return np.array([float(one.get_potential_energy(atoms)) for one in member_calculators(atoms.calc)])


def _matched(hessian: Array, masses: Array, rigid: Array, mean: Array) -> tuple[Array, Array]:
    """Compute the frequencies of a member in the order of the mean's modes (M, 3n), and how much they overlap."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - nothing but a committee needs it

    modes = normal_modes(hessian, masses, rigid)
    overlaps = (mean @ _unit_vectors(modes.displacements, masses).T) ** 2
    rows, columns = linear_sum_assignment(overlaps, maximize=True)
    return modes.frequencies_cm1[columns], overlaps[rows, columns]


def _unit_vectors(displacements: Array, masses: Array) -> Array:
    """Weigh displacements (M, n, 3) by the roots of the masses: orthonormal rows (M, 3n)."""
    weighted = (displacements * np.sqrt(masses)[:, None]).reshape(len(displacements), -1)
    return np.asarray(weighted / np.linalg.norm(weighted, axis=1, keepdims=True))


#: Makes the table of frequencies (M,), cm^-1, and a potential energy, eV.
Tabulate = Callable[[Array, float], Thermochemistry]


def with_spread(table: Thermochemistry, members: MemberModes | None, n_imaginary: int, each: Tabulate) -> Any:
    """Add the members' spread to a table of their mean; a note where a member has another kind of stationary point.

    Parameters
    ----------
    table
        Of the mean.
    members
        None: nothing is added.
    n_imaginary
        Imaginary frequencies of the mean.
    each
        Makes the same table of a member.
    """
    if members is None:
        return table
    others = np.flatnonzero(members.n_imaginary != n_imaginary)
    if len(others):
        note = (
            f"no spread: {len(others)} of {len(members.energies_eV)} members have another number of imaginary "
            f"frequencies than their mean ({', '.join(map(str, members.n_imaginary))})"
        )
        return replace(table, notes=(*table.notes, note))
    pairs = zip(members.frequencies_cm1, members.energies_eV, strict=True)
    tables = [each(np.sort(frequencies), float(energy)) for frequencies, energy in pairs]
    return replace(
        table,
        spread=Spread(
            _std([one.internal_energy_eV for one in tables]),
            _std([one.entropy_eV_per_K for one in tables]),
            _std([one.gibbs_energy_eV for one in tables]),
        ),
    )


def _std(values: Sequence[Array]) -> Array:
    return np.asarray(np.std(values, axis=0, ddof=1))
