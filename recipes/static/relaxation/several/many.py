"""Relaxation of many structures: in batches where a Deep Potential evaluates them, else one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ase import Atoms

from dp_sim.errors import InputError
from dp_sim.recipes.inputs.calculators import as_calculator, only_model
from dp_sim.recipes.inputs.failed_evaluations import EvaluationError, WayBack
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.results.frames import append_frame, evaluated_copy, whole_frames
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.recipes.static.relaxation import endings
from dp_sim.recipes.static.relaxation.endings import Ending
from dp_sim.recipes.static.relaxation.freedom import check_freedom, make_moving
from dp_sim.recipes.static.relaxation.moving import Left
from dp_sim.recipes.static.relaxation.optimizers import chosen_optimizer
from dp_sim.recipes.static.relaxation.several.many_result import OPTIMIZED, ManyOptResult, RelaxedStructure
from dp_sim.recipes.static.relaxation.several.together import GivenResults, Job, relax_together
from dp_sim.recipes.static.relaxation.single import bounds_of, check_rest, relax_one
from dp_sim.recipes.static.relaxation.trace import Trace
from dp_sim.recipes.static.settings import OptSettings
from dp_sim.recipes.static.verdict import stationary_point


class Start:
    """A structure that is to be relaxed, or why it cannot be.

    Attributes
    ----------
    name
        Its number, as text.
    atoms
        Checked, with its calculator; as it was given where it cannot be relaxed.
    refusal
        Why it cannot be relaxed; None where it can.
    notes
        What the page should say of it.
    """

    def __init__(self, number: int, given: Any, calculator: Any, settings: OptSettings) -> None:
        self.name = str(number)
        self.atoms = given
        self.refusal: InputError | EvaluationError | None = None
        self.notes: list[str] = []
        try:
            self.atoms = prepare_atoms(given, calculator, f"structure {number}")
            self.notes = check_freedom(self.atoms, settings)
        except (InputError, EvaluationError) as error:
            self.refusal = error


def starts_of(structures: Sequence[Any], calc: Any, settings: OptSettings) -> list[Start]:
    """Check structures.

    Raises
    ------
    InputError
        There are none, one of them is no structure, or none of them can be relaxed.
    """
    if not structures:
        raise InputError("structures-missing", "no structures given; expected one or more")
    for number, given in enumerate(structures):
        if not isinstance(given, Atoms):
            raise InputError("structure-kind", f"structure {number} must be an ase.Atoms, got {type(given).__name__}")
    calculator = as_calculator(calc)
    starts = [Start(number, given, calculator, settings) for number, given in enumerate(structures)]
    if all(start.refusal is not None for start in starts) and starts[0].refusal is not None:
        raise starts[0].refusal
    return starts


class ManyRelaxations:
    """The run over many structures; each that has ended is in the file at once, and a resumed run leaves it out.

    Parameters
    ----------
    starts
        The structures.
    settings
        Of the run.
    run
        Its directory.
    progress
        Show a progress bar.
    """

    def __init__(self, starts: Sequence[Start], settings: OptSettings, run: RunDirectory, *, progress: bool) -> None:
        self.starts, self.settings, self.run, self.progress = starts, settings, run, progress
        self.file = run.path(OPTIMIZED)
        self.results: dict[str, RelaxedStructure] = {}
        self._earlier: dict[str, RelaxedStructure] = {}
        self._jobs: list[Job] = []
        self._advance: Callable[..., object] = lambda *_: None

    def relax(self) -> ManyOptResult:
        """Relax them all."""
        if self.run.resumed:
            self._take_over()
        self.run.on_interrupt(self._save_running)
        with progress_bar("opt", total=len(self.starts), show=self.progress) as self._advance:
            self._advance(len(self.results))
            for start in self.starts:
                if start.refusal is not None and start.name not in self.results:
                    self._end(_refused(start))
            waiting = [start for start in self.starts if start.name not in self.results]
            together = [start for start in waiting if self._is_batched(start)]
            self._in_batches(together)
            for start in waiting:
                if start.name not in self.results:
                    self._alone(start)
        return ManyOptResult.of({start.name: self.results[start.name] for start in self.starts}, len(together))

    def _is_batched(self, start: Start) -> bool:
        ours = only_model(start.atoms.calc) is not None
        return ours and chosen_optimizer(self.settings.optimizer, len(start.atoms)) == "bfgs"

    def _take_over(self) -> None:
        """Keep what an earlier session has ended with, within today's bounds; the others go on from there."""
        frames = whole_frames(self.file) if self.file is not None and self.file.is_file() else []
        for frame in frames:
            found = RelaxedStructure.from_frame(frame)
            if found is not None:
                self._earlier[found.name] = found
        for start in self.starts:
            found = self._earlier.get(start.name)
            if found is None:
                continue
            left = None if found.fmax_eV_A is None else Left(found.fmax_eV_A, found.stress_left_GPa)
            if left is None or (found.converged and left.within(bounds_of(self.settings, found.atoms))):
                self.results[start.name] = found
            else:
                start.atoms.set_cell(found.atoms.cell, apply_constraint=False)
                start.atoms.set_positions(found.atoms.positions, apply_constraint=False)

    def _end(self, result: RelaxedStructure) -> None:
        self.results[result.name] = result
        self._write(result)
        self.run.log(f"structure {result.name}: {result.cause or result.ended_by}, {result.steps} steps")
        self._advance(1, f"structure {result.name}")

    def _write(self, result: RelaxedStructure) -> None:
        if self.file is not None:
            append_frame(self.file, result.frame())

    def _steps_before(self, name: str) -> int:
        earlier = self._earlier.get(name)
        return 0 if earlier is None else earlier.steps

    def _alone(self, start: Start) -> None:
        before = self._steps_before(start.name)
        found = relax_one(start.atoms, self.settings, self.run, progress=False, earlier_steps=before)
        self._end(
            RelaxedStructure(
                name=start.name, atoms=found.atoms, converged=found.converged, cause=found.cause,
                ended_by=found.ended_by, steps=found.steps, energy_eV=found.energy_eV,
                energy_change_eV=float(found.energies_eV[-1] - found.energies_eV[0]), fmax_eV_A=found.fmax_eV_A,
                stress_left_GPa=found.stress_left_GPa, verdict=found.verdict,
            )
        )  # fmt: skip

    def _in_batches(self, starts: Sequence[Start]) -> None:
        if not starts:
            return
        calculator = starts[0].atoms.calc
        own = {start.name: list(start.atoms.constraints) for start in starts}
        self._jobs = [self._job(start) for start in starts]

        def at_rest(job: Job) -> Ending | None:
            if not self.settings.check_minimum:
                return Ending(endings.CONVERGED)
            given, job.atoms.calc = job.atoms.calc, calculator
            ending, job.frequencies_cm1 = check_rest(job.atoms, job.saddles_cm1, self.run, progress=False)
            job.atoms.calc = given
            return ending

        def done(job: Job) -> None:
            assert job.ended is not None
            self._end(_of_job(job, job.ended, own[str(job.number)]))

        relax_together(self._jobs, calculator.model, self.settings.steps, at_rest, done)

    def _job(self, start: Start) -> Job:
        start.atoms.calc = GivenResults()
        moving, _, _ = make_moving(start.atoms, self.settings)
        trace = Trace(moving)
        trace.earlier_steps = self._steps_before(start.name)
        way_back = WayBack(moving.target, self.run.log, f"structure {start.name}")
        return Job(int(start.name), trace, bounds_of(self.settings, start.atoms), way_back)

    def _save_running(self) -> None:
        for job in self._jobs:
            if job.ended is None and job.trace.left:
                job.trace.moving.target.set_positions(job.trace.last_place()[0])
                stopped = Ending(endings.STOPPED, "stopped from outside; --resume goes on")
                self._write(_of_job(job, stopped, list(job.atoms.constraints)))


def _refused(start: Start) -> RelaxedStructure:
    atoms = start.atoms.copy()
    return RelaxedStructure(
        name=start.name, atoms=atoms, converged=False, cause=str(start.refusal), ended_by=endings.REFUSED
    )


def _of_job(job: Job, ending: Ending, constraints: list[Any]) -> RelaxedStructure:
    trace = job.trace
    last = evaluated_copy(trace.moving.atoms)
    last.set_constraint(constraints)
    verdict = "not checked"
    if job.frequencies_cm1 is not None:
        verdict = stationary_point(job.frequencies_cm1, relaxed=True)
    return RelaxedStructure(
        name=str(job.number), atoms=last, converged=not ending.cause, cause=ending.cause, ended_by=ending.kind,
        steps=trace.steps, energy_eV=trace.energies_eV[-1],
        energy_change_eV=trace.energies_eV[-1] - trace.energies_eV[0],
        fmax_eV_A=trace.left[-1].fmax_eV_A, stress_left_GPa=trace.left[-1].stress_GPa, verdict=verdict,
    )  # fmt: skip
