"""Intrinsic reaction coordinate: downhill in mass-weighted coordinates from a saddle point to both minima."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.errors import InputError
from dp_sim.files import write_text
from dp_sim.recipes.inputs.failed_evaluations import ADVICE, MOST_HALVINGS, failure_words, is_failure
from dp_sim.recipes.inputs.forces import largest_force, mobile_atoms
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.paths.band.ends import END_FMAX, relaxed
from dp_sim.recipes.paths.barriers import BarrierResult
from dp_sim.recipes.paths.irc.settings import IRCSettings
from dp_sim.recipes.paths.saddle.ts import TransitionStateResult
from dp_sim.recipes.paths.saddle.verdict import saddle_verdict, stiffened_hessian
from dp_sim.recipes.results.figures import COLOURS, new_figure
from dp_sim.recipes.results.frames import evaluated_copy, write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.tables import csv_text
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import Advance, progress_bar
from dp_sim.recipes.static.vib import VibResult, vibrations

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Sella's names for the two directions along the imaginary mode.
SIDES = ("forward", "reverse")
#: The default step, as a displacement along the imaginary mode, Angstrom.
STEP_A = 0.1
ARC_UNIT = "amu^1/2 Angstrom"


@dataclass(frozen=True, kw_only=True)
class IrcResult(BarrierResult):
    """The path downhill on both sides of a saddle point.

    Attributes
    ----------
    images
        The path, the saddle point among them, each image with energy and forces.
    energies
        (n_images,) potential energy, eV.
    arc_length
        (n_images,) mass-weighted distance along the path, amu^1/2 Angstrom: 0 at the saddle point, negative towards the
        reactant.
    reactant, product
        The minima to which the first and the last point relax, with energy and forces; the lower one is called the
        reactant.
    frequency_cm1
        Of the imaginary mode at the saddle point, cm^-1, as a negative number.
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
        """Index of the saddle point."""
        return int(np.argmin(np.abs(self.arc_length)))

    @override
    def levels_eV(self) -> tuple[float, float, float]:
        saddle = float(self.energies[self.saddle_index])
        return float(self.reactant.get_potential_energy()), saddle, float(self.product.get_potential_energy())

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {
            **self.barrier_quantities(),
            "imaginary_frequency": Quantity(self.frequency_cm1, "cm^-1"),
            "arc_to_reactant": Quantity(float(self.arc_length[0]), ARC_UNIT),
            "arc_to_product": Quantity(float(self.arc_length[-1]), ARC_UNIT),
            "images": Quantity(len(self.images)),
        }

    @override
    def figures(self) -> dict[str, Figure]:
        figure, axes = new_figure("arc length (amu$^{1/2}$ Å)", "energy (eV)")
        top = self.saddle_index
        relative = self.energies - self.energies[top]
        axes.plot(self.arc_length, relative, ".-", color=COLOURS[0])
        axes.plot(0.0, 0.0, "o", color=COLOURS[1])
        for barrier, colour in ((self.barrier_eV, COLOURS[2]), (self.reverse_barrier_eV, COLOURS[3])):
            axes.axhline(-barrier, color=colour, linewidth=0.8, linestyle="--")
        axes.set_title(self.barrier_title(), fontsize="medium")
        return {"profile": figure}

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path("path.extxyz"), self.images)
        write_frames(path("reactant.extxyz"), self.reactant)
        write_frames(path("product.extxyz"), self.product)
        rows = [
            (image, f"{arc:.6f}", f"{energy:.9f}")
            for image, (arc, energy) in enumerate(zip(self.arc_length, self.energies, strict=True))
        ]
        write_text(path("profile.csv"), csv_text(["image", "arc_amu1/2_A", "energy_eV"], rows))


