"""Minimum-energy path between two structures: nudged elastic band with a climbing image."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.utils.forcecurve import fit_images
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.files import write_text
from dp_sim.recipes.inputs.forces import largest_force
from dp_sim.recipes.paths.band.chain import BAND, Band, make_band, optimize_band, read_band
from dp_sim.recipes.paths.band.ends import END_FMAX, align_product, displacement, is_free, prepare_ends, relaxed_ends
from dp_sim.recipes.paths.band.first_path import check_interpolation, first_path
from dp_sim.recipes.paths.band.settings import NEBSettings
from dp_sim.recipes.paths.band.tangent import TANGENT, tangent_at
from dp_sim.recipes.paths.barriers import BarrierResult
from dp_sim.recipes.results.figures import COLOURS, new_figure
from dp_sim.recipes.results.frames import evaluated_copy, write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.tables import csv_text
from dp_sim.recipes.run.directory import RunDirectory

if TYPE_CHECKING:
    from matplotlib.figure import Figure
#: A dip between two maxima counts as an intermediate when it is this deep on both sides, eV.
DIP_EV = 0.01


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
    largest_force
        Largest force on an atom of the band, the climbing image included, eV/Angstrom.
    steps
        Optimiser steps of this session; rejected trial steps do not count.
    """

    recipe: ClassVar[str] = "neb"
    title: ClassVar[str] = "Reaction path (climbing-image nudged elastic band)"

    images: tuple[Atoms, ...]
    energies: np.ndarray
    path_length_A: np.ndarray
    largest_force: float
    steps: int

    @property
    def highest_index(self) -> int:
        """Index of the highest image, which is the climbing one where `converged`."""
        return int(np.argmax(self.energies))

    @property
    def highest(self) -> Atoms:
        """A copy of the highest image: the saddle point, to within `fmax`, where `converged`.

        Its array `tangent` (N, 3) is the direction of the path there, which `refine_ts` follows.
        """
        highest = evaluated_copy(self.images[self.highest_index])
        highest.arrays[TANGENT] = tangent_at(self.images, self.highest_index)
        return highest

    @override
    def levels_eV(self) -> tuple[float, float, float]:
        return float(self.energies[0]), float(self.energies.max()), float(self.energies[-1])

    @property
    def intermediates(self) -> tuple[int, ...]:
        """Images at the bottom of a dip between two maxima: the reaction has more than one step."""
        e = self.energies
        return tuple(
            i
            for i in range(1, len(e) - 1)
            if e[i] <= min(e[i - 1], e[i + 1]) and e[i] < min(e[:i].max(), e[i + 1 :].max()) - DIP_EV
        )

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {
            **self.barrier_quantities(),
            "highest_image": Quantity(self.highest_index),
            "intermediate_images": Quantity(list(self.intermediates)),
            "largest_force": Quantity(self.largest_force, "eV/Angstrom"),
            "path_length": Quantity(float(self.path_length_A[-1]), "Angstrom"),
            "energies": Quantity(self.energies - self.energies[0], "eV"),
            "steps": Quantity(self.steps),
        }

    @override
    def figures(self) -> dict[str, Figure]:
        """Draw the profile: the images, and the cubic through their energies and the forces along the path."""
        fit = fit_images(self.images)
        figure, axes = new_figure("distance along the path (Å)", "energy (eV)")
        axes.plot(fit.fit_path, fit.fit_energies, color=COLOURS[0])
        axes.plot(fit.path, fit.energies, "o", color=COLOURS[0])
        top = self.highest_index
        axes.plot(fit.path[top], fit.energies[top], "o", color=COLOURS[1])
        axes.set_title(self.barrier_title(), fontsize="medium")
        return {"profile": figure}

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path("path.extxyz"), self.images)
        write_frames(path("highest.extxyz"), self.highest)
        rows = [
            (image, f"{distance:.6f}", f"{energy:.9f}", f"{energy - self.energies[0]:.9f}")
            for image, (distance, energy) in enumerate(zip(self.path_length_A, self.energies, strict=True))
        ]
        write_text(path("profile.csv"), csv_text(["image", "path_A", "energy_eV", "relative_eV"], rows))


