"""What data files were read: a hash of each, so that a run can tell whether they have changed under the same name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from dp_sim.datasets.formats import dpdata_files
from dp_sim.datasets.formats.ase_files import split_source
from dp_sim.errors import InputError

_BLOCK = 1 << 20


def source_files(source: str | os.PathLike[str]) -> list[Path]:
    """The files behind a source of frames, in a fixed order: the file itself, or all that is in a folder.

    Raises
    ------
    InputError
        There is nothing under that name.
    """
    source = os.fspath(source)
    path = (
        Path(dpdata_files.parts(source)[1]) if source.startswith(dpdata_files.PREFIX) else Path(split_source(source)[0])
    )
    if not path.exists():
        raise InputError(
            "file-missing", f"there is no data file {path}; give a file that ASE reads or a DeePMD-kit folder"
        )
    return sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]


def hash_sources(sources: Iterable[str | os.PathLike[str]]) -> tuple[str, dict[str, str]]:
    """SHA-256 of all files behind some sources, and of each source.

    Returns
    -------
    total, each
        `total` is the hash of the files' bytes one after another: for one file what `sha256sum` prints. `each` maps a
        source to the same of its own files.
    """
    total, each = hashlib.sha256(), {}
    for source in dict.fromkeys(os.fspath(one) for one in sources):
        own = hashlib.sha256()
        for file in source_files(source):
            with file.open("rb") as content:
                while block := content.read(_BLOCK):
                    own.update(block)
                    total.update(block)
        each[source] = own.hexdigest()
    return total.hexdigest(), each
