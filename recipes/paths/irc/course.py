"""Both sides of a saddle point one after the other, their ends, and what they are together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms

from dp_sim.recipes.paths.barriers import with_model_errors
from dp_sim.recipes.paths.irc.ends import End
from dp_sim.recipes.paths.irc.expected import EndComparison, compared, is_swapped
from dp_sim.recipes.paths.irc.result import ARC_UNIT, IrcResult
from dp_sim.recipes.paths.irc.settings import IRCSettings
from dp_sim.recipes.paths.irc.stages import Arrays, Stages, point_arrays, point_from, restore_walk, walk_arrays
from dp_sim.recipes.paths.irc.walk import PLATEAU_EV, PathPoint, Walk
from dp_sim.recipes.paths.saddle.curvature import StationaryModes, modes_of
from dp_sim.recipes.paths.saddle.surface import Array, Surface
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar

#: The two directions along the imaginary mode.
SIDES = ("forward", "reverse")
#: The default step, as a displacement along the imaginary mode, Angstrom.
STEP_A = 0.1


class Side(NamedTuple):
    """One side of the path.

    Attributes
    ----------
    points
        Behind the saddle point.
    end
        The structure to which the last one relaxes.
    frequencies_cm1
        Of it; None where it did not relax.
    causes, notes
        What went wrong, and what is odd, as sentences.
    """

    points: list[PathPoint]
    end: Atoms
    frequencies_cm1: Array | None
    causes: list[str]
    notes: list[str]


class Course:
    """The whole way from a saddle point.

    Parameters
    ----------
    surface, modes
        Where, and the normal modes there.
    settings, run, stages
        Of the run, its directory, and what earlier sessions have done.
    """

    def __init__(
        self, surface: Surface, settings: IRCSettings, modes: StationaryModes, run: RunDirectory, stages: Stages
    ) -> None:
        self._surface, self._settings, self._modes, self._run, self._stages = surface, settings, modes, run, stages
        self._saddle = surface.point(surface.here)
        self._step = settings.step or STEP_A * float(np.sqrt(modes.modes.reduced_masses_amu[0]))

    def result(self, reactant: Atoms | None, product: Atoms | None, *, progress: bool) -> IrcResult:
        """Follow both sides, and compare their ends with those expected, where any are."""
        frequency = self._modes.frequencies_cm1[0]
        self._run.log(f"imaginary frequency {frequency:.1f} cm^-1, steps of {self._step:.3f} {ARC_UNIT}")
        sides = [self._side(name, sign, progress) for name, sign in zip(SIDES, (1.0, -1.0), strict=True)]
        first, second = self._ordered(sides, reactant, product)
        return self._joined(first, second, _comparisons((first.end, second.end), (reactant, product)))

    def _side(self, name: str, sign: float, progress: bool) -> Side:
        """Follow a side and relax its end; where that falls far, it was left on a plateau, and is followed further."""
        walk = self._begun(name)
        self._follow(name, walk, sign, progress)
        side = self._ended(name, walk, self._stages.load(f"{name}_end"))
        fall = walk.points[-1].point.energy - side.end.get_potential_energy()
        if fall < PLATEAU_EV or walk.cause or walk.note:
            return side
        self._run.log(f"{name} side: its end lies {fall:.3f} eV lower: it is a plateau, and the path goes on")
        walk.plateau = len(walk.points) - 1
        self._follow(name, walk, sign, progress)
        return self._ended(name, walk, None)

    def _begun(self, name: str) -> Walk:
        """Begin a side at the saddle point, or where an earlier session left it."""
        surface = self._surface
        walk = Walk(
            surface,
            surface.atoms.get_masses()[surface.mobile],
            self._step,
            self._settings.fmax,
            self._run.log,
            points=[PathPoint(self._saddle, 0.0)],
            hessian=self._modes.hessian,
        )
        if (saved := self._stages.load(name)) is not None:
            restore_walk(walk, saved)
            self._run.log(f"{name} side: goes on from step {len(walk.points) - 1}")
        return walk

    def _follow(self, name: str, walk: Walk, sign: float, progress: bool) -> None:
        settings = self._settings
        weighted = (self._modes.modes.displacements[0] * np.sqrt(walk.masses)[:, None]).ravel()
        with progress_bar("irc", total=settings.steps, show=progress) as advance:

            def follow() -> None:
                force = walk.points[-1].point.largest_force
                advance(1, f"{name}: {force:.3f} eV/Å")
                self._stages.save(name, **walk_arrays(walk))

            walk.follow = follow
            walk.run(sign * weighted / np.linalg.norm(weighted), settings.steps)
        force = walk.points[-1].point.largest_force
        self._run.log(f"{name} side: {len(walk.points) - 1} steps, largest force {force:.4f} eV/Angstrom")

    def _ended(self, name: str, walk: Walk, saved: Arrays | None) -> Side:
        """Relax the end of a side, or take the one that an earlier session saved."""
        causes = [f"the {name} side {walk.cause}"] if walk.cause else []
        notes = [f"the {name} side {walk.note}"] if walk.note else []
        surface, last = self._surface, walk.points[-1].point
        if len(walk.points) == 1:  # the calculator failed before the first point; the cause is stated
            return Side([], surface.evaluated(last), None, causes, notes)
        if saved is not None and not walk.cause:
            point = point_from(saved)
            source = str(saved["source"])
            modes = modes_of(surface, point.x, point.gradient, saved["hessian"], source, self._run.log)
            notes += _plateau(name, last.energy - point.energy)
            return Side(walk.points[1:], surface.evaluated(point), modes.frequencies_cm1, causes, notes)
        end = End(surface, self._settings.fmax, self._run.log)
        point = end.relax(last.x, walk.hessian)
        self._run.log(f"{name} end: {point.largest_force:.4f} eV/Angstrom after {end.steps} steps of relaxation")
        notes += _plateau(name, last.energy - point.energy)
        if end.cause:
            causes.append(f"the {name} end {end.cause}")
        elif end.modes is not None:
            kept = {"hessian": end.modes.hessian, "source": np.array(end.modes.source)}
            self._stages.save(f"{name}_end", **kept, **point_arrays(point))
        frequencies = None if end.modes is None else end.modes.frequencies_cm1
        return Side(walk.points[1:], surface.evaluated(point), frequencies, causes, notes)

    def _ordered(self, sides: Sequence[Side], reactant: Atoms | None, product: Atoms | None) -> tuple[Side, Side]:
        """Put the reactant's side first: by what was expected, else the lower one.

        The sign of the imaginary mode, and so which side was first, means nothing.
        """
        swapped = is_swapped((sides[0].end, sides[1].end), reactant, product)
        if swapped is None:
            swapped = sides[1].end.get_potential_energy() < sides[0].end.get_potential_energy()
        return (sides[1], sides[0]) if swapped else (sides[0], sides[1])

    def _joined(
        self, first: Side, second: Side, comparisons: tuple[EndComparison | None, EndComparison | None]
    ) -> IrcResult:
        points = [
            *((one.point, -one.arc) for one in reversed(first.points)),
            (self._saddle, 0.0),
            *((one.point, one.arc) for one in second.points),
        ]
        energies = np.array([point.energy for point, _ in points])
        causes = [*first.causes, *second.causes]
        causes += _rises(energies, np.array([arc for _, arc in points]))
        for name, one in zip(("reactant", "product"), comparisons, strict=True):
            if one is not None and not one.same:
                causes.append(f"the {name} is not the one expected: {one.words}")
        notes = (*first.notes, *second.notes)
        for sentence in notes:
            self._run.note(sentence)
        result = IrcResult(
            converged=not causes,
            cause="; ".join(causes),
            images=tuple(self._surface.evaluated(point) for point, _ in points),
            energies=energies,
            arc_length=np.array([arc for _, arc in points]),
            reactant=first.end,
            product=second.end,
            frequency_cm1=float(self._modes.frequencies_cm1[0]),
            reactant_frequencies_cm1=first.frequencies_cm1,
            product_frequencies_cm1=second.frequencies_cm1,
            reactant_comparison=comparisons[0],
            product_comparison=comparisons[1],
            notes=notes,
            cost=self._surface.cost,
        )
        levels = (first.end, result.images[result.saddle_index], second.end)
        return with_model_errors(result, levels, self._surface.atoms.calc)


def _comparisons(
    ends: tuple[Atoms, Atoms], expected: tuple[Atoms | None, Atoms | None]
) -> tuple[EndComparison | None, EndComparison | None]:
    first, second = (None if one is None else compared(end, one) for end, one in zip(ends, expected, strict=True))
    return first, second


def _plateau(name: str, fall_eV: float) -> list[str]:
    """Say that the way from the last point of a side to its end is a relaxation's, not the reaction coordinate's."""
    if fall_eV < PLATEAU_EV:
        return []
    return [
        f"the {name} side stops where the force is small, {fall_eV:.3f} eV above its minimum, which was reached from "
        "there by relaxation; a smaller fmax follows it further"
    ]


def _rises(energies: Array, arc: Array) -> list[str]:
    """Say where the energy rises on the way down: from the saddle point at arc length zero to either side."""
    top = int(np.argmin(np.abs(arc)))
    rising = np.diff(energies)
    wrong = [k for k in range(top) if rising[k] <= 0] + [k + 1 for k in range(top, len(rising)) if rising[k] >= 0]
    if not wrong:
        return []
    places = ", ".join(f"{arc[k]:.2f}" for k in wrong[:5])
    return [f"the energy does not fall all the way from the saddle point: it rises at {places} {ARC_UNIT}"]
