"""Normal modes of the members of a committee, matched to those of its mean: what the model's errors make of them.

Each member is asked where it is at rest itself, near the structure at which the mean is: a bond that is too long in a
member is too soft there too, and both count in its frequency. The way there is Newton's, x - H^-1 g without the rigid
motions, so that a saddle point stays one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.recipes.inputs.members import member_calculators, spread_worth
from dp_sim.recipes.static.hessian import compute_hessian
from dp_sim.recipes.static.mode_analysis import ModeAnalysis
from dp_sim.recipes.static.normal_modes import ZERO_CM1, Array, normal_modes, zero_point_energy_eV
from dp_sim.recipes.static.rigid_motions import find_rigid_motions
from dp_sim.recipes.static.thermochemistry import DERIVED_FROM, Thermochemistry
from dp_sim.uncertainty.derived import ModelError, SpreadWorth

#: A mode of the mean that shares less than this with its counterpart in a member is no mode of that member.
POOR_OVERLAP = 0.5
#: A member is at rest with forces below this, eV/Angstrom; how many steps it may take, and how far an atom goes in one.
AT_REST_EV_A, MOST_STEPS, LONGEST_A = 1e-3, 4, 0.1


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
    worth
        What their spread is worth.
    moved
        (K,) bool, whose numbers are those of their own stationary points; of the others, those at the mean's.
    """

    frequencies_cm1: Array
    overlaps: Array
    energies_eV: Array
    worth: SpreadWorth
    moved: NDArray[np.bool_]

    @property
    def frequency_errors(self) -> ModelError:
        """Errors (M,) of the frequencies, cm^-1."""
        return self.worth.error(self.frequencies_cm1, "forces")

    @property
    def energy_error(self) -> ModelError:
        """Error of the potential energy, eV."""
        return self.worth.error(self.energies_eV, "energy")

    @property
    def zero_point_energy_error(self) -> ModelError:
        """Error of the zero-point energy, eV."""
        return self.worth.error([zero_point_energy_eV(one) for one in self.frequencies_cm1], "forces")

    @property
    def n_imaginary(self) -> NDArray[np.intp]:
        """(K,) how many frequencies of each member are imaginary."""
        return np.asarray((self.frequencies_cm1 < -ZERO_CM1).sum(axis=1))

    @property
    def words(self) -> str:
        """Where the errors come from, and how well the modes correspond, as a phrase."""
        text = f"{self.worth.words}; "
        if self.moved.all():
            text += "each at its own stationary point"
        elif self.moved.any():
            left = ", ".join(map(str, np.flatnonzero(~self.moved) + 1))
            text += f"each at its own stationary point, but member(s) {left}, which have none nearby, at this structure"
        else:
            text += "all at this structure"
        if not self.overlaps.size:
            return text
        worst = float(self.overlaps.min())
        text += f", modes matched by overlap ({worst:.2f} or more)"
        if worst < POOR_OVERLAP:
            poor = np.flatnonzero(self.overlaps.min(axis=0) < POOR_OVERLAP) + 1
            text += f"; mode(s) {', '.join(map(str, poor[:6]))} mix with others in a member, and have no error of one"
        return text


def member_modes(atoms: Atoms, mobile: NDArray[np.intp], found: ModeAnalysis, *, at_rest: bool) -> MemberModes | None:
    """Find the modes of each member of a committee, and match them to those of the mean.

    Parameters
    ----------
    atoms
        The structure, with its calculator and the masses that count.
    mobile
        (n,) indices of the atoms that may move.
    found
        Hessians of mean and members over them, and the modes of the mean.
    at_rest
        Whether the mean is: else the members have no stationary point to look for.

    Returns
    -------
    MemberModes or None
        None where there are no Hessians of members.
    """
    worth = spread_worth(atoms.calc)
    if not found.second.members or worth is None:
        return None
    masses = atoms.get_masses()[mobile]
    mean = unit_vectors(found.modes.displacements, masses)
    rows = []
    for calculator, hessian in zip(member_calculators(atoms.calc), found.second.members, strict=True):
        here = _Point(_with(atoms, calculator), hessian, found.rigid.columns)
        point = _stationary(here, mobile) if at_rest else None
        taken = point or here
        pair = matched_modes(taken.hessian, masses, taken.rigid, mean)
        rows.append((*pair, float(taken.atoms.get_potential_energy()), point is not None))
    frequencies, overlaps, energies, moved = (np.array(column) for column in zip(*rows, strict=True))
    return MemberModes(frequencies, overlaps, energies, worth, moved)


