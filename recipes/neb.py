"""Minimum-energy path between two structures: nudged elastic band with a climbing image."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.io import iread
from ase.mep.neb import NEB, NEBOptimizer
from ase.utils.forcecurve import fit_images

from dp_sim.atomic_file import write_text
from dp_sim.errors import InputError
from dp_sim.recipes.figures import COLOURS, new_figure
from dp_sim.recipes.first_path import check_ends, check_interpolation, displacement, first_path, is_free, superpose
from dp_sim.recipes.forces import energies_and_forces
from dp_sim.recipes.frames import write_frames
from dp_sim.recipes.opt import evaluated_copy, optimize
from dp_sim.recipes.progress import progress_bar
from dp_sim.recipes.results import Estimate, Quantity, Result
from dp_sim.recipes.run_directory import RunDirectory
from dp_sim.recipes.structures import prepare_atoms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: The plain band hands over to the climbing one at this multiple of `fmax`: its highest image is then near the saddle.
PLAIN_FACTOR = 5.0
#: The ends are relaxed to this force (eV/Angstrom), or to `fmax` if smaller: both barriers are measured from them.
END_FMAX = 0.01
#: A dip between two maxima counts as an intermediate when it is this deep on both sides, eV.
DIP_EV = 0.01
#: The band is saved in this file every so many steps.
BAND = "band.extxyz"
SAVE_EVERY = 10
#: Turning a molecule must not change its energy by more than this, eV: far above rounding, far below a barrier.
TURN_EV = 5e-3


@dataclass(frozen=True, kw_only=True)
class PathResult(Result):
    """A converged band, or as far as it came.

    images              the path from reactant to product, each with its energy and forces
    energies            (n_images,) potential energy of each image, eV
    path_length_A       (n_images,) distance along the path from the reactant, Angstrom in 3N-dimensional space
    largest_force       largest force on an atom of the band, eV/Angstrom, the climbing image included
    steps               optimiser steps taken in this session, rejected trial steps not counted
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
        """Which image is the highest; the climbing one where `converged`."""
        return int(np.argmax(self.energies))

    @property
    def highest(self) -> Atoms:
        """A copy of the highest image: the saddle point, to within `fmax`, where `converged`."""
        return evaluated_copy(self.images[self.highest_index])

    @property
    def barrier_eV(self) -> float:
        """Energy of the highest image above the reactant, without zero-point energy."""
        return float(self.energies.max() - self.energies[0])

    @property
    def reverse_barrier_eV(self) -> float:
        """Energy of the highest image above the product."""
        return float(self.energies.max() - self.energies[-1])

    @property
    def reaction_energy_eV(self) -> float:
        """Energy of the product above the reactant."""
        return float(self.energies[-1] - self.energies[0])

    @property
    def intermediates(self) -> tuple[int, ...]:
        """Images at the bottom of a dip between two maxima: the reaction has more than one step."""
        e = self.energies
        return tuple(
            i
            for i in range(1, len(e) - 1)
            if e[i] <= min(e[i - 1], e[i + 1]) and e[i] < min(e[:i].max(), e[i + 1 :].max()) - DIP_EV
        )

    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {
            "barrier": Quantity(self.barrier_eV, "eV"),
            "reverse_barrier": Quantity(self.reverse_barrier_eV, "eV"),
            "reaction_energy": Quantity(self.reaction_energy_eV, "eV"),
            "highest_image": Quantity(self.highest_index),
            "intermediate_images": Quantity(list(self.intermediates)),
            "largest_force": Quantity(self.largest_force, "eV/Angstrom"),
            "path_length": Quantity(float(self.path_length_A[-1]), "Angstrom"),
            "energies": Quantity(self.energies - self.energies[0], "eV"),
            "steps": Quantity(self.steps),
        }

    def figures(self) -> dict[str, Figure]:
        """The profile: images, and the cubic through their energies and the forces along the path."""
        fit = fit_images(self.images)
        figure, axes = new_figure("distance along the path (Å)", "energy (eV)")
        axes.plot(fit.fit_path, fit.fit_energies, color=COLOURS[0])
        axes.plot(fit.path, fit.energies, "o", color=COLOURS[0])
        top = self.highest_index
        axes.plot(fit.path[top], fit.energies[top], "o", color=COLOURS[1])
        axes.set_title(f"barrier {self.barrier_eV:.3f} eV, back {self.reverse_barrier_eV:.3f} eV", fontsize="medium")
        return {"profile": figure}

    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path("path.extxyz"), self.images)
        write_frames(path("highest.extxyz"), self.images[self.highest_index])
        rows = zip(self.path_length_A, self.energies, strict=True)
        lines = [f"{i},{s:.6f},{e:.9f},{e - self.energies[0]:.9f}" for i, (s, e) in enumerate(rows)]
        write_text(path("profile.csv"), "\n".join(["image,path_A,energy_eV,relative_eV", *lines]) + "\n")