@documented(NEBSettings)
def find_path(
    reactant: Atoms,
    product: Atoms,
    calc: Any,
    *,
    images: int = 9,
    fmax: float = 0.05,
    steps: int = 500,
    interpolation: str = "idpp",
    relax_ends: bool = True,
    align: bool = True,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> PathResult:
    """Find the minimum-energy path from reactant to product and its highest point.

    Nudged elastic band with the improved tangent (Henkelman, Jonsson, J. Chem. Phys. 113, 9978 (2000)): first plain,
    then with a climbing image (Henkelman, Uberuaga, Jonsson, J. Chem. Phys. 113, 9901 (2000)), moved by the adaptive
    ODE solver of Makri, Ortner, Kermode, J. Chem. Phys. 150, 094109 (2019).

    Parameters
    ----------
    reactant, product : ase.Atoms
        The ends: the same atoms in the same order and cell.
    calc : Calculator, path or sequence of paths
        An ASE calculator, a model file, or a list of model files.

    Returns
    -------
    PathResult
        The band: energies (images,) in eV and distances along the path (images,) in Angstrom, with the barriers in eV.
        `converged` is false where a force is left, there is no barrier, or an end is not relaxed.

    Raises
    ------
    InputError
        The ends do not hold the same atoms in the same order and cell, are the same structure, or a setting is wrong.

    Notes
    -----
    `resume` goes on from band.extxyz in `out`.
    """
    settings = NEBSettings.taken_from(locals())
    ends = prepare_ends(reactant, product, calc)
    check_interpolation(settings.interpolation, ends[0])
    calculator, rotate = ends[0].calc, settings.align and is_free(ends[0])
    align_product(ends, rotate=rotate)
    with RunDirectory.of(
        settings, out, structures=[reactant, product], calculator=calculator, overwrite=overwrite, resume=resume
    ) as run:
        saved = run.path(BAND)
        if run.resumed and saved is not None and saved.exists():
            band, climbing = read_band(saved, ends[0])
            run.log(f"goes on from {BAND}")
        else:
            if settings.relax_ends:
                ends = relaxed_ends(ends, min(settings.fmax, END_FMAX), run, rotate=rotate)
            path = first_path(
                *ends,
                images=settings.images,
                interpolation=settings.interpolation,
                rotate=rotate,
                seed=settings.seed,
            )
            band, climbing = make_band(path, calculator), False
        taken, failure = optimize_band(band, climbing, settings.fmax, settings.steps, run, progress)
        return run.finish(_result(band, settings.fmax, taken, failure))


def _result(band: Band, fmax: float, steps: int, failure: str) -> PathResult:
    causes = []
    if failure:
        causes.append(f"{failure}; the largest force on the band was {band.largest_force:.3f} eV/Angstrom then")
    elif band.largest_force > fmax:
        causes.append(
            f"the largest force on the band is {band.largest_force:.3f} eV/Angstrom after {steps} steps, "
            f"{fmax:g} was asked for; allow more steps (resume=True goes on), or more images"
        )
    elif not band.has_barrier():
        causes.append(
            "no image lies above both ends, so there is no saddle point between them at this resolution; "
            "try more images, or accept that the energy rises or falls without a barrier"
        )
    for name, end in (("reactant", band.images[0]), ("product", band.images[-1])):
        if largest_force(end) > 2 * fmax:
            causes.append(
                f"the {name} is not relaxed (largest force {largest_force(end):.3f} eV/Angstrom); relax it first"
            )
    moved = [np.linalg.norm(displacement(*pair)) for pair in itertools.pairwise(band.images)]
    return PathResult(
        converged=not causes,
        cause="; ".join(causes),
        images=tuple(band.images),
        energies=np.array(band.energies),
        path_length_A=np.concatenate([[0.0], np.cumsum(moved)]),
        largest_force=band.largest_force,
        steps=steps,
    )
