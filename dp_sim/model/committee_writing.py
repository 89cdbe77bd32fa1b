"""`write_committee`: one folder from the model files of several members."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from dp_sim.errors import InputError
from dp_sim.files import atomic_path
from dp_sim.model.committee.folder import member_file, write_committee_file
from dp_sim.model.model_file import load_model


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
    _claim(folder)
    names = [member_file(number) for number in range(len(hashes))]
    for name, file in zip(names, model.files, strict=True):
        (folder / name).parent.mkdir()
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(file, temporary)
    write_committee_file(folder, names)  # last: without it the folder is none
    return folder


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
