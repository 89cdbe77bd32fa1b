"""A folder with a committee: committee.json names the model files of its members. No model is opened here.

DIR/committee.json        {"format": "dp-sim committee", "version": 1, "members": ["member-0/model.pt", ...]}
DIR/member-0/model.pt     and so on: each member may be the directory of its own training
DIR/calibration.json      where the spread was calibrated; then committee.json names it as "calibration"
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from dp_sim.errors import ModelFileError, nearest_name, shown
from dp_sim.files import write_text

COMMITTEE = "committee.json"
FORMAT = "dp-sim committee"
#: Raised with every change of what the file may say.
VERSION = 1
_KEYS = ("format", "version", "members", "calibration")


@dataclass(frozen=True)
class CommitteeFolder:
    """What committee.json says.

    Attributes
    ----------
    path
        The folder.
    members
        Model files, in the order of the members.
    calibration
        What a spread is worth; None where nobody has measured it.
    """

    path: Path
    members: tuple[Path, ...]
    calibration: Path | None = None


def member_file(number: int) -> str:
    """Name the model file of a member, relative to the folder."""
    return f"member-{number}/model.pt"


def is_committee(path: Path) -> bool:
    """Tell whether a path is a folder with a committee."""
    return (path / COMMITTEE).is_file()


def member_files(files: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """List model files, with the members of a committee in place of its folder."""
    return [
        member for file in map(Path, files) for member in (read_committee(file).members if file.is_dir() else [file])
    ]


def write_committee_file(folder: Path, members: Sequence[str], calibration: str | None = None) -> None:
    """Write committee.json, whole or not at all.

    Parameters
    ----------
    folder
        Of the committee; it exists.
    members, calibration
        Files, relative to it.
    """
    content = {"format": FORMAT, "version": VERSION, "members": list(members)}
    named = {} if calibration is None else {"calibration": calibration}
    write_text(folder / COMMITTEE, json.dumps({**content, **named}, indent=1) + "\n")


def read_committee(folder: Path) -> CommitteeFolder:
    """Read and check committee.json.

    Raises
    ------
    ModelFileError
        The folder has none, or one of a newer version, with a key that is missing, unknown or of the wrong kind, a file
        outside the folder, or one that is not there.
    """
    content = _content(folder)
    _check_version(content, folder)
    for key in content:
        if key not in _KEYS:
            raise _wrong(folder, f"unknown key '{key}'{nearest_name(key, _KEYS)} (known here: {', '.join(_KEYS)})")
    names = content.get("members")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) < 2:
        raise _wrong(folder, f"members: expected the names of two or more model files, got {shown(names)}")
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        raise _wrong(folder, f"members: expected different files, got {shown(twice[0])} twice")
    calibration = content.get("calibration")
    if not (calibration is None or isinstance(calibration, str)):
        raise _wrong(folder, f"calibration: expected the name of a file, got {shown(calibration)}")
    return CommitteeFolder(
        folder,
        tuple(_inside(folder, "members", name) for name in names),
        None if calibration is None else _inside(folder, "calibration", calibration),
    )


def _content(folder: Path) -> dict[str, Any]:
    if not is_committee(folder):
        alone = folder / "model.pt"
        advice = f"its model is {alone}" if alone.is_file() else "give a model file, or the folder of a committee"
        raise ModelFileError("committee-missing", f"{folder} is a folder without {COMMITTEE}; {advice}")
    try:
        content = json.loads((folder / COMMITTEE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(folder, f"it cannot be read ({error})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        got = content.get("format") if isinstance(content, dict) else content
        raise _wrong(folder, f"format: expected '{FORMAT}', got {shown(got)}")
    return content


def _check_version(content: dict[str, Any], folder: Path) -> None:
    version = content.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise _wrong(folder, f"version: expected a whole number from 1 to {VERSION}, got {shown(version)}")
    if version > VERSION:
        raise ModelFileError(
            "version-newer",
            f"{folder / COMMITTEE} is of version {version}; this dp-sim reads up to {VERSION}: upgrade it",
        )


def _inside(folder: Path, key: str, name: str) -> Path:
    """Give the path of a file of the folder, which must be there."""
    leaves = any(kind(name).is_absolute() or ".." in kind(name).parts for kind in (PurePosixPath, PureWindowsPath))
    if leaves or not name:
        raise _wrong(folder, f"{key}: expected a file in this folder, named relative to it, got {shown(name)}")
    if not (folder / name).is_file():
        raise ModelFileError(
            "file-missing",
            f"{folder / COMMITTEE}: {key}: there is no file {folder / name}; copy the whole folder again, or make it "
            "anew from the model files (dp_sim.write_committee)",
        )
    return folder / name


def _wrong(folder: Path, what: str) -> ModelFileError:
    return ModelFileError(
        "committee-invalid",
        f"{folder / COMMITTEE}: {what}; correct it, or make the folder anew (dp_sim.write_committee)",
    )
