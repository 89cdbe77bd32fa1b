"""The nudged elastic band: its forces, its optimisation, and its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import iread
from ase.mep.neb import NEB, NEBOptimizer

from dp_sim.recipes.inputs.forces import energies_and_forces
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar

#: The plain band hands over to the climbing one at this multiple of `fmax`: its highest image is then near the saddle.
PLAIN_FACTOR = 5.0
#: The band is saved in this file every so many steps.
BAND = "band.extxyz"
SAVE_EVERY = 10


class Band(NEB):
    """ASE's band on one calculator, which evaluates all images together before ASE asks each of them.

    Attributes
    ----------
    largest_force
        Largest force on an atom, eV/Angstrom, over all moving images: NEB.residuals leaves out the climbing one.
    """

    largest_force = np.inf

    def __init__(self, path: list[Atoms], calculator: Any) -> None:
        super().__init__(path, method="improvedtangent")
        self.calculator = calculator

    def get_forces(self) -> np.ndarray:
        """Compute the forces on all moving images, one after another (n_moving N, 3), eV/Angstrom."""
        moving = self.images[1:-1]
        names = [f"image {number}" for number in range(1, len(moving) + 1)]  # the reactant is image 0
        for image, (energy, forces) in zip(moving, energies_and_forces(moving, self.calculator, names), strict=True):
            self.freeze_results_on_image(image, energy=energy, forces=forces)
        forces = super().get_forces()
        self.largest_force = float(np.linalg.norm(forces, axis=1).max())
        return forces

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


def optimize_band(band: Band, climbing: bool, fmax: float, steps: int, run: RunDirectory, progress: bool) -> int:
    """Optimise the plain band, then the one with a climbing image.

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
    int
        The steps taken.
    """
    accepted = [band.get_positions()]
    taken = 0

    def save() -> None:
        write_band(band, accepted[0], run.path(BAND))

    run.on_interrupt(save)
    with progress_bar("neb", total=steps, show=progress) as advance:

        def follow() -> None:
            nonlocal taken
            taken += 1
            accepted[0] = band.get_positions()
            advance(1, f"{band.largest_force:.3f} eV/Å")
            if taken % SAVE_EVERY == 0:
                save()

        def stage(target: float, climb: bool) -> None:
            band.climb = climb
            optimizer = NEBOptimizer(band, logfile=None)
            optimizer.attach(follow)
            optimizer.run(fmax=target, steps=steps - taken)
            band.set_positions(accepted[0])  # the solver may end on a trial step that it did not take
            band.get_forces()
            run.log(f"{'climbing' if climb else 'plain'} band: {band.largest_force:.4f} eV/Angstrom, step {taken}")

        if not climbing:
            stage(PLAIN_FACTOR * fmax, climb=False)
            if not band.has_barrier():
                stage(fmax, climb=False)
        if climbing or band.has_barrier():
            stage(fmax, climb=True)
    save()
    return taken


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
