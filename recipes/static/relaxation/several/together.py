"""Many structures relaxed in step, with a Deep Potential that evaluates them as one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from dp_sim.recipes.inputs.failed_evaluations import WayBack, is_failure
from dp_sim.recipes.static.relaxation import endings
from dp_sim.recipes.static.relaxation.endings import Ending
from dp_sim.recipes.static.relaxation.moving import Left
from dp_sim.recipes.static.relaxation.optimizers import quiet
from dp_sim.recipes.static.relaxation.several.batched_bfgs import Curvature, bfgs_steps
from dp_sim.recipes.static.relaxation.trace import Trace

if TYPE_CHECKING:
    from dp_sim.model.evaluator import Model

Array = NDArray[np.float64]
#: Called with a structure at rest: how it ended, or None where it was moved and goes on.
AtRest = Callable[["Job"], Ending | None]


class GivenResults:
    """A calculator that holds what a batch has computed."""

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}

    def get_potential_energy(self, atoms: Atoms, force_consistent: bool = False) -> float:
        """Return the energy, eV."""
        return float(self.results["energy"])

    def get_forces(self, atoms: Atoms) -> Array:
        """Return the forces (N, 3), eV/Angstrom."""
        return np.array(self.results["forces"])

    def get_stress(self, atoms: Atoms) -> Array:
        """Return the stress (6,), eV/Angstrom^3."""
        return np.array(self.results["stress"])


@dataclass
class Job:
    """One of the structures.

    Attributes
    ----------
    number
        Its place among all.
    trace
        Its way so far, with what is moved.
    bounds
        For its forces and stress.
    way_back
        To the last place that could be evaluated.
    saddles_cm1, frequencies_cm1
        Of the saddle points left, and of the last structure that was looked at.
    ended
        How it ended; None while it is relaxed.
    curvature
        What BFGS knows of it.
    """

    number: int
    trace: Trace
    bounds: Left
    way_back: WayBack
    saddles_cm1: list[float] = field(default_factory=list)
    frequencies_cm1: Array | None = None
    ended: Ending | None = None
    curvature: Curvature = field(default_factory=Curvature)

    @property
    def atoms(self) -> Atoms:
        """The structure."""
        atoms: Atoms = self.trace.moving.atoms
        return atoms

    def ending(self, steps: int) -> Ending | None:
        """Tell whether it has ended, and how."""
        if self.trace.left[-1].within(self.bounds):
            return Ending(endings.CONVERGED)
        if (away := endings.running_away(self.trace)) is not None:
            return away
        return endings.out_of_steps(self.trace, self.bounds) if self.trace.steps >= steps else None


def relax_together(
    jobs: Sequence[Job], model: Model, steps: int, at_rest: AtRest, done: Callable[[Job], object]
) -> None:
    """Relax structures with BFGS until each has ended.

    Parameters
    ----------
    jobs
        The structures; their calculators are `GivenResults`.
    model
        Evaluates them.
    steps
        Most steps of each.
    at_rest
        Looks at each that has converged.
    done
        Called with each structure when it has ended.
    """
    running = list(jobs)
    while running:
        moving = [job for job in _evaluate(running, model) if not _has_ended(job, steps, at_rest)]
        with quiet():
            last = [job.trace.last_place() for job in moving]
            moves = bfgs_steps([job.curvature for job in moving], [place for place, _ in last], [f for _, f in last])
        for job, (place, _), move in zip(moving, last, moves, strict=True):
            job.trace.moving.target.set_positions(place + move)
        for job in running:
            if job.ended is not None:
                done(job)
        running = [job for job in running if job.ended is None]


def _has_ended(job: Job, steps: int, at_rest: AtRest) -> bool:
    """Find out whether a structure has ended, or was moved and is to be evaluated before its next step."""
    ending = job.ending(steps)
    if ending is not None and not ending.cause:
        ending = at_rest(job)
        if ending is None:
            job.trace.jump()
            job.curvature = Curvature()
            return True
    job.ended = ending
    return ending is not None


def _evaluate(running: list[Job], model: Model) -> list[Job]:
    """Evaluate and record structures; return those that the model could evaluate.

    The others go back half their step, or have ended where that has been tried often enough.
    """
    with_stress = any(job.trace.moving.cell is not None for job in running)
    try:
        outputs: list[Any] = list(model.evaluate_each([job.atoms for job in running], virial=with_stress))
    except Exception as error:
        if not is_failure(error):
            raise
        outputs = [_alone(job.atoms, model, with_stress) for job in running]
    evaluated = []
    for job, output in zip(running, outputs, strict=True):
        try:
            if isinstance(output, Exception):
                raise output
            _give(job.atoms, output)
            job.trace.record()
            job.way_back.evaluated()
            evaluated.append(job)
        except Exception as error:  # the way back knows which of them are the model's
            job.curvature = Curvature()
            if not job.way_back.shorten(error, f"after step {job.trace.steps}"):
                job.ended = Ending(endings.EVALUATION_FAILED, job.way_back.cause)
    return evaluated


def _alone(atoms: Atoms, model: Model, with_stress: bool) -> Any:
    try:
        return next(model.evaluate_each([atoms], virial=with_stress))
    except Exception as error:
        if not is_failure(error):
            raise
        return error


def _give(atoms: Atoms, output: Any) -> None:
    energy = output.energy.item()
    atoms.calc.results = {"energy": energy, "free_energy": energy, "forces": output.forces.cpu().numpy()}
    if output.virial is not None:
        stress = -output.virial.cpu().numpy().reshape(3, 3) / atoms.get_volume()
        atoms.calc.results["stress"] = full_3x3_to_voigt_6_stress(stress)
