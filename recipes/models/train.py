"""Training as a recipe: from a YAML file to the run directory of a model, or of a committee."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from dp_sim.config.training import TrainConfig
from dp_sim.config.training_input import parse_config, read_config
from dp_sim.errors import InputError, choose
from dp_sim.recipes.models.committee.result import CommitteeResult
from dp_sim.recipes.models.committee.training import train_committee
from dp_sim.recipes.models.training_run import TrainResult, run_training
from dp_sim.recipes.results.manifest import check_directory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.recipes.run.worker_settings import ENGINES, refuse_scheduler_without_dask
from dp_sim.structures.devices import usable_device
from dp_sim.training.warm_start import members_of

__all__ = ["CommitteeResult", "TrainResult", "train"]


def train(
    settings: str | os.PathLike[str] | dict[str, Any] | TrainConfig,
    *,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int | None = None,
    device: str | None = None,
    members: int | None = None,
    strict: bool = False,
    engine: str = "local",
    scheduler: str | None = None,
) -> TrainResult | CommitteeResult:
    """Train a Deep Potential, or a committee of them.

    Writes model.pt, checkpoint.pt, learning_curve.csv and .png, result.json and report.html; for a committee into a
    folder for each member, `member-0` and so on, with committee.json, result.json and report.html beside them. Members
    are trained side by side in processes of their own, as many at a time as there are processors.

    Parameters
    ----------
    settings : path, mapping or TrainConfig
        A YAML file, a mapping, or a TrainConfig. `dp_sim.config.model` and `dp_sim.config.training` have every key, its
        default and its meaning.
    out : path or None, default None
        Directory of the run; by default the name of the YAML file without its suffix.
    overwrite : bool, default False
        Replace an earlier run in `out`.
    resume : bool, default False
        Continue from the last checkpoint, to the same numbers as without the interruption.
    progress : bool, default True
        Show a progress bar on a terminal.
    seed : int or None, default None
        In place of `training.seed`.
    device : str or None, default None
        In place of `training.device`.
    members : int or None, default None
        In place of `members`: train a committee of so many, whose seeds follow one another.
    strict : bool, default False
        Refuse data in which anything odd is found (`dp_sim.datasets.findings`), before the first step.
    engine : "local" or "dask", default "local"
        Where the members of a committee are trained: on this machine, or by Dask.
    scheduler : str or None, default None
        Address of a Dask scheduler, tcp://HOST:PORT; None: a cluster of this machine. Its workers need the same paths.

    Returns
    -------
    TrainResult or CommitteeResult
        The model, its learning curve, and errors on held-out frames: energy and virial in eV/atom, forces in
        eV/Angstrom. Of a committee the same for each member and for their mean.

    Raises
    ------
    InputError
        Bad settings, unreadable data, a directory that holds another run, or training that diverges.
    """
    config, out = _config(settings, out)
    config = _with_settings(config, {"members": members}, {"seed": seed, "device": device})
    usable_device(config.training.device)
    check_directory(out, overwrite=overwrite, resume=resume)  # before the data are read, and nothing of it removed yet
    choose("engine", engine, ENGINES)
    refuse_scheduler_without_dask(engine, scheduler)
    alone = members_of(config)
    how: dict[str, Any] = {"overwrite": overwrite, "resume": resume, "strict": strict}
    if config.members is not None:
        return train_committee(config, alone, out, progress=progress, engine=engine, scheduler=scheduler, **how)
    if engine != "local":
        raise InputError(
            "option-not-for-one-model", f"engine {engine} trains the members of a committee; give members, too"
        )
    return run_training(alone[0], out, bar=partial(_bar, progress), **how)


def _bar(show: bool, name: str, total: int | None) -> Any:
    return progress_bar(name, total=total, show=show)


def _config(settings: Any, out: Any) -> tuple[TrainConfig, Path]:
    """Return the settings, read and checked, and the directory of the run."""
    if isinstance(settings, (str, os.PathLike)):
        return read_config(settings), Path(out) if out is not None else Path(Path(settings).stem)
    if out is None:
        raise InputError("target-missing", "training from settings in memory needs out=DIRECTORY, where the model goes")
    return settings if isinstance(settings, TrainConfig) else parse_config(settings), Path(out)


def _with_settings(config: TrainConfig, changed: dict[str, Any], training: dict[str, Any]) -> TrainConfig:
    """Return the settings with others, at the top and under `training`: those that are not None."""
    changed, training = ({key: value for key, value in one.items() if value is not None} for one in (changed, training))
    if not (changed or training):
        return config
    sections = config.model_dump(exclude_unset=True)
    return parse_config({**sections, **changed, "training": {**sections.get("training", {}), **training}})
