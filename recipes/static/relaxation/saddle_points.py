"""Saddle points that a relaxation ends at: hints that it may be one, and the way off it."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.errors import InputError, MissingPackageError
from dp_sim.recipes.inputs.failed_evaluations import is_failure
from dp_sim.recipes.static.normal_modes import NormalModes
from dp_sim.recipes.static.symmetry import molecular_symmetry

#: How far from a saddle point the search goes on (Angstrom, the atom that moves most), and how many are left.
LEAVE_A = 0.1
MOST_SADDLES = 3
#: Atoms this near to a plane or a line (Angstrom, root of the mean square) lie in it: so does what forces do to them.
_FLAT_A = 1e-3
#: Larger molecules are not searched for a point group.
_MOST_ATOMS = 100
_CHECK = "check_minimum (--check-minimum) tells, and goes on downhill"


def unchecked_words(atoms: Atoms) -> str:
    """Say that a relaxed structure may be a saddle point, and why, where its symmetry is a reason to think so.

    Forces keep every symmetry of a structure: a relaxation cannot leave a plane, or the axis of a saddle point.
    """
    if symmetry := _kept_by_forces(atoms):
        return f"{symmetry}, which forces never break, so this may be a saddle point; {_CHECK}"
    return f"a minimum or a saddle point? {_CHECK}"


def _kept_by_forces(atoms: Atoms) -> str:
    if atoms.pbc.any() or atoms.constraints or len(atoms) < 3:
        return ""
    spread = np.linalg.svd(atoms.positions - atoms.positions.mean(axis=0))[1] / np.sqrt(len(atoms))
    if spread[1] < _FLAT_A:
        return "its atoms lie on a line"
    if spread[2] < _FLAT_A and len(atoms) > 3:
        return "its atoms lie in a plane"
    if len(atoms) > _MOST_ATOMS:
        return ""
    try:
        group = molecular_symmetry(atoms).point_group
    except (InputError, MissingPackageError):  # a hint only: without the package there is none
        return ""
    return "" if group == "C1" else f"it has the symmetry {group}"


def leave_saddle(atoms: Atoms, mobile: NDArray[np.intp], modes: NormalModes) -> None:
    """Move `atoms` off a saddle point, along all imaginary modes at once, to the side of lower energy.

    Along one of them alone a symmetry could keep it on the ridge of another.

    Raises
    ------
    Exception
        What the calculator raised, where it fails on either side.
    """
    shift = np.zeros((len(atoms), 3))
    shift[mobile] = modes.displacements[: modes.n_imaginary].sum(axis=0)
    shift *= LEAVE_A / np.linalg.norm(shift, axis=1).max()
    sides: list[tuple[float, int, NDArray[np.float64]]] = []
    failure: Exception | None = None
    for sign in (1, -1):
        moved = atoms.copy()
        moved.set_positions(atoms.positions + sign * shift, apply_constraint=False)
        try:
            sides.append((float(atoms.calc.get_potential_energy(moved)), -sign, moved.positions))
        except Exception as error:
            if not is_failure(error):
                raise
            failure = error
    if not sides and failure is not None:
        raise failure
    atoms.set_positions(min(sides, key=lambda side: side[:2])[2], apply_constraint=False)
