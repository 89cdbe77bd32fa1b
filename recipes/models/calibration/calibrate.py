"""`calibrate`: errors on held-out frames give the scale of a committee's spread, or of a last layer's uncertainty."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dp_sim.config.recipe import documented
from dp_sim.datasets.file_hash import hash_sources
from dp_sim.datasets.frames import Frame
from dp_sim.datasets.reading import read_frames
from dp_sim.datasets.remarks import Remarks
from dp_sim.errors import InputError
from dp_sim.files import atomic_path
from dp_sim.model.committee.folder import COMMITTEE, member_file, write_committee_file
from dp_sim.model.committee_writing import attach_calibration, check_members, copy_members
from dp_sim.model.evaluator import Model
from dp_sim.recipes.inputs.calculators import as_calculator, loaded_model
from dp_sim.recipes.models.calibration.drawn import drawn_members
from dp_sim.recipes.models.calibration.held_out import blocks_of, check_labels, evaluated
from dp_sim.recipes.models.calibration.last_layer import evenly, fitted_last_layer, with_uncertainties
from dp_sim.recipes.models.calibration.result import KINDS, CalibrationResult
from dp_sim.recipes.models.data_remarks import report_remarks
from dp_sim.recipes.models.settings import CalibrateSettings
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import Advance, progress_bar
from dp_sim.uncertainty.calibration import CALIBRATION, Calibration
from dp_sim.uncertainty.last_layer import LastLayer, uncertainty_file
from dp_sim.uncertainty.reliability import assessed

Sources: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
#: Copy of a single model in the directory of the run; its uncertainty is in a file beside it.
MODEL = "model.pt"


@documented(CalibrateSettings)
def calibrate(
    members: Any,
    data: Sources,
    train: Sources | None = None,
    *,
    blocks: int = 5,
    draws: int | None = None,
    energy_key: str | None = None,
    forces_key: str | None = None,
    virial_key: str | None = None,
    stress_key: str | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> CalibrationResult:
    """Measure what the spread of a committee is worth, or find the uncertainty of a single model, and keep it.

    The folder of a committee gets `calibration.json`; of members in files, `out` becomes the folder, with copies of
    them. `energy_std` and `forces_std` of that folder are standard uncertainties from then on.

    A single model gets the uncertainty of its last layer (dp_sim.uncertainty.last_layer), from the frames that it was
    trained on, in a file beside a copy of it in `out`: `model.pt` and `model.uncertainty.npz`. With `draws`, `out` is
    the folder of a committee instead, whose members differ in their last layers as much as the data leave these open.

    Parameters
    ----------
    members : path, sequence of paths or DPCalculator
        Folder of a committee, or its model files; or one model file.
    data : path or sequence of paths
        Labelled frames that no member was trained on: files that ASE reads (FILE@INDEX for a part), DeePMD-kit
        folders, or dpdata:FORMAT:FILE. Each is a trajectory of its own.
    train : path or sequence of paths, default None
        Of a single model the frames that it was trained on; some hundreds of them are enough.

    Returns
    -------
    CalibrationResult
        Scales, intervals, and how well they hold.

    Raises
    ------
    InputError
        A single model without `train`, or `train` with a committee; `draws` without `train` or `out`; the same model
        twice, another calculator, unreadable data, too few frames with energies and forces, or members that agree in
        everything.
    """
    settings = CalibrateSettings.taken_from(locals())
    _check_draws(settings, train, out)
    calculator = as_calculator(members)
    model = _uncalibrated(calculator, train)
    _check_target(model, out)
    sources, trained_on = _listed(data), _listed(train)
    remarks = Remarks()
    with progress_bar("read", total=None, show=progress) as advance:
        frames, block = _read_held_out(model, sources, settings, remarks, advance)
        training = _read_training(model, trained_on, settings, remarks, advance)
    with (
        RunDirectory.of(
            settings,
            out,
            structures=[],
            calculator=calculator,
            overwrite=overwrite,
            resume=resume,
            data=[*sources, *trained_on],
        ) as run,
        progress_bar("calibrate", total=len(training) + len(frames), show=progress) as advance,
    ):
        last_layer = fitted_last_layer(model, training, advance) if training else None
        if last_layer is not None and settings.draws is not None:
            model, last_layer = drawn_members(model, last_layer, settings.draws, settings.seed, run.path), None
            run.note(
                f"the {settings.draws} members are drawn from the last layer of one model: errors that come from its "
                "other layers, which they share, show in the scale of their spread alone"
            )
        if last_layer is None:
            outputs = model.evaluate_each(frames, names=[frame.name for frame in frames])
        else:
            outputs = with_uncertainties(model, last_layer, frames)
        held_out = evaluated(outputs, frames, block, advance)
        count = None if last_layer is not None else len(model.members)
        found = {kind: assessed(getattr(held_out, kind), count, name) for kind, (name, _) in KINDS.items()}
        calibration = Calibration(
            tuple(member.sha256 for member in model.members),
            **{kind: scale for kind, (scale, _) in found.items()},
            data=hash_sources([*sources, *trained_on])[1],
        )
        if last_layer is not None:
            folder = _kept_beside(replace(last_layer, calibration=calibration), model, run)
        elif settings.draws is not None:
            folder = _kept_with_draws(calibration, settings.draws, run)
        else:
            folder = _kept(calibration, loaded_model(calculator), run)
        report_remarks(remarks, run)
        energy, forces, atoms = (held for _, held in found.values())
        return run.finish(
            CalibrationResult(
                converged=True, calibration=calibration, energy=energy, forces=forces, atoms=atoms, committee=folder
            )
        )


def _read_held_out(
    model: Model, sources: Sequence[str], settings: CalibrateSettings, remarks: Remarks, advance: Advance
) -> tuple[list[Frame], NDArray[np.int64]]:
    """Read the frames to calibrate on, and the number of the block of each."""
    read = [read_frames(source, keys=settings.label_keys(), remarks=remarks) for source in sources]
    advance(sum(map(len, read)))
    frames = [frame for part in read for frame in part]
    for frame in frames:
        model.species_index(frame.numbers, frame.name)
    block = blocks_of(read, settings.blocks)
    check_labels(frames, block)
    return frames, block


def _read_training(
    model: Model, sources: Sequence[str], settings: CalibrateSettings, remarks: Remarks, advance: Advance
) -> list[Frame]:
    """Read the frames that a single model was trained on, as many as count."""
    read = [read_frames(source, keys=settings.label_keys(), remarks=remarks) for source in sources]
    advance(sum(map(len, read)))
    training = evenly([frame for part in read for frame in part])
    for frame in training:
        model.species_index(frame.numbers, frame.name)
    return training


def _listed(sources: Sources | None) -> list[str]:
    if sources is None:
        return []
    return [str(source) for source in ([sources] if isinstance(sources, (str, os.PathLike)) else sources)]


def _uncalibrated(calculator: Any, train: Sources | None) -> Model:
    """Return the members without a calibration that they have already; `train` is for a single one."""
    model = loaded_model(calculator)
    if model is None:
        raise InputError(
            "calculator-kind",
            f"dp-sim models are calibrated, got {type(calculator).__name__}; give model files or their folder",
        )
    if train is None:
        check_members(model)
    elif len(model.members) > 1:
        raise InputError(
            "train-not-for-committees",
            f"train is for the last layer of a single model, got {len(model.members)} members; leave it out: their "
            "spread is calibrated on data",
        )
    return Model(model.modules, model.members, str(model.device), model.files)


def _check_draws(settings: CalibrateSettings, train: Sources | None, out: str | os.PathLike[str] | None) -> None:
    """Refuse members to be drawn from nothing, or with no place to be kept in."""
    for name, given in (("train", train), ("out", out)):
        if settings.draws is not None and given is None:
            raise InputError(
                "setting-missing",
                f"draws ({settings.draws} members) needs {name}: a single model with the frames that it was trained "
                f"on, and a folder for the members; give {name}, or leave draws out",
            )


def _check_target(committee: Model, out: str | os.PathLike[str] | None) -> None:
    """Refuse to write a run over the members that it calibrates: `overwrite` would remove them first."""
    if out is None:
        return
    target = Path(out).resolve()
    inside = [file for file in committee.files if target in Path(file).resolve().parents]
    if inside:
        raise InputError(
            "target-is-source",
            f"the member {inside[0]} is in {out}, where the files of the run are to go; choose another directory",
        )


def _kept(calibration: Calibration, model: Model | None, run: RunDirectory) -> Path | None:
    """Write the calibration beside the members: into their folder, or with copies of them into that of the run."""
    assert model is not None
    if model.folder is not None:
        attach_calibration(model.folder, calibration)
        run.log(f"calibration written into {model.folder}")
        return model.folder
    directory = run.directory
    if directory is None or not model.files:
        return None
    copy_members(model, lambda name: run.path(name) or directory / name, calibration)
    return directory


def _kept_with_draws(calibration: Calibration, draws: int, run: RunDirectory) -> Path:
    """Make the folder of the run that of a committee, whose members are there already."""
    paths = [run.path(name) for name in (CALIBRATION, COMMITTEE)]
    assert run.directory is not None
    assert paths[0] is not None
    calibration.write(paths[0])
    write_committee_file(run.directory, [member_file(number) for number in range(draws)], CALIBRATION)
    return run.directory


def _kept_beside(last_layer: LastLayer, model: Model, run: RunDirectory) -> Path | None:
    """Write the uncertainty of a single model beside a copy of it, into the directory of the run."""
    target = run.path(MODEL)
    if target is None or not model.files:
        return None
    with atomic_path(target) as temporary:
        shutil.copyfile(model.files[0], temporary)
    file = run.path(uncertainty_file(target).name)
    assert file is not None
    last_layer.write(file)
    return target
