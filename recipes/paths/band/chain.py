"""The chain of images: its forces, what is left of them, and its file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.io import iread
from ase.mep.neb import NEB
from numpy.typing import NDArray

from dp_sim.recipes.inputs.forces import energies_and_forces
from dp_sim.recipes.results.frames import write_frames

#: The band is saved in this file.
BAND = "band.extxyz"
#: Name of a method of ours -> that of ASE.
METHODS = {"springs": "improvedtangent", "string": "string"}


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


class Left(NamedTuple):
    """What is left of the forces, eV/Angstrom: on the highest image and those beside it, and on all others."""

    top: float
    others: float

    def within(self, bounds: Left) -> bool:
        """Tell whether neither exceeds its bound."""
        return self.top <= bounds.top and self.others <= bounds.others


class Band(NEB):
    """ASE's band on one calculator, which evaluates all images together before ASE asks each of them.

    Parameters
    ----------
    path
        The images; the ends have been evaluated.
    calculator
        Of all images.
    method
        One of `METHODS`.
    bounds
        What is to be left of the forces.

    Attributes
    ----------
    left
        What is left of the forces on the moving images. ASE's own measure leaves out the climbing one.
    evaluated
        The last positions that were evaluated, and the results there; None before the first.
    evaluations, seconds
        Energies with forces of one structure so far, and the time that they took.
    """

    left = Left(np.inf, np.inf)

    def __init__(self, path: list[Atoms], calculator: Any, method: str, bounds: Left) -> None:
        super().__init__(path, method=METHODS[method])
        self.calculator, self.method_name, self.bounds = calculator, method, bounds
        self.evaluated: BandState | None = None
        self.evaluations, self.seconds = 0, 0.0

    def get_forces(self) -> np.ndarray:
        """Compute the forces on all moving images, one after another (n_moving N, 3), eV/Angstrom."""
        moving = self.images[1:-1]
        names = [f"image {number}" for number in range(1, len(moving) + 1)]  # the reactant is image 0
        positions = self.get_positions()
        if self.evaluated is None or not np.array_equal(positions, self.evaluated.positions):
            start = time.monotonic()
            results = list(energies_and_forces(moving, self.calculator, names))
            self.evaluations += len(results)
            self.seconds += time.monotonic() - start
            self.evaluated = BandState(positions, results)
        for image, (energy, forces) in zip(moving, self.evaluated.results, strict=True):
            self.freeze_results_on_image(image, energy=energy, forces=forces)
        total = super().get_forces()
        each = np.linalg.norm(total.reshape(len(moving), -1, 3), axis=2).max(axis=1)
        near = np.abs(np.arange(len(moving)) - int(np.argmax(self.energies[1:-1]))) <= 1
        self.left = Left(float(each[near].max()), float(each[~near].max(initial=0.0)))
        return total

    def window(self, reach: int = 2) -> Band:
        """Cut out the highest image and those around it: a band on the same images, whose ends do not move.

        Parameters
        ----------
        reach
            Images on either side of the highest, as far as there are.
        """
        top = self.top
        first, last = max(0, top - reach), min(self.nimages - 1, top + reach)
        cut = Band(self.images[first : last + 1], self.calculator, self.method_name, self.bounds)
        cut.evaluated = cut.state()
        return cut

    @property
    def top(self) -> int:
        """Number of the highest image between the ends."""
        return int(np.argmax(self.energies[1:-1])) + 1

    def state(self) -> BandState:
        """Return the positions now, which must have been evaluated, with the results there."""
        results = [(image.calc.results["energy"], image.calc.results["forces"]) for image in self.images[1:-1]]
        return BandState(self.get_positions(), results)

    def restore(self, state: BandState) -> None:
        """Go back to a state, without asking the calculator again."""
        self.evaluated = state
        self.set_positions(state.positions)
        self.get_forces()

    def get_residual(self) -> float:
        """Return what NEBOptimizer compares with its `fmax`, which is to be the bound of the highest image."""
        if not self.climb:
            return max(self.left)
        return max(self.left.top, self.left.others * self.bounds.top / self.bounds.others)

    def has_barrier(self) -> bool:
        """Tell whether an image between the ends lies above both."""
        return bool(self.energies[1:-1].max() > max(self.energies[0], self.energies[-1]))


def make_band(path: list[Atoms], calculator: Any, method: str, bounds: Left) -> Band:
    """Make a band on one calculator; the ends do not move, so their energies are computed once."""
    for end in (path[0], path[-1]):
        end.calc = calculator
        NEB.freeze_results_on_image(
            end, energy=end.get_potential_energy(), forces=end.get_forces(apply_constraint=False)
        )
    return Band(path, calculator, method, bounds)


def write_band(band: Band, positions: np.ndarray, target: Path | None) -> None:
    """Save the band, its moving images at `positions`; without a target do nothing."""
    if target is None:
        return
    images = [image.copy() for image in band.images]
    for image, moved in zip(images[1:-1], positions.reshape(band.nimages - 2, -1, 3), strict=True):
        image.set_positions(moved, apply_constraint=False)
    images[0].info["climbing"] = band.climb
    write_frames(target, images)


def read_band(file: Path, reactant: Atoms, method: str, bounds: Left) -> tuple[Band, bool]:
    """Read a saved band, and whether its image was climbing; calculator and constraints are those of the reactant."""
    path = list(iread(file))
    climbing = bool(path[0].info.pop("climbing", False))
    for image in path:
        image.set_constraint(reactant.constraints)
    return make_band(path, reactant.calc, method, bounds), climbing
