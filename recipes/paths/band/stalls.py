"""Why a band does not get on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp_sim.recipes.inputs.failed_evaluations import is_failure
from dp_sim.recipes.paths.band.chain import Band

#: A path that bends by more than this at an image, degrees, has a kink there.
KINK_DEG = 75.0
#: A dip between two maxima counts as an intermediate when it is this deep on both sides, eV.
DIP_EV = 0.01
#: An image is moved so far, Angstrom, to compare energies with forces; they contradict each other from this share on.
_PROBE_A, _SHARE = 0.01, 0.3


def dips_of(energies: NDArray[np.float64], depth: float = DIP_EV) -> tuple[int, ...]:
    """Find the images at the bottom of a dip between two maxima that is deeper than `depth`, eV, on both sides."""
    e = energies
    return tuple(
        k
        for k in range(1, len(e) - 1)
        if e[k] <= min(e[k - 1], e[k + 1]) and e[k] < min(e[:k].max(), e[k + 1 :].max()) - depth
    )


def bends(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the angles (M - 2,), degrees, by which a path of M images (M, N, 3) bends at each; 0 is straight."""
    legs = np.diff(positions, axis=0).reshape(len(positions) - 1, -1)
    legs = legs / np.maximum(np.linalg.norm(legs, axis=1), 1e-12)[:, None]
    return np.asarray(np.degrees(np.arccos(np.clip((legs[1:] * legs[:-1]).sum(axis=1), -1, 1))))


def why_stalled(band: Band) -> str:
    """Look for the reason why the forces on a band no longer fall, as a clause with what to do."""
    positions = np.array([image.positions for image in band.images])
    turns = bends(positions)
    sharpest = int(np.argmax(turns)) + 1
    if dips := dips_of(np.array(band.energies)):
        return (
            f"image {dips[0]} lies in a dip between two maxima, an intermediate, and its neighbours slide towards it; "
            "relax that image, and find a path to it and one from it"
        )
    if turns[sharpest - 1] > KINK_DEG:
        return f"the path has a kink of {turns[sharpest - 1]:.0f} degrees at image {sharpest}; take more images"
    if _is_noisy(band):
        return (
            "the energy does not follow the forces there: they are too noisy, or not its derivative; raise fmax, or "
            "the calculator's precision"
        )
    return "the force goes up and down without falling; take more images, the other method, or another first path"


def _is_noisy(band: Band) -> bool:
    """Move the highest image along its force, both ways, and compare the energies: two evaluations."""
    image = band.images[band.top].copy()
    image.set_constraint()
    forces = band.images[band.top].calc.results["forces"]
    length = float(np.linalg.norm(forces))
    if length < 1e-6:
        return False
    energies = []
    place: Any = image.positions.copy()
    for sign in (1, -1):
        image.positions = place + sign * _PROBE_A * forces / length
        try:
            energies.append(float(band.calculator.get_potential_energy(image)))
        except Exception as error:
            if not is_failure(error):
                raise
            return False
    expected = 2 * _PROBE_A * length
    return abs(energies[1] - energies[0] - expected) > _SHARE * expected
