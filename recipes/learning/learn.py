"""Learning on the fly: the loop of dynamics, labels and training, whose state is the journal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ase import Atoms

from dp_sim.config.recipe import documented
from dp_sim.recipes.learning.inputs import read_inputs
from dp_sim.recipes.learning.labelling.reference import Reference
from dp_sim.recipes.learning.learner import Learner
from dp_sim.recipes.learning.members.side_by_side import SideBySide
from dp_sim.recipes.learning.result import LearnResult
from dp_sim.recipes.learning.settings import LearnSettings
from dp_sim.recipes.run.directory import RunDirectory

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
    timestep_fs: float | None = None,
    friction_per_ps: float | None = None,
    look_every: int = 5,
    frame_every: int = 100,
    picks: int = 5,
    apart_fs: float = 20.0,
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
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> LearnResult:
    """Run dynamics (in ASE) or a search with a committee, and let it learn where it is unsure.

    Where the uncertainty of the force on any atom exceeds `threshold`, dynamics pauses, the structure is labelled, all
    members are trained on from where they are with all labels, and dynamics goes on from the paused state. `out`
    becomes the folder of the committee: `-m` of every command takes it.

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
    reference = Reference(inputs.label, None if label_minutes is None else 60 * label_minutes)
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
        reference,
        SideBySide(inputs.members) as side_by_side,
        TemporaryDirectory() as spare,
    ):
        learner = Learner(inputs, settings, run, reference, side_by_side, Path(spare), progress=progress)
        return run.finish(learner.run())