class _Band(NEB):
    """ASE's band on one calculator, which evaluates all images together before ASE asks each of them, and with its
    largest force measured over all moving images: NEB.residuals leaves out the climbing one."""

    largest_force = np.inf

    def __init__(self, path: list[Atoms], calculator: Any) -> None:
        super().__init__(path, method="improvedtangent")
        self.calculator = calculator

    def get_forces(self) -> np.ndarray:
        moving = self.images[1:-1]
        names = [f"image {number}" for number in range(1, len(moving) + 1)]  # the reactant is image 0
        for image, (energy, forces) in zip(moving, energies_and_forces(moving, self.calculator, names), strict=True):
            self.freeze_results_on_image(image, energy=energy, forces=forces)
        forces = super().get_forces()
        self.largest_force = float(np.linalg.norm(forces, axis=1).max())
        return forces

    def get_residual(self) -> float:
        return self.largest_force

    def has_barrier(self) -> bool:
        """Whether an image between the ends lies above both."""
        return bool(self.energies[1:-1].max() > max(self.energies[0], self.energies[-1]))


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
    """The minimum-energy path from reactant to product and its highest point.

    Nudged elastic band with the improved tangent (Henkelman, Jonsson, J. Chem. Phys. 113, 9978 (2000)): first plain,
    then with a climbing image (Henkelman, Uberuaga, Jonsson, J. Chem. Phys. 113, 9901 (2000)), moved by the adaptive
    ODE solver of Makri, Ortner, Kermode, J. Chem. Phys. 150, 094109 (2019).

    images          structures on the path, both ends included
    fmax            largest force on an atom, perpendicular to the path, where the band has converged; eV/Angstrom
    steps           limit on the optimiser's steps, both stages together
    interpolation   the first path: "idpp", "linear", or "geodesic" (package geodesic-interpolate, isolated molecules)
    relax_ends      relax reactant and product with this calculator first; the constraints of the reactant hold for all
    align           isolated molecules: turn the product onto the reactant; false where orientation or place matters
    resume          go on from band.extxyz in `out`

    Raises
    ------
    InputError
        The ends do not hold the same atoms in the same order and cell, are the same structure, or a keyword is wrong.
    """
    _check_numbers(images=(images, 3), fmax=(fmax, 1e-6), steps=(steps, 0))
    ends = _prepare_ends(reactant, product, calc)
    check_interpolation(interpolation, ends[0])
    calculator, rotate = ends[0].calc, align and is_free(ends[0])
    _place(ends, rotate=rotate)
    settings = {"images": images, "fmax": fmax, "steps": steps, "interpolation": interpolation}
    with RunDirectory(
        "neb",
        out,
        settings={**settings, "relax_ends": relax_ends, "align": align},
        structures=[reactant, product],
        calculator=calculator,
        seed=seed,
        overwrite=overwrite,
        resume=resume,
        may_change=("steps",),
    ) as run:
        saved = run.path(BAND)
        if run.resumed and saved is not None and saved.exists():
            band, climbing = _read_band(saved, ends[0])
            run.log(f"goes on from {BAND}")
        else:
            if relax_ends:
                ends = _relaxed_ends(ends, min(fmax, END_FMAX), run, rotate=rotate)
            path = first_path(*ends, images=images, interpolation=interpolation, rotate=rotate, seed=seed)
            band, climbing = _band(path, calculator), False
        taken = _optimize(band, climbing, fmax, steps, run, progress)
        return run.finish(_result(band, fmax, taken))


