"""The first path between two structures, by interpolation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.data import covalent_radii
from ase.mep.neb import NEB, idpp_interpolate, interpolate
from numpy.typing import NDArray

from dp_sim.errors import InputError, MissingPackageError, import_optional, nearest_name
from dp_sim.recipes.paths.band.ends import is_free

INTERPOLATIONS = ("auto", "geodesic", "idpp", "linear")
#: `auto` takes the geodesic up to so many atoms: its cost grows with the square of their number.
MOST_ATOMS_OF_GEODESIC = 60

#: Two atoms closer than this fraction of the sum of their covalent radii pass through each other, which no path does.
CONTACT = 0.6
#: How far a straight path that has such a contact is pushed aside at its middle, Angstrom.
NUDGE_A = 0.3


def check_interpolation(name: str, reactant: Atoms) -> None:
    """Refuse an interpolation that does not exist, or that these structures or this installation do not allow.

    Parameters
    ----------
    name
        One of INTERPOLATIONS.
    reactant
        One end of the path.

    Raises
    ------
    InputError
        The name is unknown, the method is not for such structures, or its package is not installed.
    """
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


def chosen_interpolation(name: str, reactant: Atoms) -> tuple[str, str]:
    """Return the interpolation that `name` stands for, and what the page should say of the choice.

    `auto`: the geodesic of isolated molecules, IDPP of everything else.
    """
    if name != "auto":
        return name, ""
    if not is_free(reactant) or len(reactant) > MOST_ATOMS_OF_GEODESIC:
        return "idpp", ""
    try:
        _geodesic_module()
    except MissingPackageError as error:
        return "idpp", f"first path by IDPP, because the geodesic needs a package: {error}"
    return "geodesic", ""


def _geodesic_module() -> Any:
    return import_optional("geodesic_interpolate.geodesic", extra="paths", purpose="geodesic interpolation")


def first_path(
    reactant: Atoms, product: Atoms, *, images: int, interpolation: str, rotate: bool, seed: int
) -> list[Atoms]:
    """Interpolate between two structures.

    Parameters
    ----------
    reactant, product
        The ends, superposed.
    images
        Structures on the path, both ends included.
    interpolation
        "linear": in Cartesian coordinates. "idpp": pair distances as linear as possible (Smidstrup et al., J. Chem.
        Phys. 140, 214106 (2014)). "geodesic": the shortest path in redundant internal coordinates (Zhu et al.,
        J. Chem. Phys. 150, 164103 (2019)), started from idpp.
    rotate
        Isolated molecules: turn each image onto the one before it.
    seed
        Of the random direction in which a path is bent where atoms would pass through each other.

    Returns
    -------
    list of Atoms
        The path from reactant to product, without calculators.
    """
    path = [reactant.copy() for _ in range(images - 1)] + [product.copy()]
    path[-1].set_constraint(reactant.constraints)
    interpolate(path, apply_constraint=False)
    if any(_has_contact(image) for image in path[1:-1]):
        _push_aside(path, np.random.default_rng(seed))
    if interpolation == "linear":
        _refuse_contacts(path)
    else:
        idpp_interpolate(NEB(path, method="improvedtangent"), traj=None, log=None, mic=bool(reactant.pbc.any()))
    if interpolation == "geodesic":
        _geodesic(path)
    if rotate:
        for before, image in itertools.pairwise(path):
            minimize_rotation_and_translation(before, image)
    return path


def _has_contact(atoms: Atoms) -> bool:
    return bool(_relative_distances(atoms).min() < CONTACT)


def _relative_distances(atoms: Atoms) -> NDArray[np.float64]:
    """Compute the distances (N, N) over the sums of covalent radii; infinite of an atom from itself."""
    radii = covalent_radii[atoms.numbers]
    distances = atoms.get_all_distances(mic=bool(atoms.pbc.any()))
    np.fill_diagonal(distances, np.inf)
    return np.asarray(distances / (radii[:, None] + radii))


def _refuse_contacts(path: Sequence[Atoms]) -> None:
    """Refuse a straight path on which atoms run through each other, pushed aside as it may be.

    Raises
    ------
    InputError
        `path-through-atoms`.
    """
    nearest = [_relative_distances(image) for image in path]
    worst = int(np.argmin([one.min() for one in nearest[1:-1]])) + 1
    if nearest[worst].min() >= CONTACT:
        return
    i, j = np.unravel_index(np.argmin(nearest[worst]), nearest[worst].shape)
    length = path[worst].get_distance(i, j, mic=bool(path[worst].pbc.any()))
    raise InputError(
        "path-through-atoms",
        f"on the straight line between the ends, atoms {i} and {j} ({path[worst].symbols[i]}, "
        f"{path[worst].symbols[j]}) come within {length:.2f} Angstrom at image {worst}; take interpolation idpp or "
        "geodesic",
    )


def _push_aside(path: Sequence[Atoms], rng: np.random.Generator) -> None:
    """Bend a straight path in one random direction of configuration space, as a half sine from end to end.

    Otherwise an atom that has to go around another one (HCN to HNC) would go through it: on the straight line the
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
