"""The ends of a path: checked, superposed, relaxed."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.constraints import FixAtoms
from ase.geometry import find_mic

from dp_sim.errors import InputError
from dp_sim.recipes.inputs.charges import check_same_state
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.paths.band.order import check_same_atoms, check_same_masses, ordered_product
from dp_sim.recipes.paths.matching.bond_graph import bond_matrix, changed_bonds
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.static.opt import optimize
from dp_sim.structures.stated import CHARGE_ROUNDING

#: The ends are relaxed to this force (eV/Angstrom), or to `fmax` if smaller: both barriers are measured from them.
END_FMAX = 0.01
#: Turning a molecule must not change its energy by more than this, eV: far above rounding, far below a barrier.
TURN_EV = 5e-3
#: The ends are the same structure, or a fixed atom has stayed, where atoms move less than this, Angstrom.
SAME_A = 1e-2
#: Ends that were relaxed are the same minimum where atoms move less (Angstrom) and the energy is as near (eV).
SAME_MINIMUM_A, SAME_MINIMUM_EV = 0.1, 2e-3


def check_constraints(reactant: Atoms, product: Atoms) -> None:
    """Refuse a product with other constraints than the reactant, whose constraints hold along the whole path.

    Raises
    ------
    InputError
        `ends-differ`.
    """
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


def prepare_ends(reactant: Atoms, product: Atoms, calc: Any, *, match: bool) -> tuple[tuple[Atoms, Atoms], str]:
    """Copy and check the ends, bring their atoms into one order, and attach one calculator to both.

    Parameters
    ----------
    reactant, product
        As given.
    calc
        As for `as_calculator`.
    match
        Relabel like atoms of the product as is best.

    Returns
    -------
    ends : tuple of Atoms
        Reactant and product.
    note : str
        On the order of the atoms, for the page.

    Raises
    ------
    InputError
        From `prepare_atoms`, `check_same_state`, and the checks of this module and of `order`.
    """
    start = prepare_atoms(reactant, calc, "the reactant")
    end = prepare_atoms(product, start.calc, "the product")
    check_same_state(start, end)
    _check_same_moments(start, end)
    check_same_atoms(start, end)
    end, note = ordered_product(start, end, match=match)
    check_same_masses(start, end)
    check_constraints(start, end)
    return (start, end), note


def _check_same_moments(reactant: Atoms, product: Atoms) -> None:
    """Refuse charges or magnetic moments on the atoms that sum to different totals: calculators read these."""
    for array, what, unit in (("initial_charges", "charges", "e"), ("initial_magmoms", "magnetic moments", "mu_B")):
        totals = [float(np.sum(atoms.arrays[array])) if array in atoms.arrays else 0.0 for atoms in (reactant, product)]
        if abs(totals[0] - totals[1]) > CHARGE_ROUNDING:
            raise InputError(
                "charge-differs",
                f"the {what} on the atoms sum to {totals[0]:g} {unit} in the reactant and to {totals[1]:g} {unit} in "
                "the product; one path has one charge and one spin: give both ends the same",
            )


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


def relaxed_ends(ends: tuple[Atoms, Atoms], fmax: float, run: RunDirectory, *, rotate: bool) -> RelaxedEnds:
    """Relax reactant and product to `fmax` (eV/Angstrom), and superpose them again.

    Raises
    ------
    InputError
        `ends-equal`: both relax into one minimum.
    """
    start, count = time.monotonic(), 0
    causes, minima = [], []
    for name, end in zip(("reactant", "product"), ends, strict=True):
        found = relax(end, fmax, run, name)
        count += found.evaluations
        minima.append(found.atoms)
        if found.cause:
            causes.append(f"the {name} did not relax ({found.cause}), so it is no end of a path")
        if lines := _changed_words(end, found.atoms):
            run.note(f"relaxing the {name} changed its bonds: {lines}; the path is that of what it relaxed to")
    relaxed_pair = (minima[0], minima[1])
    align_product(relaxed_pair, rotate=rotate, when="after relaxing, ")
    _refuse_one_minimum(relaxed_pair)
    return RelaxedEnds(relaxed_pair, causes, count, time.monotonic() - start)


class RelaxedEnds(NamedTuple):
    """Both ends after relaxation.

    Attributes
    ----------
    ends
        Reactant and product.
    causes
        Why one of them is no end of a path, as sentences.
    evaluations, seconds
        What it took.
    """

    ends: tuple[Atoms, Atoms]
    causes: list[str]
    evaluations: int
    seconds: float


class Relaxed(NamedTuple):
    """A structure after relaxation, on its own calculator; `cause` says why it is not at rest, empty where it is."""

    atoms: Atoms
    cause: str
    evaluations: int


def relaxed(atoms: Atoms, fmax: float, run: RunDirectory, name: str) -> Atoms:
    """Relax a structure as `relax` does, and return it alone."""
    return relax(atoms, fmax, run, name).atoms


def relax(atoms: Atoms, fmax: float, run: RunDirectory, name: str) -> Relaxed:
    """Relax a structure on its own calculator to `fmax` (eV/Angstrom), and say so in the log of `run`."""
    result = optimize(atoms, atoms.calc, fmax=fmax, progress=False)
    run.log(f"{name}: {result.fmax_eV_A:.4f} eV/Angstrom after {result.steps} steps of relaxation")
    minimum = result.atoms.copy()
    minimum.calc = atoms.calc
    return Relaxed(minimum, result.cause, result.steps + 1)


def _changed_words(before: Atoms, after: Atoms) -> str:
    """Say which bonds relaxation has changed; empty for none, and for crystals, whose bonds are a matter of taste."""
    if before.pbc.any():
        return ""
    broken, formed = changed_bonds(bond_matrix(before), bond_matrix(after), np.arange(len(before)))
    names = [f"{before.symbols[i]}{i}-{before.symbols[j]}{j}" for i, j in (*broken, *formed)]
    parts = [f"{name} broke" for name in names[: len(broken)]] + [f"{name} formed" for name in names[len(broken) :]]
    return ", ".join(parts)


def is_one_minimum(pair: tuple[Atoms, Atoms], *, rotate: bool) -> bool:
    """Tell whether two relaxed structures, each with its calculator, are one minimum, atom for atom."""
    first, second = pair
    laid = second.copy()
    if rotate:
        minimize_rotation_and_translation(first, laid)
    moved = float(np.linalg.norm(displacement(first, laid), axis=1).max())
    difference = abs(float(second.get_potential_energy()) - float(first.get_potential_energy()))
    return moved < SAME_MINIMUM_A and difference < SAME_MINIMUM_EV


def _refuse_one_minimum(ends: tuple[Atoms, Atoms]) -> None:
    if is_one_minimum(ends, rotate=False):
        reactant, product = ends
        moved = float(np.linalg.norm(displacement(reactant, product), axis=1).max())
        difference = abs(product.get_potential_energy() - reactant.get_potential_energy())
        raise InputError(
            "ends-equal",
            f"reactant and product relax into one minimum (no atom lies more than {moved:.2g} Angstrom apart, and the "
            f"energies {1000 * difference:.2g} meV); give two different minima",
        )
