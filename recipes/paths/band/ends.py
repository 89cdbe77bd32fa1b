"""The ends of a path: checked, superposed, relaxed."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.constraints import FixAtoms
from ase.geometry import find_mic

from dp_sim.errors import InputError
from dp_sim.recipes.inputs.charges import check_same_state
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.static.opt import optimize

#: The ends are relaxed to this force (eV/Angstrom), or to `fmax` if smaller: both barriers are measured from them.
END_FMAX = 0.01
#: Turning a molecule must not change its energy by more than this, eV: far above rounding, far below a barrier.
TURN_EV = 5e-3
#: The ends are the same structure, or a fixed atom has stayed, where atoms move less than this, Angstrom.
SAME_A = 1e-2


def check_ends(reactant: Atoms, product: Atoms) -> None:
    """Check that the ends hold the same atoms in the same order, in the same cell, with the same constraints.

    The order matters: along a path atom k moves from its position in the reactant to its position in the product.

    Raises
    ------
    InputError
        Names the first mismatch, and says so where the atoms are the same ones in another order.
    """
    if len(reactant) != len(product):
        raise InputError(
            "ends-differ", f"the reactant has {len(reactant)} atoms and the product {len(product)}; give the same atoms"
        )
    differing = np.flatnonzero(reactant.numbers != product.numbers)
    if len(differing):
        first = differing[0]
        permuted = sorted(reactant.numbers) == sorted(product.numbers)
        advice = "they hold the same atoms in another order: reorder the product" if permuted else "give the same atoms"
        raise InputError(
            "ends-differ",
            f"atom {first} is {reactant.symbols[first]} in the reactant and {product.symbols[first]} in the product; "
            + advice,
        )
    if (reactant.pbc != product.pbc).any():
        raise InputError(
            "ends-differ",
            f"the reactant is periodic along {reactant.pbc} and the product along {product.pbc}; make them the same",
        )
    for axis in np.flatnonzero(reactant.pbc):
        if not np.allclose(reactant.cell[axis], product.cell[axis], atol=1e-6):
            raise InputError(
                "ends-differ",
                f"cell vector {axis} is {reactant.cell[axis]} in the reactant and {product.cell[axis]} in the product; "
                "a path needs one cell: relax both ends in the same one",
            )
    if product.constraints and _constraint_texts(product) != _constraint_texts(reactant):
        raise InputError(
            "ends-differ", "the constraints of reactant and product differ; give both the same, or the reactant only"
        )


def _constraint_texts(atoms: Atoms) -> list[str]:
    return [str(constraint.todict()) for constraint in atoms.constraints]


def is_free(atoms: Atoms) -> bool:
    """Tell whether the energy cannot depend on position and orientation: an isolated molecule without constraints."""
    return not atoms.pbc.any() and not atoms.constraints


def displacement(start: Atoms, end: Atoms) -> np.ndarray:
    """Compute how each atom moves from `start` to `end`, (N, 3) Angstrom, the shortest way through the boundaries."""
    vectors, _ = find_mic(end.positions - start.positions, start.cell, start.pbc)
    return np.asarray(vectors)


def superpose(reactant: Atoms, product: Atoms, *, rotate: bool) -> None:
    """Move the product (in place) next to the reactant, so that the path between them holds no needless motion.

    Periodic: each atom goes to its periodic image nearest to where it starts.

    Parameters
    ----------
    reactant, product
        The ends; the product moves.
    rotate
        Isolated molecules: apply the rotation and translation of least root-mean-square displacement (Kabsch).

    Raises
    ------
    InputError
        The ends are the same structure, or an atom that is fixed moves between them.
    """
    if rotate:
        minimize_rotation_and_translation(reactant, product)
    moves = displacement(reactant, product)
    product.set_positions(reactant.positions + moves, apply_constraint=False)
    lengths = np.linalg.norm(moves, axis=1)
    if lengths.max() < SAME_A:
        raise InputError(
            "ends-equal",
            f"reactant and product are the same structure (no atom moves by more than {lengths.max():.1e} Angstrom); "
            "give two different minima",
        )
    for constraint in reactant.constraints:
        if isinstance(constraint, FixAtoms):
            worst = constraint.index[np.argmax(lengths[constraint.index])]
            if lengths[worst] > SAME_A:
                raise InputError(
                    "ends-differ",
                    f"atom {worst} is fixed, but lies {lengths[worst]:.3f} Angstrom apart in reactant and product; "
                    "put it on the same spot in both",
                )


def prepare_ends(reactant: Atoms, product: Atoms, calc: Any) -> tuple[Atoms, Atoms]:
    """Copy and check the ends, and attach one calculator to both.

    Raises
    ------
    InputError
        From `prepare_atoms` and `check_ends`.
    """
    start = prepare_atoms(reactant, calc, "the reactant")
    end = prepare_atoms(product, start.calc, "the product")
    check_same_state(start, end)
    check_ends(start, end)
    return start, end


def align_product(ends: tuple[Atoms, Atoms], *, rotate: bool, when: str = "") -> None:
    """Superpose the product on the reactant, and check that this leaves its energy as it was.

    Parameters
    ----------
    ends
        Reactant and product, on one calculator.
    rotate
        Turn the product, too.
    when
        What messages of errors begin with.

    Raises
    ------
    InputError
        From `superpose`; the energy depends on position or orientation.
    """
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
            "depends on position or orientation in space; put the product where it belongs and set align=False",
        )


def relaxed_ends(ends: tuple[Atoms, Atoms], fmax: float, run: RunDirectory, *, rotate: bool) -> tuple[Atoms, Atoms]:
    """Relax reactant and product to `fmax` (eV/Angstrom) and superpose them again."""
    ends = (relaxed(ends[0], fmax, run, "reactant"), relaxed(ends[1], fmax, run, "product"))
    align_product(ends, rotate=rotate, when="after relaxing, ")
    return ends


def relaxed(atoms: Atoms, fmax: float, run: RunDirectory, name: str) -> Atoms:
    """Relax an end of a path on its own calculator to `fmax` (eV/Angstrom), and say so in the log of `run`."""
    result = optimize(atoms, atoms.calc, fmax=fmax, progress=False)
    run.log(f"{name}: {result.fmax_eV_A:.4f} eV/Angstrom after {result.steps} steps of relaxation")
    minimum = result.atoms.copy()
    minimum.calc = atoms.calc
    return minimum
