"""The ends of a path: checked, superposed, relaxed."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from dp_sim.errors import InputError
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.paths.first_path import (
    check_ends,
    superpose,
)
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.static.opt import optimize

#: The ends are relaxed to this force (eV/Angstrom), or to `fmax` if smaller: both barriers are measured from them.
END_FMAX = 0.01
#: Turning a molecule must not change its energy by more than this, eV: far above rounding, far below a barrier.
TURN_EV = 5e-3


def prepare_ends(reactant: Atoms, product: Atoms, calc: Any) -> tuple[Atoms, Atoms]:
    """Checked copies on one calculator."""
    start = prepare_atoms(reactant, calc, "the reactant")
    end = prepare_atoms(product, start.calc, "the product")
    check_ends(start, end)
    return start, end


def place(ends: tuple[Atoms, Atoms], *, rotate: bool, when: str = "") -> None:
    """Superpose the ends (the product moves) and see that the calculator gives the turned product the same energy."""
    reactant, product = ends
    product.set_constraint(reactant.constraints)
    before = product.get_potential_energy()
    try:
        superpose(reactant, product, rotate=rotate)
    except InputError as error:
        raise InputError(error.code, when + str(error)) from None
    change = product.get_potential_energy() - before
    if rotate and abs(change) > TURN_EV:
        raise InputError(
            "ends-orientation",
            f"turning and moving the product onto the reactant changes its energy by {change:.3g} eV: this calculator "
            "distinguishes places or orientations; put the product where it belongs and set align=False",
        )


def relaxed_ends(ends: tuple[Atoms, Atoms], fmax: float, run: RunDirectory, *, rotate: bool) -> tuple[Atoms, Atoms]:
    ends = (relaxed(ends[0], fmax, run, "reactant"), relaxed(ends[1], fmax, run, "product"))
    place(ends, rotate=rotate, when="after relaxing, ")
    return ends


def relaxed(atoms: Atoms, fmax: float, run: RunDirectory, name: str) -> Atoms:
    """`atoms` relaxed on its own calculator to `fmax` (eV/Angstrom), and a line about it in the log of `run`."""
    result = optimize(atoms, atoms.calc, fmax=fmax, progress=False)
    run.log(f"{name}: {result.fmax_eV_A:.4f} eV/Angstrom after {result.steps} steps of relaxation")
    minimum = result.atoms.copy()
    minimum.calc = atoms.calc
    return minimum
