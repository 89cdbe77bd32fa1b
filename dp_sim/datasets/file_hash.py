"""Hashes of data files, by which a run finds that a file has changed under the same name."""

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
    """List the files of a source in a fixed order: the file itself, or all files in a folder.

    Raises
    ------
    InputError
        There is no such file or folder.
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


def absolute_source(source: str | os.PathLike[str]) -> str:
    """Give the file or folder of a source its absolute path; `dpdata:FORMAT:` before it and `@:40` behind it stay."""
    source = os.fspath(source)
    if source.startswith(dpdata_files.PREFIX):
        path = dpdata_files.parts(source)[1]
        return source.removesuffix(path) + os.path.abspath(path)
    path = split_source(source)[0]
    return os.path.abspath(path) + source[len(path) :]


def hash_sources(sources: Iterable[str | os.PathLike[str]]) -> tuple[str, dict[str, str]]:
    """Compute SHA-256 over all files of the sources, and of each source.

    Returns
    -------
    str
        Hash of the bytes of all files in sequence; for one file, what `sha256sum` prints.
    dict
        Source -> the same for its own files.
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
