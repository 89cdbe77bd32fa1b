"""Whether the images of a band show its highest point, and more images where they do not."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from dp_sim.recipes.paths.band.chain import Band
from dp_sim.recipes.paths.band.ends import displacement
from dp_sim.recipes.paths.band.stalls import bends

#: A leg between two images hides the highest point of the path where the energies and slopes at its ends make it rise
#: by more than this above all images, eV.
HIDDEN_EV = 0.1
#: Parts of a leg on which its cubic is looked at.
_PARTS = 100


def hiding_leg(band: Band) -> int | None:
    """Find the leg between two images that hides the highest point of a path that has been evaluated.

    Along a leg of length L the energy is the cubic with the energies E_0, E_1 and the slopes E'_0, E'_1 at its ends
    (Hermite's), u = s/L:

        E(u) = (1 - 3 u^2 + 2 u^3) E_0 + (3 u^2 - 2 u^3) E_1 + (u - 2 u^2 + u^3) L E'_0 + (u^3 - u^2) L E'_1.

    Returns
    -------
    int or None
        Leg k joins the images k and k + 1; None where no leg rises above the images.
    """
    u = np.linspace(0, 1, _PARTS + 1)
    ends = np.array([1 - 3 * u**2 + 2 * u**3, 3 * u**2 - 2 * u**3, u - 2 * u**2 + u**3, u**3 - u**2])
    peaks = []
    for one, two in zip(band.images[:-1], band.images[1:], strict=True):
        way = displacement(one, two)
        energies = [image.calc.results["energy"] for image in (one, two)]
        rises = [-float(np.vdot(image.calc.results["forces"], way)) for image in (one, two)]
        peaks.append(float((np.array([*energies, *rises]) @ ends).max()))
    leg = int(np.argmax(peaks))
    return leg if peaks[leg] > max(band.energies) + HIDDEN_EV else None


def refined(band: Band, legs: Iterable[int]) -> Band:
    """Make a band that has an image more halfway along each of these legs."""
    path = []
    for k, image in enumerate(band.images):
        path.append(image)
        if k in legs:
            halfway = image.copy()
            halfway.set_positions(image.positions + displacement(image, band.images[k + 1]) / 2, apply_constraint=False)
            path.append(halfway)
    for end in (path[0], path[-1]):
        assert isinstance(end.calc, SinglePointCalculator)  # the ends keep their energies
    return Band(path, band.calculator, band.method_name, band.bounds)


def bent_legs(band: Band) -> set[int]:
    """List the legs on both sides of the sharpest bend and of the highest image."""
    turns = bends(np.array([image.positions for image in band.images]))
    return {leg for spot in (int(np.argmax(turns)) + 1, band.top) for leg in (spot - 1, spot)}
