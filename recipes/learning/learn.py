"""Learning on the fly: the loop of dynamics, labels and training, whose state is the journal."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ase import Atoms

from dp_sim.config.recipe import documented
from dp_sim.recipes.learning.inputs import Inputs, read_inputs
from dp_sim.recipes.learning.labelling.reference import Reference, References
from dp_sim.recipes.learning.learner import Learner
from dp_sim.recipes.learning.members.side_by_side import SideBySide
from dp_sim.recipes.learning.result import LearnResult
from dp_sim.recipes.learning.settings import LearnSettings
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.workers import open_workers, threads_to_use

__all__ = ["LearnResult", "learn"]


@documented(LearnSettings)
def learn(
    atoms: Atoms | Sequence[Atoms],
    calc: Any,
    label: Any,
    *,
    threshold: float,
    along: str = "dynamics",
    along_settings: str | os.PathLike[str] | None = None,
    temperature_K: float | None = None,
    steps: int | None = None,
    upper: float | None = None,
    max_force_eV_A: float | None = None,
    ensemble: str = "nvt",
    dynamics_engine: str = "ase",
    timestep_fs: float | None = None,
    friction_per_ps: float | None = None,
    look_every: int = 5,
    frame_every: int = 100,
    picks: int = 5,
    apart_fs: float = 100.0,
    min_distance: float = 0.0,
    max_labels: int = 200,
    max_hours: float | None = None,
    quiet_ps: float | None = None,
    label_minutes: float | None = None,
    label_retries: int = 0,
    data: Sequence[str] = (),
    train: str | os.PathLike[str] | None = None,
    members: int = 4,
    first: int = 20,
    displacement_A: float = 0.1,
    train_steps: int = 1000,
    learning_rate: float | None = None,
    engine: str = "local",
    workers: int = 1,
    scheduler: str | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> LearnResult:
    """Run dynamics (in ASE or OpenMM) or a search with a committee, and let it learn where it is unsure.

    Where the uncertainty of the force on any atom exceeds `threshold`, dynamics pauses, structures from there on are
    labelled, all members are trained on from where they are with all labels, and dynamics goes on from the last of
    these structures. `out` becomes the folder of the committee: `-m` of every command takes it.

    `along` opt, neb or ts: the search is run whole with the committee, structures above the threshold on its way are
    labelled, the members are trained on, and it is run again, until none is above. Its last run is kept in `out`.

    Parameters
    ----------
    atoms : ase.Atoms or sequence of ase.Atoms
        The start; of neb reactant and product.
    calc : path, sequence of paths, or None
        The committee: its folder, or its model files. None: it is made here, as `train` says.
    label : Calculator or str
        What computes labels: an ASE calculator, or a SPEC such as "tblite:GFN2-xTB".

    Returns
    -------
    LearnResult
        What was labelled, what each training bought, and the committee. No averages: the members changed on the way.

    Raises
    ------
    InputError
        Bad settings, a committee of one, elements that it lacks, an unknown label calculator, or a directory that holds
        another run or one with other settings.
    EvaluationError
        The label calculator fails at so many of the first structures that nothing can be trained.
    TrainingError
        Training diverged.

    Notes
    -----
    A run that was cut short, whenever that was, goes on with `resume` to the same labels, weights and trajectory.
    """
    settings = LearnSettings.taken_from(locals())
    inputs = read_inputs(atoms, calc, label, settings)
    with (
        RunDirectory.of(
            settings,
            out,
            structures=inputs.starts,
            calculator=inputs.calculator,
            overwrite=overwrite,
            resume=resume,
            constants=inputs.label_settings,
        ) as run,
        _helpers(inputs, settings) as (reference, side_by_side),
        TemporaryDirectory() as spare,
    ):
        learner = Learner(inputs, settings, run, reference, side_by_side, Path(spare), progress=progress)
        return run.finish(learner.run())


@contextmanager
def _helpers(inputs: Inputs, settings: LearnSettings) -> Iterator[tuple[Reference, SideBySide]]:
    """Open what computes labels and what trains members, here or at workers."""
    limit_s = None if settings.label_minutes is None else 60 * settings.label_minutes
    local, threads = settings.engine == "local", threads_to_use()
    members = min(inputs.members, threads) if local else inputs.members
    at_once = max(members, settings.workers)
    own_threads = None if settings.scheduler else max(1, threads // at_once)
    with open_workers(settings.engine, at_once, settings.scheduler) as place:
        if local and settings.workers == 1:
            reference = Reference(inputs.label, limit_s)
        else:
            reference = References(
                inputs.label, limit_s, place, None if settings.scheduler else settings.workers, own_threads
            )
        with reference, SideBySide(place, members, own_threads) as side_by_side:
            yield reference, side_by_side
