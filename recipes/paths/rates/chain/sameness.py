"""A reaction coordinate laid on minima that are known: the numbers of like atoms, mirror images, and its direction.

None of the three changes an energy. A coordinate that ends at a known minimum with other numbers, or at its mirror
image, is renumbered and mirrored as a whole, so that its other end is what is reached from the minimum as it is known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import NDArray

from dp_sim.recipes.paths.band.ends import is_free
from dp_sim.recipes.paths.irc.result import IrcResult
from dp_sim.recipes.paths.matching import SAME_DISTANCES_A, difference, same_structure
from dp_sim.recipes.paths.rates.joined import SAME_EV

#: The mirror image is taken where it lies nearer by this, Angstrom: a flat molecule is its own.
NEARER_A = 0.02


class Placement(NamedTuple):
    """How a structure becomes another one.

    Attributes
    ----------
    order
        (N,) atom `order[k]` becomes atom k.
    mirrored
        Whether all is mirrored.
    """

    order: NDArray[np.intp]
    mirrored: bool


def labelled_difference(first: Atoms, second: Atoms) -> float:
    """Compute the largest difference of a distance, Angstrom, atom k taken for atom k; mirror images are the same."""
    mic = bool(first.pbc.any())
    return float(np.abs(first.get_all_distances(mic=mic) - second.get_all_distances(mic=mic)).max())


def same_energy(first: Atoms, second: Atoms) -> bool:
    """Tell whether two structures have the energies of one minimum."""
    return abs(float(first.get_potential_energy()) - float(second.get_potential_energy())) <= SAME_EV


def placement(end: Atoms, minimum: Atoms) -> Placement | None:
    """Find how a structure is to be renumbered and mirrored to be a minimum, atom by atom; None where it is another.

    Parameters
    ----------
    end, minimum
        With their energies.
    """
    if not same_energy(end, minimum) or difference([end], [minimum]) > SAME_DISTANCES_A:
        return None
    best, nearest = None, np.inf
    for mirrored in (False, True) if is_free(end) else (False,):
        image = _mirrored(end) if mirrored else end
        numbered = labelled_difference(image, minimum) <= SAME_DISTANCES_A
        found = same_structure(minimum, image, relabel=not numbered)
        if labelled_difference(image[found.permutation], minimum) > SAME_DISTANCES_A:
            continue
        if found.rmsd_A < nearest - NEARER_A:
            best, nearest = Placement(found.permutation, mirrored), found.rmsd_A
    return best


def moved(atoms: Atoms, how: Placement) -> Atoms:
    """Renumber and mirror a structure with its energy and forces."""
    image = (_mirrored(atoms) if how.mirrored else atoms)[how.order]
    known = {name: value for name, value in atoms.calc.results.items() if name in ("energy", "forces")}
    if "forces" in known:
        known["forces"] = (-1 if how.mirrored else 1) * known["forces"][how.order]
    image.calc = SinglePointCalculator(image, **known)
    return image


def _mirrored(atoms: Atoms) -> Atoms:
    """Mirror a molecule that is alone in space, through the origin."""
    image = atoms.copy()
    image.positions *= -1
    return image


def moved_irc(irc: IrcResult, how: Placement) -> IrcResult:
    """Renumber and mirror a reaction coordinate."""
    return replace(
        irc,
        images=tuple(moved(image, how) for image in irc.images),
        reactant=moved(irc.reactant, how),
        product=moved(irc.product, how),
        reactant_comparison=None,
        product_comparison=None,
    )


def reversed_irc(irc: IrcResult) -> IrcResult:
    """Take a reaction coordinate the other way round."""
    return replace(
        irc,
        images=irc.images[::-1],
        energies=irc.energies[::-1],
        arc_length=-irc.arc_length[::-1],
        reactant=irc.product,
        product=irc.reactant,
        reactant_frequencies_cm1=irc.product_frequencies_cm1,
        product_frequencies_cm1=irc.reactant_frequencies_cm1,
        reactant_comparison=irc.product_comparison,
        product_comparison=irc.reactant_comparison,
    )
