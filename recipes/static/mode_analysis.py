"""Hessian, rigid motions and normal modes of a structure, one after the other: what `vib` and `opt` ask of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.recipes.inputs.forces import energies_and_forces
from dp_sim.recipes.static.hessian import SecondDerivatives, compute_hessian
from dp_sim.recipes.static.normal_modes import NormalModes, normal_modes
from dp_sim.recipes.static.rigid_motions import RigidMotions, find_rigid_motions


class ModeAnalysis(NamedTuple):
    """Derivatives over the mobile atoms, the rigid motions that were taken out, and the modes that are left."""

    second: SecondDerivatives
    rigid: RigidMotions
    modes: NormalModes


def analyse_modes(
    atoms: Atoms,
    mobile: NDArray[np.intp],
    *,
    method: str = "auto",
    delta: float = 0.005,
    partial: Path | None = None,
    log: Callable[[str], object],
    progress: bool,
    processes: int = 1,
) -> ModeAnalysis:
    """Find the normal modes of the mobile atoms (n,); the keywords are those of `compute_hessian`."""
    gradient = -atoms.get_forces()[mobile]
    second = compute_hessian(
        atoms,
        method=method,
        delta=delta,
        mobile=mobile,
        partial=partial,
        log=log,
        progress=progress,
        processes=processes,
    )

    def evaluate(positions: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        moved = atoms.copy()
        moved.positions[mobile] = positions
        energy, forces = next(energies_and_forces([moved], atoms.calc, ["the structure moved as a whole"]))
        return energy, forces[mobile]

    # An exact Hessian is exact for rotations too: nothing needs to be asked again.
    rigid = find_rigid_motions(atoms, second.hessian, gradient, mobile, None if second.exact else evaluate)
    log(rigid.words)
    return ModeAnalysis(second, rigid, normal_modes(second.hessian, atoms.get_masses()[mobile], rigid.columns))
