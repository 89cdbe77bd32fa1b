"""Transition state: from a guess to the first-order saddle point nearby."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.io import write

from dp_sim.atomic_file import atomic_path
from dp_sim.errors import InputError
from dp_sim.recipes.opt import evaluated_copy
from dp_sim.recipes.progress import progress_bar
from dp_sim.recipes.results import Estimate, Quantity, Result
from dp_sim.recipes.run_directory import RunDirectory
from dp_sim.recipes.saddle import Curvature, cartesian_hessian, check_constraints, curvature
from dp_sim.recipes.structures import prepare_atoms

#: The reaction mode is written as one swing of this amplitude (Angstrom, the atom that moves most) in this many frames.
SWING_A = 0.3
SWING_FRAMES = 20


@dataclass(frozen=True, kw_only=True)
class TransitionStateResult(Result):
    """A saddle point and its curvature.

    atoms             the structure, with energy and forces
    energy_eV         its potential energy
    frequencies_cm1   (M,) ascending, imaginary ones negative; without rigid motions and fixed atoms
    mode              (N, 3) displacements along the lowest mode, of unit length
    largest_force     largest force on an atom, eV/Angstrom
    steps             optimiser steps taken
    """

    recipe: ClassVar[str] = "ts"
    title: ClassVar[str] = "Transition state"

    atoms: Atoms
    energy_eV: float
    frequencies_cm1: np.ndarray
    mode: np.ndarray
    largest_force: float
    steps: int

    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {
            "energy": Quantity(self.energy_eV, "eV"),
            "lowest_frequency": Quantity(self.frequencies_cm1[0], "cm^-1"),
            "frequencies": Quantity(self.frequencies_cm1, "cm^-1"),
            "largest_force": Quantity(self.largest_force, "eV/Angstrom"),
            "steps": Quantity(self.steps),
        }

    def write_data(self, path: Callable[[str], Path]) -> None:
        swing = []
        amplitude = SWING_A / np.linalg.norm(self.mode, axis=1).max()
        for phase in np.linspace(0, 2 * np.pi, SWING_FRAMES, endpoint=False):
            frame = self.atoms.copy()
            frame.positions += amplitude * np.sin(phase) * self.mode
            swing.append(frame)
        files: dict[str, Atoms | list[Atoms]] = {"ts.extxyz": self.atoms, "mode.extxyz": swing}
        for name, frames in files.items():
            with atomic_path(path(name)) as temporary:
                write(temporary, frames, format="extxyz")


def refine_ts(
    guess: Atoms,
    calc: Any,
    *,
    fmax: float = 0.01,
    steps: int = 200,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> TransitionStateResult:
    """The first-order saddle point near `guess`, such as `find_path(...).highest`.

    Partitioned rational-function optimisation with Sella (Hermes, Sargsyan, Najm, Zador, J. Chem. Theory Comput. 15,
    6536 (2019)): exact Hessians where the calculator has `get_hessian`, else the lowest eigenvectors from differences
    of forces. The normal modes at the end tell whether it is a saddle point; `converged` wants exactly one imaginary.

    fmax    largest force on an atom where the search has converged, eV/Angstrom
    steps   limit on the optimiser's steps
    seed    kept for the record: nothing here is random

    Raises
    ------
    InputError
        Bad structure, calculator or keyword; a constraint other than `FixAtoms`.
    """
    atoms = prepare_atoms(guess, calc, "the guess")
    check_constraints(atoms)
    if not fmax > 0:
        raise InputError(f"fmax must be positive, got {fmax}; 0.01 eV/Angstrom is usual")
    if steps < 0:
        raise InputError(f"steps must not be negative, got {steps}; give the most steps to take")
    with RunDirectory(
        "ts",
        out,
        settings={"fmax": fmax, "steps": steps},
        structures=[guess],
        calculator=atoms.calc,
        seed=seed,
        overwrite=overwrite,
        resume=resume,
        resumable=False,
    ) as run:
        taken = _search(atoms, fmax, steps, run, progress)
        return run.finish(_result(evaluated_copy(atoms), curvature(atoms), fmax, taken))


def _search(atoms: Atoms, fmax: float, steps: int, run: RunDirectory, progress: bool) -> int:
    """Move `atoms` to the saddle point; returns the steps taken."""
    from sella import Sella  # a heavy import (jax)

    exact = cartesian_hessian if hasattr(atoms.calc, "get_hessian") else None
    # Fixed atoms hold the orientation already, and a periodic cell does.
    free = not atoms.pbc.any() and not atoms.constraints
    optimizer = Sella(atoms, logfile=None, order=1, hessian_function=exact, proj_rot=free)  # type: ignore[arg-type]
    with progress_bar("ts", total=steps, show=progress) as advance:

        def follow() -> None:
            force = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
            run.log(f"step {optimizer.nsteps}: {atoms.get_potential_energy():.6f} eV, {force:.5f} eV/Angstrom")
            advance(1, f"{force:.3f} eV/Å")

        optimizer.attach(follow)
        optimizer.run(fmax=fmax, steps=steps)
    return int(optimizer.nsteps)


def _result(atoms: Atoms, shape: Curvature, fmax: float, steps: int) -> TransitionStateResult:
    force = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
    causes = []
    if force > fmax:
        causes.append(
            f"the largest force is {force:.3g} eV/Angstrom after {steps} steps, {fmax:g} was asked for; "
            "allow more steps or start nearer to the saddle point"
        )
    if verdict := shape.verdict():
        causes.append(verdict)
    return TransitionStateResult(
        converged=not causes,
        cause="; ".join(causes),
        atoms=atoms,
        energy_eV=float(atoms.get_potential_energy()),
        frequencies_cm1=shape.frequencies_cm1,
        mode=shape.modes[0],
        largest_force=force,
        steps=steps,
    )
