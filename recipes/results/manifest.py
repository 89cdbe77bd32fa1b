"""The hidden list of what dp-sim wrote into a run directory: overwriting removes that, and never a user's own file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dp_sim.errors import InputError
from dp_sim.files import write_text

MANIFEST = ".dp-sim.json"


@dataclass
class Manifest:
    """Contents and origin of a run directory.

    Attributes
    ----------
    recipe
        Name of the recipe.
    files
        Paths relative to the directory, in the order of writing.
    parts
        Directories in it of runs that are parts of this one.
    input_sha256
        Hash of the input structures or data files.
    model_sha256
        Hash of each model file.
    data_sha256
        Source of data -> its hash.
    input_parts
        Hashes of what the structures hold, part by part.
    calculator
        Parameters of the calculator.
    wall_s
        Working time of all sessions so far, s.
    """

    recipe: str
    input_sha256: str = ""
    model_sha256: list[str] = field(default_factory=list)
    data_sha256: dict[str, str] = field(default_factory=dict)
    input_parts: dict[str, str] = field(default_factory=dict)
    calculator: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0
    files: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    def add(self, directory: Path, name: str) -> Path:
        """Record the file `name`, before it is written, and return its path."""
        if name not in self.files:
            self.files.append(name)
            self.save(directory)
        return directory / name

    def add_part(self, directory: Path, name: str) -> Path:
        """Record the directory `name` of a run that is a part of this one, and return its path."""
        if name not in self.parts:
            self.parts.append(name)
            self.save(directory)
        return directory / name

    def add_all(self, directory: Path, names: Sequence[str], parts: Sequence[str]) -> None:
        """Record many files and parts at once."""
        self.files = list(dict.fromkeys([*self.files, *names]))
        self.parts = list(dict.fromkeys([*self.parts, *parts]))
        self.save(directory)

    def save(self, directory: Path) -> None:
        """Write the manifest into the run's directory."""
        write_text(directory / MANIFEST, json.dumps(asdict(self), indent=1) + "\n")


def read_manifest(directory: Path) -> Manifest | None:
    """Read the manifest of a run directory; None where it is absent or damaged: nothing there is known as ours then."""
    try:
        manifest = Manifest(**json.loads((directory / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    # A path that leaves the directory is not from us; with it, removing a run could remove something else.
    inside = all(
        not Path(name).is_absolute() and ".." not in Path(name).parts for name in (*manifest.files, *manifest.parts)
    )
    return manifest if inside else None


def remove_run(directory: Path) -> None:
    """Remove what the manifest lists, runs that are parts of it too, then the directory if nothing else is in it."""
    manifest = read_manifest(directory)
    if manifest is None:
        return
    for name in manifest.parts:
        remove_run(directory / name)
    for name in [*manifest.files, MANIFEST]:
        (directory / name).unlink(missing_ok=True)
        for folder in list((directory / name).parents)[: len(Path(name).parts) - 1]:  # of files in folders of ours
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    if not any(directory.iterdir()):
        directory.rmdir()


def check_directory(directory: Path, *, overwrite: bool, resume: bool) -> None:
    """Check that a run may have `directory`, without changing anything.

    Parameters
    ----------
    directory
        Where the run's files are to go.
    overwrite, resume
        Whether an earlier run in it may be replaced, or continued.

    Raises
    ------
    InputError
        It holds an earlier run and neither may be, it holds only foreign files, or it cannot be written.
    """
    if overwrite and resume:
        raise InputError("options-exclude-each-other", "overwrite and resume exclude each other; give one of them")
    if directory.exists() and not directory.is_dir():
        raise InputError("target-is-file", f"{directory} is a file; give the name of a directory for the run")
    try:
        occupied = directory.is_dir() and any(directory.iterdir())
    except OSError as error:
        raise InputError(
            "target-not-writable", f"cannot read the directory {directory}: {error.strerror}; choose another"
        ) from error
    if occupied and not (overwrite or resume):
        raise InputError(
            "target-occupied",
            f"the directory {directory} exists and is not empty; choose another one, or ask with --overwrite "
            "to replace the run in it or with --resume to continue it",
        )
    if occupied and read_manifest(directory) is None:
        raise InputError(
            "target-occupied",
            f"the directory {directory} holds files that are not from a dp-sim run, which are left alone; "
            "choose another directory",
        )
    if not os.access(_nearest_existing(directory), os.W_OK | os.X_OK):
        raise InputError("target-not-writable", f"no permission to write {directory}; choose another directory")


def claim_directory(directory: Path, *, replace: bool, keep: bool = False) -> None:
    """Make sure that `directory` exists, is writable, and holds nothing but the run that may be replaced or kept.

    Parameters
    ----------
    directory
        Where the run's files are to go.
    replace
        An earlier run may be removed.
    keep
        An earlier run may stay.

    Raises
    ------
    InputError
        From `check_directory`.
    """
    check_directory(directory, overwrite=replace and not keep, resume=keep)
    if not keep:
        remove_run(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "target-not-writable", f"cannot make the directory {directory}: {error.strerror}; choose another"
        ) from error


def _nearest_existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())