class _Point(NamedTuple):
    """A structure with the calculator of a member, its Hessian, and the rigid motions (3n, K) to be taken out."""

    atoms: Atoms
    hessian: Array
    rigid: Array


def _with(atoms: Atoms, calculator: Any) -> Atoms:
    copy = atoms.copy()
    copy.calc = calculator
    return copy


def _stationary(point: _Point, mobile: NDArray[np.intp]) -> _Point | None:
    """Take Newton's steps to the stationary point nearby; None where they do not come to one."""
    for _ in range(MOST_STEPS):
        gradient = -point.atoms.get_forces(apply_constraint=False)[mobile]
        if np.linalg.norm(gradient, axis=1).max() < AT_REST_EV_A:
            return point
        step = _newton_step(point, gradient, mobile)
        step *= min(1.0, LONGEST_A / np.linalg.norm(step, axis=1).max())
        moved = point.atoms.copy()
        moved.calc = point.atoms.calc
        positions = moved.positions.copy()
        positions[mobile] += step
        moved.set_positions(positions, apply_constraint=False)
        point = _analysed(moved, mobile, point.rigid)
    gradient = -point.atoms.get_forces(apply_constraint=False)[mobile]
    return point if np.linalg.norm(gradient, axis=1).max() < AT_REST_EV_A else None


def _newton_step(point: _Point, gradient: Array, mobile: NDArray[np.intp]) -> Array:
    """Compute -H^-1 g (n, 3) in mass-weighted coordinates without the rigid motions."""
    roots = np.repeat(np.sqrt(point.atoms.get_masses()[mobile]), 3)
    inner = np.linalg.qr(point.rigid, mode="complete")[0][:, point.rigid.shape[1] :]
    weighted = inner.T @ (point.hessian / np.outer(roots, roots)) @ inner
    step = -inner @ np.linalg.lstsq(weighted, inner.T @ (gradient.ravel() / roots), rcond=None)[0]
    return np.asarray((step / roots).reshape(-1, 3))


def _analysed(atoms: Atoms, mobile: NDArray[np.intp], before: Array) -> _Point:
    """Compute the Hessian of a member, and the rigid motions there."""
    second = compute_hessian(
        atoms, method="exact", delta=0.0, mobile=mobile, partial=None, log=lambda _: None, progress=False
    )
    gradient = -atoms.get_forces(apply_constraint=False)[mobile]
    rigid = find_rigid_motions(atoms, second.hessian, gradient, mobile).columns
    return _Point(atoms, second.hessian, rigid if rigid.shape == before.shape else before)


def matched_modes(hessian: Array, masses: Array, rigid: Array, mean: Array) -> tuple[Array, Array]:
    """Compute frequencies (M,), cm^-1, in the order of the mean's modes, and how much they overlap (M,).

    Parameters
    ----------
    hessian
        (3n, 3n) of a member.
    masses, rigid
        (n,) and the rigid motions (3n, K) to be taken out.
    mean
        (M, 3n) modes of the mean, mass-weighted and orthonormal.
    """
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - nothing but a committee needs it

    modes = normal_modes(hessian, masses, rigid)
    overlaps = (mean @ unit_vectors(modes.displacements, masses).T) ** 2
    rows, columns = linear_sum_assignment(overlaps, maximize=True)
    return modes.frequencies_cm1[columns], overlaps[rows, columns]


def unit_vectors(displacements: Array, masses: Array) -> Array:
    """Weigh displacements (M, n, 3) by the roots of the masses: orthonormal rows (M, 3n)."""
    weighted = (displacements * np.sqrt(masses)[:, None]).reshape(len(displacements), -1)
    return np.asarray(weighted / np.linalg.norm(weighted, axis=1, keepdims=True))


#: Makes the table of frequencies (M,), cm^-1, and a potential energy, eV.
Tabulate = Callable[[Array, float], Thermochemistry]


def with_errors(table: Thermochemistry, members: MemberModes | None, n_imaginary: int, each: Tabulate) -> Any:
    """Add the model's errors to a table of the mean; a note where a member has another kind of stationary point.

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
            f"no error of the model: {len(others)} of {len(members.energies_eV)} members have another number of "
            f"imaginary frequencies than their mean ({', '.join(map(str, members.n_imaginary))})"
        )
        return replace(table, notes=(*table.notes, note))
    pairs = zip(members.frequencies_cm1, members.energies_eV, strict=True)
    tables = [each(np.sort(frequencies), float(energy)) for frequencies, energy in pairs]
    errors = {
        name: members.worth.error([getattr(one, name) for one in tables], kind) for name, kind in DERIVED_FROM.items()
    }
    return replace(table, errors=errors)
