"""The nudged elastic band: its forces, its optimisation, and its file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.io import iread
from ase.mep.neb import NEB, NEBOptimizer
from numpy.typing import NDArray

from dp_sim.recipes.inputs.failed_evaluations import WayBack
from dp_sim.recipes.inputs.forces import energies_and_forces
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import Advance, progress_bar

#: The plain band hands over to the climbing one at this multiple of `fmax`: its highest image is then near the saddle.
PLAIN_FACTOR = 5.0
#: The band is saved in this file every so many steps.
BAND = "band.extxyz"
SAVE_EVERY = 10


class BandState(NamedTuple):
    """The moving images at one step.

    Attributes
    ----------
    positions
        (n_moving N, 3) Angstrom, one image after another.
    results
        Energy, eV, and forces (N, 3), eV/Angstrom, of each image.
    """

    positions: np.ndarray
    results: list[tuple[float, NDArray[np.float64]]]


class Band(NEB):
    """ASE's band on one calculator, which evaluates all images together before ASE asks each of them.

    Attributes
    ----------
    largest_force
        Largest force on an atom, eV/Angstrom, over all moving images: NEB.residuals leaves out the climbing one.
    evaluated
        The last positions that were evaluated, and the results there; None before the first.
    """

    largest_force = np.inf

    def __init__(self, path: list[Atoms], calculator: Any) -> None:
        super().__init__(path, method="improvedtangent")
        self.calculator = calculator
        self.evaluated: BandState | None = None

    def get_forces(self) -> np.ndarray:
        """Compute the forces on all moving images, one after another (n_moving N, 3), eV/Angstrom."""
        moving = self.images[1:-1]
        names = [f"image {number}" for number in range(1, len(moving) + 1)]  # the reactant is image 0
        positions = self.get_positions()
        if self.evaluated is None or not np.array_equal(positions, self.evaluated.positions):
            results = list(energies_and_forces(moving, self.calculator, names))
            self.evaluated = BandState(positions, results)
        for image, (energy, forces) in zip(moving, self.evaluated.results, strict=True):
            self.freeze_results_on_image(image, energy=energy, forces=forces)
        total = super().get_forces()
        self.largest_force = float(np.linalg.norm(total, axis=1).max())
        return total

    def restore(self, state: BandState) -> None:
        """Go back to a state, without asking the calculator again."""
        self.evaluated = state
        self.set_positions(state.positions)
        self.get_forces()

    def get_residual(self) -> float:
        """Return what NEBOptimizer compares with its `fmax`."""
        return self.largest_force

    def has_barrier(self) -> bool:
        """Tell whether an image between the ends lies above both."""
        return bool(self.energies[1:-1].max() > max(self.energies[0], self.energies[-1]))


def make_band(path: list[Atoms], calculator: Any) -> Band:
    """Make a band on one calculator; the ends do not move, so their energies are computed once."""
    for end in (path[0], path[-1]):
        end.calc = calculator
        NEB.freeze_results_on_image(
            end, energy=end.get_potential_energy(), forces=end.get_forces(apply_constraint=False)
        )
    return Band(path, calculator)


class _BandOptimizer(NEBOptimizer):
    """ASE's solver, which calls `begun` once the calculator has given numbers for the band that it begins with."""

    def __init__(self, band: Band, begun: Callable[[], object]) -> None:
        super().__init__(band, logfile=None)
        self._begun: Callable[[], object] | None = begun

    def force_function(self, X: np.ndarray) -> np.ndarray:
        """Compute the forces (3 n_moving N,), eV/Angstrom, at the positions `X` of all moving images."""
        forces = super().force_function(X)
        if self._begun is not None:
            begun, self._begun = self._begun, None
            begun()
        return np.asarray(forces)


def optimize_band(
    band: Band, climbing: bool, fmax: float, steps: int, run: RunDirectory, progress: bool
) -> tuple[int, str]:
    """Optimise the plain band, then the one with a climbing image.

    Where the calculator fails on an image, the step that led there is halved, a few times.

    Parameters
    ----------
    band
        Left at the last positions that the solver accepted.
    climbing
        Begin with the climbing image, as an earlier session did.
    fmax
        Largest force on an atom where the band has converged, eV/Angstrom.
    steps
        Limit on the steps, both stages together.
    run, progress
        Where the band is saved, and whether the progress is shown.

    Returns
    -------
    steps
        Taken.
    failure
        Why the calculator ended it, as a sentence; empty where it did not.
    """
    with progress_bar("neb", total=steps, show=progress) as advance:
        path = _Relaxation(band, steps, run, advance)
        run.on_interrupt(path.save)
        if not climbing:
            path.stage(PLAIN_FACTOR * fmax, climb=False)
            if not (band.has_barrier() or path.failure):
                path.stage(fmax, climb=False)
        if climbing or (band.has_barrier() and not path.failure):
            path.stage(fmax, climb=True)
    path.save()
    return path.taken, path.failure


class _Relaxation:
    """A band on its way: the last state that the solver accepted, and how many steps were taken."""

    def __init__(self, band: Band, steps: int, run: RunDirectory, advance: Advance) -> None:
        self._band, self._steps, self._run, self._advance = band, steps, run, advance
        self._accepted = BandState(band.get_positions(), [])
        self._way_back = WayBack(band, run.log, "the first path")
        self.taken = 0

    @property
    def failure(self) -> str:
        """Why the calculator ended it, as a sentence; empty where it did not."""
        return self._way_back.cause

    def save(self) -> None:
        """Save the band in its file."""
        write_band(self._band, self._accepted.positions, self._run.path(BAND))

    def _good(self) -> None:
        assert self._band.evaluated is not None
        self._accepted = self._band.evaluated
        self._way_back.evaluated()

    def _follow(self) -> None:
        self.taken += 1
        self._good()
        self._advance(1, f"{self._band.largest_force:.3f} eV/Å")
        if self.taken % SAVE_EVERY == 0:
            self.save()

    def stage(self, fmax: float, *, climb: bool) -> None:
        """Move the band until no force exceeds `fmax`, eV/Angstrom, as far as the steps and the calculator allow."""
        band = self._band
        band.climb = climb
        begun: Callable[[], object] = self._good
        while True:
            optimizer = _BandOptimizer(band, begun)
            optimizer.attach(self._follow)
            try:
                optimizer.run(fmax=fmax, steps=self._steps - self.taken)
            except Exception as error:  # the way back knows which of them are the calculator's
                if self._way_back.shorten(error, f"after step {self.taken}"):
                    begun = self._follow  # the shorter step is a step
                    continue
            break
        band.restore(self._accepted)  # the solver may end on a trial step that it did not take
        self._run.log(
            f"{'climbing' if climb else 'plain'} band: {band.largest_force:.4f} eV/Angstrom, step {self.taken}"
        )


def write_band(band: Band, positions: np.ndarray, target: Path | None) -> None:
    """Save the band, its moving images at `positions`; without a target do nothing."""
    if target is None:
        return
    images = [image.copy() for image in band.images]
    for image, moved in zip(images[1:-1], positions.reshape(band.nimages - 2, -1, 3), strict=True):
        image.set_positions(moved, apply_constraint=False)
    images[0].info["climbing"] = band.climb
    write_frames(target, images)


def read_band(file: Path, reactant: Atoms) -> tuple[Band, bool]:
    """Read a saved band, and whether its image was climbing; calculator and constraints are those of the reactant."""
    path = list(iread(file))
    climbing = bool(path[0].info.pop("climbing", False))
    for image in path:
        image.set_constraint(reactant.constraints)
    return make_band(path, reactant.calc), climbing
