"""Checksums of a model file: written when it is saved, verified whenever it is opened, before torch sees its content.

A model file is a zip archive that torch writes and reads. Its CRC-32 are not verified by torch.jit.load, so one flipped
bit would give another energy. `with_checksums` adds a member with the SHA-256 of every other member, in the format of
`sha256sum`; `verified_metadata` compares them. Files of earlier versions have none: there the CRC-32 are verified.

Checksums find damage and careless edits. They are no signature: whoever can write a file can write its checksums.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from pathlib import Path

from dp_sim.errors import ModelFileError, first_line

#: The members that hold metadata and checksums; torch keeps further files of an archive in the folder `extra`.
METADATA, CHECKSUMS = "extra/dp_sim.json", "extra/dp_sim.sha256"
#: Bytes of all compressed members, unpacked. torch compresses code alone: 0.1 MB in the models that ship.
LARGEST_CODE = 64 * 1024**2
#: What zipfile raises for archives that are not whole, or no archives.
_BROKEN = (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, OSError, OverflowError, struct.error, zlib.error)


def with_checksums(archive: bytes) -> bytes:
    """Add the SHA-256 of every member to an archive that torch.jit.save wrote.

    Parameters
    ----------
    archive
        Content of the file, all members in one folder.

    Returns
    -------
    bytes
        Content of the file with the member `CHECKSUMS`; all other members stay where they are.
    """
    buffer = io.BytesIO(archive)
    with zipfile.ZipFile(buffer, "a") as file:
        folder = file.namelist()[0].partition("/")[0]
        digests = {name.partition("/")[2]: _sha256(file.read(name)) for name in sorted(file.namelist())}
        lines = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
        file.writestr(zipfile.ZipInfo(f"{folder}/{CHECKSUMS}"), lines)
    return buffer.getvalue()


def verified_metadata(content: bytes, path: Path, hint: str = "") -> tuple[bytes, bool]:
    """Verify every member of a model file.

    Parameters
    ----------
    content
        Content of the file.
    path
        Its name in messages.
    hint
        What else the file may be, for the message about one that is no dp-sim model.

    Returns
    -------
    metadata : bytes
        The member with the metadata, JSON.
    has_checksums : bool
        Whether the file has checksums; without them only the CRC-32 were verified.

    Raises
    ------
    ModelFileError
        No zip archive, a truncated one, one without metadata, or a member that differs from its checksum, is missing
        or was added.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            members = {info.filename.partition("/")[2]: info for info in file.infolist()}
            if METADATA not in members:
                hint = hint or "; is it a checkpoint of a training? `dp-sim import` opens those of DeePMD-kit"
                raise ModelFileError("model-not-ours", f"{path} is no dp-sim model: it holds no {METADATA}{hint}")
            _check_directory(file, path)
            digests = {name: _digest(file, info, path) for name, info in members.items()}
            listing = file.read(members[CHECKSUMS]).decode("ascii", "replace") if CHECKSUMS in members else None
            metadata = file.read(members[METADATA])
    except ModelFileError:
        raise
    except _BROKEN as error:
        raise ModelFileError(
            "file-damaged",
            f"{path} is no complete model file (truncated, or of another kind): {first_line(error)}{hint}",
        ) from None
    if listing is not None:
        _compare(digests, listing, path)
    return metadata, listing is not None


def _check_directory(file: zipfile.ZipFile, path: Path) -> None:
    """Refuse what torch never writes: names used twice, and code that unpacks to an absurd size."""
    seen: set[str] = set()
    unpacked = sum(info.file_size for info in file.infolist() if info.compress_type != zipfile.ZIP_STORED)
    if unpacked > LARGEST_CODE:
        raise _damaged(path, f"its compressed parts would take {unpacked:,} bytes, expected at most {LARGEST_CODE:,}")
    for info in file.infolist():
        if info.filename in seen or info.filename.partition("/")[2] in seen:
            raise _damaged(path, f"it has two parts named '{info.filename}', expected one")
        seen |= {info.filename, info.filename.partition("/")[2]}


def _digest(file: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> str:
    """SHA-256 of a member, whose CRC-32 is verified by reading it."""
    try:
        return _sha256(file.read(info))
    except zipfile.BadZipFile as error:
        raise _damaged(path, f"expected parts as they were written, got: {first_line(error)}") from None


def _compare(digests: dict[str, str], listing: str, path: Path) -> None:
    expected = {}
    for line in listing.splitlines():
        digest, _, name = line.partition("  ")
        expected[name] = digest
    for name in sorted({*digests, *expected} - {CHECKSUMS}):
        if digests.get(name) != expected.get(name):
            wanted, got = (
                f"{found[name][:12]}..." if name in found else "no such part" for found in (expected, digests)
            )
            raise _damaged(path, f"SHA-256 of its part '{name}': expected {wanted}, got {got}")


def _damaged(path: Path, what: str) -> ModelFileError:
    return ModelFileError(
        "file-damaged", f"{path} is damaged or was edited: {what}; copy it again from where it came from"
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
