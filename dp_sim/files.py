"""Atomic writing: a file appears under its name only when it is complete. And what a file is by its first bytes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dp_sim.errors import InputError


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `target`, which replaces it when the block ends without an error.

    Raises
    ------
    InputError
        The target is a folder, or its folder does not exist or cannot be written.
    """
    target = Path(target)
    if target.is_dir():
        raise InputError("target-is-folder", f"cannot write {target}: it is a folder; give the name of a file")
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix)
    except OSError as error:
        raise InputError(
            "target-not-writable",
            f"cannot write {target}: {error.strerror}; choose a folder that exists and is writable",
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(target: str | os.PathLike[str], text: str) -> None:
    """Write a text file (UTF-8) whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive, as model files are; structures are not."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False
