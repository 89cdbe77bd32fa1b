"""`calibrate`: errors of a committee on held-out frames give the scale of its spread, kept with the members."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dp_sim.config.recipe import documented
from dp_sim.datasets.file_hash import hash_sources
from dp_sim.datasets.reading import read_frames
from dp_sim.datasets.remarks import Remarks
from dp_sim.errors import InputError
from dp_sim.model.committee_writing import attach_calibration, check_members, copy_members
from dp_sim.model.evaluator import Model
from dp_sim.recipes.inputs.calculators import as_calculator, loaded_model
from dp_sim.recipes.models.calibration.held_out import blocks_of, evaluated
from dp_sim.recipes.models.calibration.result import KINDS, CalibrationResult
from dp_sim.recipes.models.data_remarks import report_remarks
from dp_sim.recipes.models.settings import CalibrateSettings
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.uncertainty.calibration import Calibration
from dp_sim.uncertainty.reliability import assessed


@documented(CalibrateSettings)
def calibrate(
    members: Any,
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    blocks: int = 5,
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
    """Measure what the spread of a committee is worth, and keep it with the members.

    The folder of a committee gets `calibration.json`; of members in files, `out` becomes the folder, with copies of
    them. `energy_std` and `forces_std` of that folder are standard uncertainties from then on.

    Parameters
    ----------
    members : path, sequence of paths or DPCalculator
        Folder of a committee, or its model files.
    data : path or sequence of paths
        Labelled frames that no member was trained on: files that ASE reads (FILE@INDEX for a part), DeePMD-kit
        folders, or dpdata:FORMAT:FILE. Each is a trajectory of its own.

    Returns
    -------
    CalibrationResult
        Scales, intervals, and how well they hold.

    Raises
    ------
    InputError
        A single model, the same one twice, another calculator, unreadable data, too few frames with energies and
        forces, or members that agree in everything.
    """
    settings = CalibrateSettings.taken_from(locals())
    calculator = as_calculator(members)
    committee = _committee(calculator)
    _check_target(committee, out)
    sources = [str(source) for source in ([data] if isinstance(data, (str, os.PathLike)) else data)]
    remarks = Remarks()
    with progress_bar("read", total=None, show=progress) as advance:
        read = [read_frames(source, keys=settings.label_keys(), remarks=remarks) for source in sources]
        advance(sum(map(len, read)))
    frames = [frame for part in read for frame in part]
    for frame in frames:
        committee.species_index(frame.numbers, frame.name)
    with (
        RunDirectory.of(
            settings, out, structures=[], calculator=calculator, overwrite=overwrite, resume=resume, data=sources
        ) as run,
        progress_bar("calibrate", total=len(frames), show=progress) as advance,
    ):
        held_out = evaluated(committee, frames, blocks_of(read, settings.blocks), advance)
        count = len(committee.members)
        found = {kind: assessed(getattr(held_out, kind), count, name) for kind, (name, _) in KINDS.items()}
        calibration = Calibration(
            tuple(member.sha256 for member in committee.members),
            **{kind: scale for kind, (scale, _) in found.items()},
            data=hash_sources(sources)[1],
        )
        folder = _kept(calibration, loaded_model(calculator), run)
        report_remarks(remarks, run)
        for line in (line for _, held in found.values() for line in held.useless):
            run.note(line)
        energy, forces, atoms = (held for _, held in found.values())
        return run.finish(
            CalibrationResult(
                converged=True, calibration=calibration, energy=energy, forces=forces, atoms=atoms, committee=folder
            )
        )


def _committee(calculator: Any) -> Model:
    """Return the members without a calibration that they have already."""
    model = loaded_model(calculator)
    if model is None:
        raise InputError(
            "calculator-kind",
            f"a committee of dp-sim models is calibrated, got {type(calculator).__name__}; give "
            "model files or their folder",
        )
    check_members(model)
    return Model(model.modules, model.members, str(model.device), model.files)


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
