"""Relaxation of a crystal, on its symmetry or strained; the forces and the stress that are left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.recipes.crystals.crystal import quiet_spglib
from dp_sim.recipes.inputs.failed_evaluations import WayBack
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.units import EV_PER_A3_IN_GPA

#: Where the recipe relaxes, the forces go this far below the bound.
RELAX_TO = 0.1
#: Steps of the optimiser before it gives up.
MOST_STEPS = 500


def relax_crystal(
    atoms: Atoms,
    *,
    fmax: float,
    cell: bool = False,
    constant_volume: bool = False,
    pressure_GPa: float = 0.0,
    progress: bool = False,
    name: str = "the crystal",
) -> Atoms:
    """Relax positions, and the cell if asked, within the space group.

    A crystal at a saddle point stays there: its symmetry forbids the way down, and its phonons show it.

    Parameters
    ----------
    atoms
        Idealised, with a calculator.
    fmax
        Largest force to be left, eV/Angstrom; with `cell` of the generalised forces of `FrechetCellFilter`.
    cell
        Relax the cell too.
    constant_volume
        Relax the shape of the cell alone.
    pressure_GPa
        Pressure on the cell.

    Raises
    ------
    InputError
        The calculator has no stress, which `cell` needs; no convergence.
    """
    relaxed = atoms.copy()
    relaxed.calc = atoms.calc
    if cell:
        check_stress(atoms)
    if _symmetry_is_of_elements(relaxed):
        with quiet_spglib():
            relaxed.set_constraint(FixSymmetry(relaxed, symprec=1e-4))
    target: Any = relaxed
    if cell:
        target = FrechetCellFilter(
            relaxed, constant_volume=constant_volume, scalar_pressure=pressure_GPa / EV_PER_A3_IN_GPA
        )
    with progress_bar("relax", total=MOST_STEPS, show=progress) as advance:
        left = _descend(target, fmax, name, lambda: advance(1))
    if left > fmax:
        raise InputError(
            "relaxation-failed",
            f"{name} does not relax: {left:.3g} eV/Angstrom are left after {MOST_STEPS} steps, asked were {fmax:.3g}; "
            "relax it with dp-sim opt, or start elsewhere",
        )
    relaxed.set_constraint()
    return relaxed


def _descend(target: Any, fmax: float, name: str, advance: Callable[[], object]) -> float:
    """Take steps of BFGS, shorter ones where the calculator fails; return the largest force left, eV/Angstrom.

    Raises
    ------
    InputError
        `relaxation-failed`: the calculator goes on failing in shorter steps.
    """
    way_back = WayBack(target, lambda line: None, name)
    optimiser: BFGS | None = None
    left = np.inf
    for step in range(MOST_STEPS + 1):
        try:
            left = float(np.linalg.norm(target.get_forces(), axis=1).max())
            way_back.evaluated()
            if left <= fmax:
                break
            optimiser = optimiser or BFGS(target, logfile=None)
            optimiser.step()
        except Exception as error:  # the way back knows which of them are the calculator's
            if not way_back.shorten(error, f"after step {step}"):
                raise InputError("relaxation-failed", f"{name} does not relax: {way_back.cause}") from error
            optimiser = None
        advance()
    return left


def _symmetry_is_of_elements(atoms: Atoms) -> bool:
    """Whether atoms of an element have one magnetic moment and charge: `FixSymmetry` looks at elements alone."""
    states = np.column_stack([atoms.numbers, atoms.get_initial_magnetic_moments(), atoms.get_initial_charges()])
    return len(np.unique(states, axis=0)) == len(set(atoms.numbers.tolist()))


def strained_copy(atoms: Atoms, strain: NDArray[np.float64], calculator: Any, fmax: float) -> Atoms:
    """Strain a crystal, x -> x (1 + strain), and relax its atoms in the strained cell.

    Parameters
    ----------
    atoms
        The unstrained crystal.
    strain
        (3, 3), symmetric.
    calculator
        An ASE calculator.
    fmax
        Largest force to be left, eV/Angstrom.

    Raises
    ------
    InputError
        `relaxation-failed`.
    """
    moved = atoms.copy()
    moved.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    moved.calc = calculator
    left = _descend(moved, fmax, "the strained crystal", lambda: None)
    if left > fmax:
        raise InputError(
            "relaxation-failed",
            f"the atoms of the crystal strained by {np.abs(strain).max():.3g} do not relax: {left:.3g} eV/Angstrom are "
            f"left after {MOST_STEPS} steps, asked were {fmax:.3g}; take a smaller strain, or a larger inner_fmax",
        )
    return moved


def check_stress(atoms: Atoms) -> None:
    """Refuse a calculator without stress."""
    if "stress" not in atoms.calc.implemented_properties:
        raise InputError("stress-missing", f"this needs the stress, which {type(atoms.calc).__name__} does not compute")


def check_relaxed(atoms: Atoms, fmax: float, command: str) -> float:
    """Compute the largest force, eV/Angstrom, and refuse a structure where it exceeds the bound.

    Raises
    ------
    InputError
        `structure-not-relaxed`.
    """
    largest = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
    if largest > fmax:
        raise InputError(
            "structure-not-relaxed",
            f"the crystal is not relaxed: its largest force is {largest:.3g} eV/Angstrom and the bound fmax is "
            f"{fmax:g}; relax it first (relax=True, dp-sim {command} --relax)",
        )
    return largest


def pressure_of(atoms: Atoms) -> float | None:
    """Compute the pressure, GPa: minus the mean of the normal stresses. None where the calculator has no stress."""
    if "stress" not in atoms.calc.implemented_properties:
        return None
    return float(-np.mean(atoms.get_stress()[:3]) * EV_PER_A3_IN_GPA)
