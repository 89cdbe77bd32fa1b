"""Intrinsic reaction coordinate: downhill in mass-weighted coordinates from a saddle point to both minima."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.io import write

from dp_sim.atomic_file import atomic_path, write_text
from dp_sim.errors import InputError
from dp_sim.recipes.figures import COLOURS, new_figure
from dp_sim.recipes.neb import END_FMAX, largest_force, relaxed
from dp_sim.recipes.opt import evaluated_copy
from dp_sim.recipes.progress import progress_bar
from dp_sim.recipes.results import Estimate, Quantity, Result
from dp_sim.recipes.run_directory import RunDirectory
from dp_sim.recipes.saddle import Curvature, check_constraints, curvature
from dp_sim.recipes.structures import prepare_atoms
from dp_sim.recipes.ts import TransitionStateResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Sella's names for the two directions: along the imaginary mode (towards the "product") and against it.
SIDES = ("forward", "reverse")
#: The default step, as a displacement along the imaginary mode, Angstrom.
STEP_A = 0.1
ARC_UNIT = "amu^1/2 Angstrom"


@dataclass(frozen=True, kw_only=True)
class IrcResult(Result):
    """The path downhill on both sides of a saddle point.

    images             the path, the saddle point among them, each with energy and forces
    energies           (n_images,) potential energy, eV
    arc_length         (n_images,) mass-weighted distance along the path, amu^1/2 Angstrom: 0 at the saddle point,
                       negative towards the reactant
    reactant, product  the minima to which the first and the last point relax, with energy and forces; which of the two
                       is called the reactant is arbitrary, as the sign of the imaginary mode is
    frequency_cm1      of the imaginary mode at the saddle point, negative
    """

    recipe: ClassVar[str] = "irc"
    title: ClassVar[str] = "Intrinsic reaction coordinate"

    images: tuple[Atoms, ...]
    energies: np.ndarray
    arc_length: np.ndarray
    reactant: Atoms
    product: Atoms
    frequency_cm1: float

    @property
    def saddle_index(self) -> int:
        """Which image is the saddle point."""
        return int(np.argmin(np.abs(self.arc_length)))

    @property
    def barrier_eV(self) -> float:
        """Energy of the saddle point above the relaxed reactant, without zero-point energy."""
        return float(self.energies[self.saddle_index] - self.reactant.get_potential_energy())

    @property
    def reverse_barrier_eV(self) -> float:
        """Energy of the saddle point above the relaxed product."""
        return float(self.energies[self.saddle_index] - self.product.get_potential_energy())

    @property
    def reaction_energy_eV(self) -> float:
        """Energy of the relaxed product above the relaxed reactant."""
        return float(self.product.get_potential_energy() - self.reactant.get_potential_energy())

    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {
            "barrier": Quantity(self.barrier_eV, "eV"),
            "reverse_barrier": Quantity(self.reverse_barrier_eV, "eV"),
            "reaction_energy": Quantity(self.reaction_energy_eV, "eV"),
            "imaginary_frequency": Quantity(self.frequency_cm1, "cm^-1"),
            "arc_to_reactant": Quantity(float(self.arc_length[0]), ARC_UNIT),
            "arc_to_product": Quantity(float(self.arc_length[-1]), ARC_UNIT),
            "images": Quantity(len(self.images)),
        }

    def figures(self) -> dict[str, Figure]:
        figure, axes = new_figure("arc length (amu$^{1/2}$ Å)", "energy (eV)")
        top = self.saddle_index
        relative = self.energies - self.energies[top]
        axes.plot(self.arc_length, relative, ".-", color=COLOURS[0])
        axes.plot(0.0, 0.0, "o", color=COLOURS[1])
        for barrier, colour in ((self.barrier_eV, COLOURS[2]), (self.reverse_barrier_eV, COLOURS[3])):
            axes.axhline(-barrier, color=colour, linewidth=0.8, linestyle="--")
        axes.set_title(f"barrier {self.barrier_eV:.3f} eV, back {self.reverse_barrier_eV:.3f} eV", fontsize="medium")
        return {"profile": figure}

    def write_data(self, path: Callable[[str], Path]) -> None:
        files: dict[str, Atoms | list[Atoms]] = {
            "path.extxyz": list(self.images),
            "reactant.extxyz": self.reactant,
            "product.extxyz": self.product,
        }
        for name, frames in files.items():
            with atomic_path(path(name)) as temporary:
                write(temporary, frames, format="extxyz")
        rows = zip(self.arc_length, self.energies, strict=True)
        lines = [f"{i},{s:.6f},{e:.9f}" for i, (s, e) in enumerate(rows)]
        write_text(path("profile.csv"), "\n".join(["image,arc_amu1/2_A,energy_eV", *lines]) + "\n")


def follow_irc(
    ts: Atoms | TransitionStateResult,
    calc: Any,
    *,
    step: float | None = None,
    fmax: float = 0.05,
    steps: int = 200,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> IrcResult:
    """Follow the reaction coordinate from a saddle point down both sides, and relax both ends to their minima.

    The path is Fukui's (Acc. Chem. Res. 14, 363 (1981)): steepest descent in mass-weighted coordinates, integrated by
    Sella. Its Hessian is the calculator's exact one where it has `get_hessian`, else from 6N forces.

    ts      a saddle point: exactly one imaginary frequency, no force above `fmax`; or what `refine_ts` returned
    step    length of one step, amu^1/2 Angstrom; None: what is 0.1 Angstrom along the imaginary mode
    fmax    a side ends where no force exceeds this, eV/Angstrom; its last point is then relaxed further
    steps   limit on the steps of each side
    seed    kept for the record: nothing here is random

    Raises
    ------
    InputError
        The start is not stationary or not a first-order saddle point; a constraint other than `FixAtoms`.
    """
    start = ts.atoms if isinstance(ts, TransitionStateResult) else ts
    atoms = prepare_atoms(start, calc, "the saddle point")
    check_constraints(atoms)
    for name, value in (("step", step), ("fmax", fmax), ("steps", steps)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} must be positive, got {value}")
    with RunDirectory(
        "irc",
        out,
        settings={"step": step, "fmax": fmax, "steps": steps},
        structures=[start],
        calculator=atoms.calc,
        seed=seed,
        overwrite=overwrite,
        resume=resume,
        resumable=False,
    ) as run:
        shape = _saddle_shape(atoms, fmax)
        length = STEP_A * np.sqrt(shape.reduced_mass) if step is None else step
        run.log(f"imaginary frequency {shape.frequencies_cm1[0]:.1f} cm^-1, steps of {length:.3f} {ARC_UNIT}")
        sides, causes = _both_sides(atoms, shape, length, fmax, steps, run, progress)
        ends = []
        for name, side in zip(SIDES, sides, strict=True):
            end = side[-1].copy()
            end.calc = atoms.calc
            ends.append(evaluated(relaxed(end, min(fmax, END_FMAX), run, f"{name} end")))
        return run.finish(_result(evaluated(atoms), shape, sides, ends, causes))


def _saddle_shape(atoms: Atoms, fmax: float) -> Curvature:
    """The curvature at the start, which must be that of a saddle point: downhill means nothing elsewhere."""
    force = largest_force(atoms)
    if force > fmax:
        raise InputError(
            f"the structure is not stationary: its largest force is {force:.3g} eV/Angstrom, at most {fmax:g} is "
            "wanted; refine it first (refine_ts, dp-sim ts)"
        )
    shape = curvature(atoms)
    if verdict := shape.verdict():
        raise InputError(f"the structure is not where a reaction path starts: {verdict}")
    return shape


def _both_sides(
    atoms: Atoms, shape: Curvature, step: float, fmax: float, steps: int, run: RunDirectory, progress: bool
) -> tuple[list[list[Atoms]], list[str]]:
    """The points of each side, the saddle point left out, and why a side ended too early."""
    from sella import IRC  # a heavy import (jax)
    from sella.optimize.irc import IRCInnerLoopConvergenceFailure

    moving = atoms.copy()
    moving.calc = atoms.calc
    moving.set_masses(atoms.get_masses())  # Sella would otherwise take those of the most common isotopes
    # Asked for once, at the saddle point: Sella updates it along the way.
    irc = IRC(moving, logfile=None, dx=step, hessian_function=lambda _: shape.stiffened)  # type: ignore[arg-type]
    sides: list[list[Atoms]] = []
    causes = []
    with progress_bar("irc", total=2 * steps, show=progress) as advance:
        for name in SIDES:
            points: list[Atoms] = []
            ended = False
            try:
                for ended in irc.irun(fmax=fmax, steps=steps, direction=name):  # noqa: B007 - read after the loop
                    points.append(evaluated(moving))
                    advance(1, f"{name}: {largest_force(moving):.3f} eV/Å")
            except IRCInnerLoopConvergenceFailure:
                points.append(evaluated(moving))  # off the path, but in the right valley
                causes.append(
                    f"the {name} side stopped at step {len(points) - 1}: its path bends too sharply; halve `step`"
                )
            else:
                if not ended:
                    causes.append(
                        f"the {name} side still has a force of {largest_force(moving):.3g} eV/Angstrom after {steps} "
                        f"steps, {fmax:g} was asked for; allow more steps"
                    )
            run.log(f"{name} side: {len(points) - 1} steps, largest force {largest_force(moving):.4f} eV/Angstrom")
            sides.append(points[1:])  # the first point is the saddle point
    return sides, causes


def evaluated(atoms: Atoms) -> Atoms:
    """A copy with the energy and forces of its calculator, and without the calculator."""
    atoms.get_forces()
    return evaluated_copy(atoms)


def _result(
    saddle: Atoms, shape: Curvature, sides: list[list[Atoms]], ends: list[Atoms], causes: list[str]
) -> IrcResult:
    forward, reverse = sides
    images = [*reversed(reverse), saddle, *forward]
    root_mass = np.sqrt(saddle.get_masses())[:, None]
    lengths = [np.linalg.norm(root_mass * (after.positions - before.positions)) for before, after in pairwise(images)]
    arc = np.concatenate([[0.0], np.cumsum(lengths)])
    product, reactant = ends
    return IrcResult(
        converged=not causes,
        cause="; ".join(causes),
        images=tuple(images),
        energies=np.array([image.get_potential_energy() for image in images]),
        arc_length=arc - arc[len(reverse)],
        reactant=reactant,
        product=product,
        frequency_cm1=float(shape.frequencies_cm1[0]),
    )