@documented(IRCSettings)
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

    Parameters
    ----------
    ts : ase.Atoms or TransitionStateResult
        A saddle point: exactly one imaginary frequency, no force above `fmax`; or what `refine_ts` returned.
    calc : Calculator, path or sequence of paths
        An ASE calculator, a model file, or a list of model files.

    Returns
    -------
    IrcResult
        The path: energies (images,) in eV and mass-weighted distances (images,) in amu^1/2 Angstrom, with the minima at
        its ends.

    Raises
    ------
    InputError
        The start is not stationary or not a first-order saddle point; a constraint other than `FixAtoms`.
    """
    settings = IRCSettings.taken_from(locals())
    start = ts.atoms if isinstance(ts, TransitionStateResult) else ts
    atoms = prepare_atoms(start, calc, "the saddle point")
    mobile_atoms(atoms)
    with RunDirectory.of(
        settings, out, structures=[start], calculator=atoms.calc, overwrite=overwrite, resume=resume
    ) as run:
        vib = _saddle_modes(atoms, settings.fmax, progress)
        length = STEP_A * np.sqrt(vib.reduced_masses_amu[0]) if settings.step is None else settings.step
        run.log(f"imaginary frequency {vib.frequencies_cm1[0]:.1f} cm^-1, steps of {length:.3f} {ARC_UNIT}")
        sides, causes = _both_sides(atoms, vib, length, settings.fmax, settings.steps, run, progress)
        ends = []
        for name, side in zip(SIDES, sides, strict=True):
            if not side:  # the calculator failed before the first point; the cause is stated
                ends.append(_evaluated(atoms))
                continue
            end = side[-1].copy()
            end.calc = atoms.calc
            ends.append(_evaluated(relaxed(end, min(settings.fmax, END_FMAX), run, f"{name} end")))
            if (left := largest_force(ends[-1])) > 2 * settings.fmax:
                causes.append(f"the {name} end is not relaxed (largest force {left:.3g} eV/Angstrom)")
        return run.finish(_result(_evaluated(atoms), vib, sides, ends, causes))


def _saddle_modes(atoms: Atoms, fmax: float, progress: bool) -> VibResult:
    """Compute the normal modes at the start, and check that it is a first-order saddle point.

    Raises
    ------
    InputError
        Forces above `fmax`, or another number of imaginary frequencies than one.
    """
    force = largest_force(atoms)
    if force > fmax:
        raise InputError(
            "structure-not-stationary",
            f"the structure is not stationary: its largest force is {force:.3g} eV/Angstrom, at most {fmax:g} is "
            "wanted; refine it first (refine_ts, dp-sim ts)",
        )
    vib = vibrations(atoms, atoms.calc, fmax=fmax, progress=progress)
    if verdict := saddle_verdict(vib.frequencies_cm1):
        raise InputError("structure-not-saddle", f"the structure is no first-order saddle point: {verdict}")
    return vib


def _both_sides(
    atoms: Atoms, vib: VibResult, step: float, fmax: float, steps: int, run: RunDirectory, progress: bool
) -> tuple[list[list[Atoms]], list[str]]:
    """Follow both sides downhill.

    Returns
    -------
    sides
        The points of each side, without the saddle point.
    causes
        Why a side ended too early, as sentences.
    """
    moving = atoms.copy()
    moving.calc = _Held(atoms.calc, mobile_atoms(atoms))
    moving.set_masses(atoms.get_masses())  # Sella would otherwise take those of the most common isotopes
    walk = _Walk(moving, stiffened_hessian(vib), fmax, steps)
    sides, causes = [], []
    with progress_bar("irc", total=2 * steps, show=progress) as advance:
        for name in SIDES:
            points, failure = _side_with_shorter_steps(walk, name, step, run, advance)
            if failure:
                causes.append(f"the {name} side ended early: {failure}")
            elif walk.cause:
                causes.append(f"the {name} side {walk.cause}")
            force = largest_force(points[-1])
            run.log(f"{name} side: {len(points) - 1} steps, largest force {force:.4f} eV/Angstrom")
            sides.append(points[1:])  # the first point is the saddle point
    return sides, causes


def _side_with_shorter_steps(
    walk: _Walk, name: str, step: float, run: RunDirectory, advance: Advance
) -> tuple[list[Atoms], str]:
    """Follow a side; where the calculator fails on it, again from the saddle point with half the step, a few times.

    Returns what `_Walk.side` returns, of the last attempt.
    """
    points, failure = walk.side(name, step, advance)
    for halvings in range(1, MOST_HALVINGS + 1):
        if not failure:
            return points, ""
        run.log(f"the {name} side: {failure}; again with steps of {step / 2**halvings:.3g} {ARC_UNIT}")
        points, failure = walk.side(name, step / 2**halvings, advance)
    return points, failure and f"{failure}, in {MOST_HALVINGS} walks with shorter steps too; {ADVICE}"


class _Walk:
    """Walks with Sella from a saddle point down either side.

    Parameters
    ----------
    moving
        The saddle point, with the calculator.
    hessian
        (3N, 3N) there, eV/Angstrom^2: computed once, Sella updates it along the path.
    fmax, steps
        Where a side has come to its end, eV/Angstrom, and the most steps to it.

    Attributes
    ----------
    cause
        Why the last side ended too early, after "the forward side"; empty where it did not.
    """

    def __init__(self, moving: Atoms, hessian: NDArray[np.float64], fmax: float, steps: int) -> None:
        self._moving, self._hessian, self._fmax, self._steps = moving, hessian, fmax, steps
        self._start = moving.get_positions()
        self.cause = ""

    def side(self, name: str, step: float, advance: Advance) -> tuple[list[Atoms], str]:
        """Follow one side downhill.

        Parameters
        ----------
        name
            Sella's name for the side.
        step
            Length of a step, amu^1/2 Angstrom.
        advance
            Called at each point.

        Returns
        -------
        points
            The saddle point and the points after it.
        failure
            How the calculator failed; empty where it did not.
        """
        from sella import IRC  # a heavy import (jax)
        from sella.optimize.irc import IRCInnerLoopConvergenceFailure

        moving, points, ended, self.cause = self._moving, [], False, ""
        moving.set_positions(self._start)
        irc = IRC(moving, logfile=None, dx=step, hessian_function=lambda _: self._hessian)
        try:
            for ended in irc.irun(fmax=self._fmax, steps=self._steps, direction=name):  # noqa: B007 - read below
                points.append(_evaluated(moving))
                advance(1, f"{name}: {largest_force(points[-1]):.3f} eV/Å")
        except IRCInnerLoopConvergenceFailure:
            points.append(_evaluated(moving))  # off the path, but in the right valley
            self.cause = f"stopped at step {len(points) - 1}: its path bends too sharply; halve `step`"
        except Exception as error:
            if not (points and is_failure(error)):
                raise
            return points, failure_words(error, f"after step {len(points) - 1}")
        else:
            if not ended:
                self.cause = (
                    f"still has a force of {largest_force(points[-1]):.3g} eV/Angstrom after {self._steps} steps, "
                    f"{self._fmax:g} was asked for; allow more steps"
                )
        return points, ""


class _Held(Calculator):
    """A calculator without the forces on atoms that do not move.

    Sella leaves those atoms in place, but would take the forces on them into its update of the Hessian.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, calculator: Any, mobile: NDArray[np.intp]) -> None:
        super().__init__()
        self._calculator, self._mobile = calculator, mobile

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        forces = np.zeros((len(self.atoms), 3))
        forces[self._mobile] = self._calculator.get_forces(self.atoms)[self._mobile]
        self.results = {"energy": self._calculator.get_potential_energy(self.atoms), "forces": forces}


def _evaluated(atoms: Atoms) -> Atoms:
    """Evaluate a structure; return a copy that keeps energy and forces, without the calculator."""
    atoms.get_forces()
    return evaluated_copy(atoms)


def _result(saddle: Atoms, vib: VibResult, sides: list[list[Atoms]], ends: list[Atoms], causes: list[str]) -> IrcResult:
    # The sign of the imaginary mode, and so which side came first, means nothing: the lower end is the reactant.
    (reactant, reverse), (product, forward) = sorted(
        zip(ends, sides, strict=True), key=lambda side: float(side[0].get_potential_energy())
    )
    images = [*reversed(reverse), saddle, *forward]
    root_mass = np.sqrt(saddle.get_masses())[:, None]
    lengths = [np.linalg.norm(root_mass * (after.positions - before.positions)) for before, after in pairwise(images)]
    arc = np.concatenate([[0.0], np.cumsum(lengths)])
    return IrcResult(
        converged=not causes,
        cause="; ".join(causes),
        images=tuple(images),
        energies=np.array([image.get_potential_energy() for image in images]),
        arc_length=arc - arc[len(reverse)],
        reactant=reactant,
        product=product,
        frequency_cm1=float(vib.frequencies_cm1[0]),
    )
