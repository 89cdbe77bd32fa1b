"""`write_committee`: one folder from model files; a calibration into it; a folder whose members are compressed."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dp_sim.errors import InputError
from dp_sim.files import atomic_path
from dp_sim.model.committee.folder import COMMITTEE, member_file, read_committee, write_committee_file
from dp_sim.model.compression import SPACING, compress_file
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import load_model
from dp_sim.uncertainty.calibration import CALIBRATION, Calibration


def write_committee(folder: str | os.PathLike[str], files: Sequence[str | os.PathLike[str]]) -> Path:
    """Make the folder of a committee from model files, which are copied into it.

    `load_model`, `DPCalculator` and `-m` of every command take the folder in place of the list.

    Parameters
    ----------
    folder
        The folder to make; it does not exist yet, or is empty.
    files
        Model files, or a folder whose members are taken.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        As from `load_model`; fewer than two members, the same one twice, or a folder that holds something.

    Examples
    --------
    >>> write_committee("committee", ["seed-1/model.pt", "seed-2/model.pt"])  # doctest: +SKIP
    """
    folder = Path(folder)
    model = load_model(files)
    check_members(model)
    _claim(folder)
    copy_members(model, lambda name: folder / name)
    return folder


def check_members(model: Model) -> None:
    """Refuse a single model, and the same one twice."""
    if len(model.members) < 2:
        raise InputError("members-too-few", f"a committee has two or more members, got {', '.join(model.files)}")
    hashes = [member.sha256 for member in model.members]
    for number, digest in enumerate(hashes):
        if digest in hashes[:number]:
            first = model.files[hashes.index(digest)]
            raise InputError(
                "members-equal",
                f"{first} and {model.files[number]} are the same model; give models that were trained from other "
                "random numbers",
            )


def copy_members(model: Model, path: Callable[[str], Path], calibration: Calibration | None = None) -> None:
    """Copy the files of the members, and write committee.json.

    Parameters
    ----------
    model
        The committee, which was opened from files.
    path
        Gives the place of a file in the folder by its name.
    calibration
        What their spread is worth, if it is known.
    """
    names = [member_file(number) for number in range(len(model.files))]
    for name, file in zip(names, model.files, strict=True):
        path(name).parent.mkdir()
        with atomic_path(path(name)) as temporary:
            shutil.copyfile(file, temporary)
    if calibration is not None:
        calibration.write(path(CALIBRATION))
    named = None if calibration is None else CALIBRATION
    write_committee_file(path(COMMITTEE).parent, names, named)  # last: without it the folder is none


def attach_calibration(folder: Path, calibration: Calibration) -> None:
    """Write a calibration into the folder of a committee, in place of an earlier one."""
    committee = read_committee(folder)
    calibration.write(folder / CALIBRATION)
    names = [member.relative_to(folder).as_posix() for member in committee.members]
    write_committee_file(folder, names, CALIBRATION)


def _claim(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            "target-occupied", f"cannot make the committee {folder}: it exists and is not empty; choose another name"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "target-not-writable", f"cannot make the folder {folder}: {error.strerror}; choose another"
        ) from error


def compress_committee(source: Path, target: Path, spacing: float = SPACING) -> list[dict[str, Any]]:
    """Compress every member of a committee into a folder of its own; a calibration goes with them.

    Tables give the same forces to far less than a spread, so that what it is worth stays.

    Parameters
    ----------
    source, target
        Folder of the committee, and the folder to make.
    spacing
        As for `compress_file`.

    Returns
    -------
    list of dict
        What `compress_file` returns, for each member.

    Raises
    ------
    InputError
        As from `compress_file` and `write_committee`.
    """
    members, calibration = read_committee(source).members, load_model(source).calibration
    with tempfile.TemporaryDirectory(prefix="dp-sim-compress-") as folder:
        files = [Path(folder) / f"{number}.pt" for number in range(len(members))]
        done = [compress_file(member, file, spacing) for member, file in zip(members, files, strict=True)]
        write_committee(target, files)
    if calibration is not None:
        compressed = tuple(member.sha256 for member in load_model(target).members)
        attach_calibration(target, dataclasses.replace(calibration, members=compressed))
    return done
