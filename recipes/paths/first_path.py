"""From two end structures to a first path: checks, superposition, interpolation.

The ends must describe the same atoms in the same order, because image i of a path moves atom k from its place in the
reactant to its place in the product.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.constraints import FixAtoms
from ase.data import covalent_radii
from ase.geometry import find_mic
from ase.mep.neb import NEB, idpp_interpolate, interpolate

from dp_sim.errors import InputError, import_optional, nearest_name

INTERPOLATIONS = ("idpp", "linear", "geodesic")

#: Two atoms closer than this fraction of the sum of their covalent radii pass through each other, which no path does.
CONTACT = 0.6
#: How far a straight path that has such a contact is pushed aside at its middle, Angstrom.
NUDGE_A = 0.3
#: The ends are the same structure, or a fixed atom has stayed, where atoms move less than this, Angstrom.
SAME_A = 1e-2


def check_ends(reactant: Atoms, product: Atoms) -> None:
    """The ends hold the same atoms in the same order, in the same cell, with the same constraints.

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
    if product.constraints and _described(product) != _described(reactant):
        raise InputError(
            "ends-differ", "the constraints of reactant and product differ; give both the same, or the reactant only"
        )


def _described(atoms: Atoms) -> list[str]:
    return [str(constraint.todict()) for constraint in atoms.constraints]


def is_free(atoms: Atoms) -> bool:
    """An isolated molecule whose place and orientation do not matter: not periodic, nothing held."""
    return not atoms.pbc.any() and not atoms.constraints


def displacement(start: Atoms, end: Atoms) -> np.ndarray:
    """How each atom moves from `start` to `end`, (N, 3) Angstrom; the shortest way through periodic boundaries."""
    vectors, _ = find_mic(end.positions - start.positions, start.cell, start.pbc)
    return np.asarray(vectors)


def superpose(reactant: Atoms, product: Atoms, *, rotate: bool) -> None:
    """Move the product (in place) next to the reactant, so that the path between them holds no needless motion.

    Periodic: each atom goes to its periodic image nearest to where it starts. With `rotate` (isolated molecules): the
    rotation and translation of least root-mean-square displacement (Kabsch).

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


def check_interpolation(name: str, reactant: Atoms) -> None:
    """Refuse an interpolation that does not exist, or that these structures or this installation do not allow."""
    if name not in INTERPOLATIONS:
        raise InputError(
            "choice-unknown",
            f"interpolation '{name}' is not known; expected one of {', '.join(INTERPOLATIONS)}"
            + nearest_name(name, INTERPOLATIONS),
        )
    if name == "geodesic":
        if not is_free(reactant):
            raise InputError(
                "interpolation-unsupported",
                "geodesic interpolation is for isolated molecules without constraints; use idpp here",
            )
        _geodesic_module()


def _geodesic_module() -> Any:
    return import_optional("geodesic_interpolate.geodesic", extra="paths", purpose="geodesic interpolation")


def first_path(
    reactant: Atoms, product: Atoms, *, images: int, interpolation: str, rotate: bool, seed: int
) -> list[Atoms]:
    """A path of `images` structures, both ends included, from `reactant` to the superposed `product`.

    interpolation   "linear" in Cartesian coordinates; "idpp": pair distances as linear as possible (Smidstrup et al.,
                    J. Chem. Phys. 140, 214106 (2014)); "geodesic": the shortest path in redundant internal coordinates
                    (Zhu et al., J. Chem. Phys. 150, 164103 (2019)), started from idpp
    rotate          isolated molecules: also turn each image onto the one before it
    seed            of the push by which a straight path is made to avoid atoms that would pass through each other
    """
    path = [reactant.copy() for _ in range(images - 1)] + [product.copy()]
    path[-1].set_constraint(reactant.constraints)
    interpolate(path, apply_constraint=False)
    if any(_has_contact(image) for image in path[1:-1]):
        _push_aside(path, np.random.default_rng(seed))
    if interpolation != "linear":
        idpp_interpolate(NEB(path, method="improvedtangent"), traj=None, log=None, mic=bool(reactant.pbc.any()))
    if interpolation == "geodesic":
        _geodesic(path)
    if rotate:
        for before, image in itertools.pairwise(path):
            minimize_rotation_and_translation(before, image)
    return path


def _has_contact(atoms: Atoms) -> bool:
    radii = covalent_radii[atoms.numbers]
    distances = atoms.get_all_distances(mic=bool(atoms.pbc.any()))
    np.fill_diagonal(distances, np.inf)
    return bool((distances < CONTACT * (radii[:, None] + radii)).any())


def _push_aside(path: Sequence[Atoms], rng: np.random.Generator) -> None:
    """Bend a straight path in one random direction of configuration space, as a half sine from end to end.

    Without this an atom that has to go around another one (HCN to HNC) goes through it: on the straight line all
    forces that could bend the path vanish by symmetry.
    """
    direction = rng.normal(size=path[0].positions.shape)
    direction *= NUDGE_A / np.linalg.norm(direction, axis=1).max()
    for index, image in enumerate(path):
        image.set_positions(image.positions + np.sin(np.pi * index / (len(path) - 1)) * direction)


def _geodesic(path: Sequence[Atoms]) -> None:
    """Replace the images (in place) by those of the geodesic; all are turned and moved onto the first."""
    centre = path[0].positions.mean(axis=0)
    geodesic = _geodesic_module().Geodesic(path[0].get_chemical_symbols(), [image.positions for image in path])
    for image, positions in zip(path, geodesic.smooth(tol=2e-3, max_iter=30), strict=True):
        image.positions = positions + centre
