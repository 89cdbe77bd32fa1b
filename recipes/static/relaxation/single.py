"""Relaxation of one structure: down to rest, off saddle points where that is asked for, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixSymmetry
from numpy.typing import NDArray

from dp_sim.recipes.inputs.failed_evaluations import failure_words, is_failure
from dp_sim.recipes.inputs.forces import mobile_atoms
from dp_sim.recipes.inputs.members import member_energies, spread_worth
from dp_sim.recipes.results.frames import evaluated_copy
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.recipes.static.mode_analysis import analyse_modes
from dp_sim.recipes.static.relaxation import endings
from dp_sim.recipes.static.relaxation.descent import Descent
from dp_sim.recipes.static.relaxation.endings import Ending
from dp_sim.recipes.static.relaxation.freedom import make_moving
from dp_sim.recipes.static.relaxation.moving import Left
from dp_sim.recipes.static.relaxation.optimizers import chosen_optimizer
from dp_sim.recipes.static.relaxation.result import OptResult
from dp_sim.recipes.static.relaxation.saddle_points import MOST_SADDLES, leave_saddle
from dp_sim.recipes.static.relaxation.space_group import SYMPREC_A, space_group
from dp_sim.recipes.static.relaxation.trace import Trace
from dp_sim.recipes.static.settings import OptSettings
from dp_sim.recipes.static.verdict import stationary_point_words
from dp_sim.units import EV_PER_A3_IN_GPA

#: The stress that is left at most where no bound is given, GPa.
MAX_STRESS_GPA = 0.05


def relax_one(
    atoms: Atoms,
    settings: OptSettings,
    run: RunDirectory,
    *,
    progress: bool,
    trajectory: Path | None = None,
    earlier_steps: int = 0,
) -> OptResult:
    """Relax a structure that `check_freedom` has passed; `atoms` moves.

    Parameters
    ----------
    atoms
        The structure with its calculator.
    settings
        Of the run.
    run
        For its log and notes.
    progress
        Show a progress bar.
    trajectory
        File of the frames, from which a resumed run goes on; None: none.
    earlier_steps
        Steps that it has behind it.
    """
    own = list(atoms.constraints)
    moving, group, lines = make_moving(atoms, settings)
    for line in lines:
        run.log(line)
    trace = Trace(moving, trajectory, own)
    trace.earlier_steps = earlier_steps
    if run.resumed:
        trace.take_over()
    optimizer = chosen_optimizer(settings.optimizer, len(atoms))
    run.log(f"optimizer {optimizer}")
    with progress_bar("opt", total=settings.steps, show=progress) as advance:
        advance(len(trace.energies_eV))
        descent = Descent(moving, trace, bounds_of(settings, atoms), settings.steps, optimizer, run.log, advance)
        ending, frequencies, left = _to_a_minimum(descent, settings, run, progress)
    if (words := endings.contradiction(trace)) and ending.kind == endings.CONVERGED:
        run.note(words)
    group_after = space_group(atoms, settings.symprec_A or SYMPREC_A) if settings.symmetry else ""
    # The symmetry is that of this run. Constraints that the structure came with stay.
    last = evaluated_copy(atoms)
    last.set_constraint(own)
    worth, energies = spread_worth(atoms.calc), member_energies([atoms], atoms.calc)
    return OptResult(
        converged=not ending.cause,
        cause=ending.cause,
        atoms=last,
        energy_eV=trace.energies_eV[-1],
        member_energies_eV=None if energies is None else energies[:, 0],
        worth=worth,
        fmax_eV_A=trace.left[-1].fmax_eV_A,
        steps=trace.steps,
        energies_eV=np.array(trace.energies_eV),
        fmaxes_eV_A=trace.fmaxes_eV_A(),
        fmax_asked_eV_A=settings.fmax,
        ended_by=ending.kind,
        optimizer=optimizer,
        frequencies_cm1=frequencies,
        saddles_left_cm1=tuple(left),
        space_groups=(group, group_after) if group else None,
        **_of_the_cell(atoms, trace, settings),
    )


def bounds_of(settings: OptSettings, atoms: Atoms) -> Left:
    """Find the bounds for forces and stress.

    Where none is given for the stress, a tighter bound for forces tightens it too: V / N times the stress, which is the
    generalised force on the cell, stays below `fmax`.
    """
    if not settings.cell:
        return Left(settings.fmax, None)
    generalised = settings.fmax * len(atoms) / atoms.get_volume() * EV_PER_A3_IN_GPA
    return Left(settings.fmax, settings.max_stress_GPa or min(MAX_STRESS_GPA, generalised))


def _of_the_cell(atoms: Atoms, trace: Trace, settings: OptSettings) -> dict[str, Any]:
    if not settings.cell:
        return {}
    return {
        "volume_A3": atoms.get_volume(),
        "stress_GPa": atoms.get_stress() * EV_PER_A3_IN_GPA,
        "stress_left_GPa": trace.left[-1].stress_GPa,
        "stresses_left_GPa": trace.stresses_left_GPa(),
        "pressure_GPa": settings.pressure_GPa,
    }


def _to_a_minimum(
    descent: Descent, settings: OptSettings, run: RunDirectory, progress: bool
) -> tuple[Ending, NDArray[np.float64] | None, list[float]]:
    """Descend; with `check_minimum` leave each saddle point that is reached, and descend again."""
    left: list[float] = []
    while True:
        ending = descent.run()
        if ending.cause or not settings.check_minimum:
            return ending, None, left
        final, frequencies = check_rest(descent.moving.atoms, left, run, progress=progress)
        if final is not None:
            return final, frequencies, left
        descent.trace.jump()


def check_rest(
    atoms: Atoms, left: list[float], run: RunDirectory, *, progress: bool
) -> tuple[Ending | None, NDArray[np.float64]]:
    """Compute the modes of a structure at rest; move it off a saddle point.

    Parameters
    ----------
    atoms
        The structure with its calculator.
    left
        The lowest frequency of each saddle point that was left, to which this one's is added.
    run
        For its log.
    progress
        Show a progress bar.

    Returns
    -------
    ending : Ending or None
        None: it was moved and is to be relaxed again.
    frequencies_cm1 : numpy.ndarray
        (M,) where it was at rest.
    """
    mobile = mobile_atoms(atoms, but_symmetry=True)
    modes = analyse_modes(atoms, mobile, log=run.log, progress=progress).modes
    frequencies = modes.frequencies_cm1
    run.log(stationary_point_words(frequencies, relaxed=True))
    if not modes.n_imaginary:
        return Ending(endings.CONVERGED), frequencies
    if any(isinstance(one, FixSymmetry) for one in atoms.constraints):
        cause = "the symmetry that is kept holds it at a saddle point; leave out symmetry to go on downhill"
        return Ending(endings.AT_SADDLE, cause), frequencies
    if len(left) == MOST_SADDLES:
        cause = f"after leaving {len(left)} saddle points it is at another; displace it by hand, or start elsewhere"
        return Ending(endings.AT_SADDLE, cause), frequencies
    try:
        leave_saddle(atoms, mobile, modes)
    except Exception as error:
        if not is_failure(error):
            raise
        cause = f"it is at a saddle point, and {failure_words(error, 'on both sides of it')}"
        return Ending(endings.EVALUATION_FAILED, cause), frequencies
    left.append(float(frequencies[0]))
    return None, frequencies
