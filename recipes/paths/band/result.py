"""A band, as `find_path` returns it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.utils.forcecurve import fit_images
from typing_extensions import override

from dp_sim.files import write_text
from dp_sim.recipes.paths.band.stalls import dips_of
from dp_sim.recipes.paths.band.tangent import TANGENT, tangent_at
from dp_sim.recipes.paths.barriers import BarrierResult
from dp_sim.recipes.results.figures import COLOURS, new_figure
from dp_sim.recipes.results.frames import evaluated_copy, write_frames
from dp_sim.recipes.results.page.scene import chosen_frames, movie
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.tables import csv_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Each minimum at which a path was cut is in a file of this name, counted from 1.
INTERMEDIATE = "intermediate-{}.extxyz"


@dataclass(frozen=True, kw_only=True)
class PathResult(BarrierResult):
    """A band, converged or at its last step.

    Attributes
    ----------
    images
        The path from reactant to product, each image with its energy and forces.
    energies
        (n_images,) potential energy of each image, eV.
    path_length_A
        (n_images,) distance along the path from the reactant, Angstrom in 3N-dimensional space.
    cuts
        Images at which the path was cut into steps: intermediates that were relaxed to minima.
    largest_force
        Largest force on an atom of the highest image (the whole force) and of those beside it (across the path),
        eV/Angstrom.
    band_force
        Largest force on an atom of the other images, across the path, eV/Angstrom.
    steps
        Optimiser steps of this session; rejected trial steps do not count.
    evaluations, seconds
        Energies with forces of one structure in this session, and the time that they took: "ends" and "band".
    """

    recipe: ClassVar[str] = "neb"
    title: ClassVar[str] = "Reaction path (climbing-image nudged elastic band)"

    images: tuple[Atoms, ...]
    energies: np.ndarray
    path_length_A: np.ndarray
    cuts: tuple[int, ...]
    largest_force: float
    band_force: float
    steps: int
    evaluations: dict[str, int]
    seconds: dict[str, float]

    @property
    def highest_index(self) -> int:
        """Index of the highest image, which is the climbing one where `converged`."""
        return int(np.argmax(self.energies))

    @property
    def highest(self) -> Atoms:
        """A copy of the highest image: the saddle point, to within `fmax`, where `converged`.

        Its array `tangent` (N, 3) is the direction of the path there, which `refine_ts` follows.
        """
        return self._with_tangent(self.highest_index)

    def _with_tangent(self, index: int) -> Atoms:
        image = evaluated_copy(self.images[index])
        image.arrays[TANGENT] = tangent_at(self.images, index)
        return image

    @override
    def levels_eV(self) -> tuple[float, float, float]:
        return float(self.energies[0]), float(self.energies.max()), float(self.energies[-1])

    @property
    @override
    def outcome(self) -> str:
        return self.barrier_title()

    @property
    def intermediates(self) -> tuple[int, ...]:
        """Images at the bottom of a dip between two maxima: the reaction has more than one step."""
        return dips_of(self.energies)

    @property
    def saddles(self) -> tuple[Atoms, ...]:
        """Copies of the highest image of each step of the path, in order: its saddle point, to within `fmax`."""
        return tuple(self._with_tangent(k) for k in self._tops())

    def _tops(self) -> list[int]:
        ends = [0, *self.cuts, len(self.energies) - 1]
        return [first + int(np.argmax(self.energies[first : last + 1])) for first, last in pairwise(ends)]

    @property
    def step_barriers_eV(self) -> tuple[float, ...]:
        """Barrier of each step, above the minimum before it."""
        starts = [0, *self.cuts]
        return tuple(float(self.energies[top] - self.energies[k]) for k, top in zip(starts, self._tops(), strict=True))

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {
            **self.barrier_quantities(),
            "highest_image": Quantity(self.highest_index),
            "intermediate_images": Quantity(list(self.intermediates)),
            **({"step_barriers": Quantity(list(self.step_barriers_eV), "eV")} if self.cuts else {}),
            "largest_force": Quantity(self.largest_force, "eV/Angstrom"),
            "band_force": Quantity(self.band_force, "eV/Angstrom"),
            "path_length": Quantity(float(self.path_length_A[-1]), "Angstrom"),
            "energies": Quantity(self.energies - self.energies[0], "eV"),
            "steps": Quantity(self.steps),
            **{f"evaluations_{stage}": Quantity(count) for stage, count in self.evaluations.items()},
            **{f"time_{stage}": Quantity(round(seconds, 3), "s") for stage, seconds in self.seconds.items()},
        }

    @override
    def figures(self) -> dict[str, Figure]:
        """Draw the profile: the images, and the cubic through their energies and the forces along the path."""
        fit = fit_images(self.images)
        figure, axes = new_figure("distance along the path (Å)", "energy above the reactant (eV)")
        axes.plot(fit.fit_path, fit.fit_energies, color=COLOURS[0])
        axes.plot(fit.path, fit.energies, "o", color=COLOURS[0])
        top = self.highest_index
        axes.plot(fit.path[top], fit.energies[top], "o", color=COLOURS[1])
        axes.set_title(self.barrier_title(), fontsize="medium")
        return {"profile": figure}

    @override
    def captions(self) -> dict[str, str]:
        return {"profile": "Energies of the images, and the curve through them; orange: the highest image."}

    @override
    def animation(self) -> dict[str, Any] | None:
        relative = self.energies - self.energies[0]
        labels = [f"image {k} of {len(relative) - 1}, {energy:.3f} eV" for k, energy in enumerate(relative)]
        chosen = chosen_frames(len(labels), len(self.images[0]))
        return movie([self.images[k] for k in chosen], [labels[k] for k in chosen], back=True)

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path("path.extxyz"), self.images)
        write_frames(path("highest.extxyz"), self.highest)
        if self.cuts:
            write_frames(path("saddles.extxyz"), self.saddles)
        for number, cut in enumerate(self.cuts, 1):
            write_frames(path(INTERMEDIATE.format(number)), self.images[cut])
        rows = [
            (image, f"{distance:.6f}", f"{energy:.9f}", f"{energy - self.energies[0]:.9f}")
            for image, (distance, energy) in enumerate(zip(self.path_length_A, self.energies, strict=True))
        ]
        write_text(path("profile.csv"), csv_text(["image", "path_A", "energy_eV", "relative_eV"], rows))