def _check_numbers(**limits: tuple[float, float]) -> None:
    for name, (value, least) in limits.items():
        if not (np.isfinite(value) and value >= least):
            raise InputError(f"{name} must be at least {least:g}, got {value}")


def _prepare_ends(reactant: Atoms, product: Atoms, calc: Any) -> tuple[Atoms, Atoms]:
    """Checked copies on one calculator."""
    start = prepare_atoms(reactant, calc, "the reactant")
    end = prepare_atoms(product, start.calc, "the product")
    check_ends(start, end)
    return start, end


def _place(ends: tuple[Atoms, Atoms], *, rotate: bool, when: str = "") -> None:
    """Superpose the ends (the product moves) and see that the calculator gives the turned product the same energy."""
    reactant, product = ends
    product.set_constraint(reactant.constraints)
    before = product.get_potential_energy()
    try:
        superpose(reactant, product, rotate=rotate)
    except InputError as error:
        raise InputError(when + str(error)) from None
    change = product.get_potential_energy() - before
    if rotate and abs(change) > TURN_EV:
        raise InputError(
            f"turning and moving the product onto the reactant changes its energy by {change:.3g} eV: this calculator "
            "distinguishes places or orientations; put the product where it belongs and set align=False"
        )


def _relaxed_ends(ends: tuple[Atoms, Atoms], fmax: float, run: RunDirectory, *, rotate: bool) -> tuple[Atoms, Atoms]:
    ends = (relaxed(ends[0], fmax, run, "reactant"), relaxed(ends[1], fmax, run, "product"))
    _place(ends, rotate=rotate, when="after relaxing, ")
    return ends


def relaxed(atoms: Atoms, fmax: float, run: RunDirectory, name: str) -> Atoms:
    """`atoms` relaxed on its own calculator to `fmax` (eV/Angstrom), and a line about it in the log of `run`."""
    result = optimize(atoms, atoms.calc, fmax=fmax, progress=False)
    run.log(f"{name}: {result.fmax_eV_A:.4f} eV/Angstrom after {result.steps} steps of relaxation")
    minimum = result.atoms.copy()
    minimum.calc = atoms.calc
    return minimum


def largest_force(atoms: Atoms) -> float:
    """Largest force on an atom, eV/Angstrom, the constraints taken into account."""
    return float(np.linalg.norm(atoms.get_forces(), axis=1).max())


def _band(path: list[Atoms], calculator: Any) -> _Band:
    """A band on one calculator; the ends do not move, so their energies are computed once."""
    for end in (path[0], path[-1]):
        end.calc = calculator
        NEB.freeze_results_on_image(
            end, energy=end.get_potential_energy(), forces=end.get_forces(apply_constraint=False)
        )
    return _Band(path, calculator)


def _optimize(band: _Band, climbing: bool, fmax: float, steps: int, run: RunDirectory, progress: bool) -> int:
    """Plain band, then climbing image; returns the steps taken. Leaves the band at its last accepted positions."""
    accepted = [band.get_positions()]
    taken = 0

    def save() -> None:
        _write_band(band, accepted[0], run.path(BAND))

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


def _write_band(band: _Band, positions: np.ndarray, target: Path | None) -> None:
    if target is None:
        return
    images = [image.copy() for image in band.images]
    for image, moved in zip(images[1:-1], positions.reshape(band.nimages - 2, -1, 3), strict=True):
        image.set_positions(moved, apply_constraint=False)
    images[0].info["climbing"] = band.climb
    write_frames(target, images)


def _read_band(file: Path, reactant: Atoms) -> tuple[_Band, bool]:
    """The saved band, and whether its image was climbing; calculator and constraints are those of the reactant."""
    path = list(iread(file))
    climbing = bool(path[0].info.pop("climbing", False))
    for image in path:
        image.set_constraint(reactant.constraints)
    return _band(path, reactant.calc), climbing


def _result(band: _Band, fmax: float, steps: int) -> PathResult:
    causes = []
    if band.largest_force > fmax:
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
