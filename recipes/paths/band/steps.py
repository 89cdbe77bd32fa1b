"""A path in steps: bands between neighbouring minima, where a first one has shown an intermediate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms

from dp_sim.recipes.paths.band.chain import BAND, Band, make_band
from dp_sim.recipes.paths.band.ends import END_FMAX, displacement, is_one_minimum, relax, superpose
from dp_sim.recipes.paths.band.relaxation import Relaxation, optimize_band
from dp_sim.recipes.paths.band.resolution import bent_legs, refined
from dp_sim.recipes.run.directory import RunDirectory

#: A path is cut at an image this deep between two maxima, eV: a minimum of its own, not a ripple.
CUT_EV = 0.05
#: Steps that a path is cut into, at most.
MOST_STEPS = 6
#: An image that moves farther than this as it relaxes, Angstrom, leads off the path: there is no cut.
ON_PATH_A = 0.4
#: A path that was cut is worse than the one in one piece where it is higher by this, eV: other bonds broke.
HIGHER_EV = 0.2
#: No image is added to a band of so many because its highest point is hidden.
MOST_REFINED = 15
#: Images of a step, at least.
LEAST_IMAGES = 5


@dataclass
class StepSearch:
    """The bands of a path.

    Parameters
    ----------
    interpolated
        Makes the first path between two ends, of so many images where their number is given for the whole path.
    refine
        Add images where a band does not get on for want of them.
    rotate
        Turn each end onto the one before it.
    steps
        Most steps of the solver in all.
    run, progress
        Of the recipe.

    Attributes
    ----------
    bands, endings
        Of each step of the path, in order.
    evaluations, seconds
        Of the bands and intermediates that are not among `bands` any more.
    """

    interpolated: Callable[[tuple[Atoms, Atoms], int], list[Atoms]]
    refine: bool
    rotate: bool
    fmax: float
    steps: int
    run: RunDirectory
    progress: bool
    bands: list[Band] = field(default_factory=list)
    endings: list[Relaxation] = field(default_factory=list)
    evaluations: int = 0
    seconds: float = 0.0
    taken: int = 0

    def search(self, band: Band, climbing: bool, file: str | None = BAND) -> None:
        """Relax a band; where it has an intermediate, relax that, and search a path to it and one from it."""
        deep = CUT_EV if len(self.bands) + 1 < MOST_STEPS else np.inf
        ending = self._relaxed(band, climbing, file, deep)
        while ending.hidden is not None:
            self._forget(band)
            band = refined(band, [ending.hidden])
            self.run.log(f"the highest point lies between two images, far from both: again with {band.nimages} images")
            ending = self._relaxed(band, False, file, deep)
        if ending.dip is not None:
            if (middle := self._intermediate(band, ending.dip)) is not None:
                before, top = len(self.bands), float(max(band.energies))
                self._cut(band, ending.dip, middle)
                higher = max(float(max(one.energies)) for one in self.bands[before:]) - top
                if higher < HIGHER_EV:
                    return
                self.run.note(f"cut there, the path is {higher:.2f} eV higher than in one piece: it stays in one piece")
                for one in self.bands[before:]:
                    self._forget(one)
                del self.bands[before:], self.endings[before:]
                self.evaluations -= band.evaluations  # which `_cut` has counted, and the band goes on
                self.seconds -= band.seconds
            ending = self._relaxed(band, climbing, file, np.inf)
        if ending.stall and self.refine:
            self._forget(band)
            band = refined(band, bent_legs(band))
            self.run.log(f"the band did not get on ({ending.stall}); again with {band.nimages} images")
            ending = self._relaxed(band, False, file, np.inf)
        self.bands.append(band)
        self.endings.append(ending)

    def _relaxed(self, band: Band, climbing: bool, file: str | None, cut_eV: float) -> Relaxation:
        left = max(0, self.steps - self.taken)
        more = self.refine and band.nimages < MOST_REFINED
        ending = optimize_band(
            band, climbing, left, self.run, self.progress, file=file, cut_eV=cut_eV, look_for_hidden=more
        )
        self.taken += ending.steps
        return ending

    def _forget(self, band: Band) -> None:
        self.evaluations += band.evaluations
        self.seconds += band.seconds

    def _intermediate(self, band: Band, dip: int) -> Atoms | None:
        """Relax the image in a dip; None where it runs off the path or into one of the ends."""
        atoms = band.images[dip].copy()
        atoms.calc = band.calculator
        found = relax(atoms, min(self.fmax, END_FMAX), self.run, f"image {dip}, in a dip between two maxima,")
        self.evaluations += found.evaluations
        moved = float(np.linalg.norm(displacement(band.images[dip], found.atoms), axis=1).max())
        if moved > ON_PATH_A:
            self.run.log(f"it moved by {moved:.2f} Angstrom, off the path: no cut there")
            return None
        for end in (band.images[0], band.images[-1]):
            there = end.copy()
            there.calc = band.calculator
            if is_one_minimum((there, found.atoms), rotate=self.rotate):
                return None
        return found.atoms

    def _cut(self, band: Band, dip: int, middle: Atoms) -> None:
        energy = float(middle.get_potential_energy()) - float(band.energies[0])
        self.run.note(
            f"there is an intermediate on the way, {energy:+.3f} eV from the reactant: the path is cut there, and each "
            "step has a band and a saddle point of its own"
        )
        self._forget(band)
        first, last = band.images[0].copy(), band.images[-1].copy()
        counts = (dip + 1, band.nimages - dip)
        for start, end, count in ((first, middle, counts[0]), (middle, last, counts[1])):
            moved = end.copy()
            superpose(start, moved, rotate=self.rotate)
            if end is middle:
                middle = moved
            path = self.interpolated((start, moved), max(count, LEAST_IMAGES))
            self.search(make_band(path, band.calculator, band.method_name, band.bounds), False, None)

    def images(self) -> list[Atoms]:
        """List the images of all steps, one after another; each minimum once."""
        path = list(self.bands[0].images)
        for band in self.bands[1:]:
            path += band.images[1:]
        return path
