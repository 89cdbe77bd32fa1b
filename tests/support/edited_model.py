"""Model files as a program that edits archives leaves them: other members, checksums that fit them or do not."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dp_sim.model.integrity import CHECKSUMS, METADATA


def rewritten(source: Path, target: Path, change: Callable[[dict[str, bytes]], None], *, checksums: str) -> Path:
    """A model file with other members; its checksums "stale", "anew" or "dropped", its CRC-32 right in any case."""
    with zipfile.ZipFile(source) as file:
        members = {name.partition("/")[2]: file.read(name) for name in file.namelist()}
    change(members)
    if checksums != "stale":
        del members[CHECKSUMS]
    if checksums == "anew":
        lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in members.items())
        members[CHECKSUMS] = "".join(lines).encode()
    with zipfile.ZipFile(target, "w") as file:
        for name, content in members.items():
            file.writestr(f"archive/{name}", content)
    return target


def with_metadata(**fields: Any) -> Callable[[dict[str, bytes]], None]:
    """Other metadata; a field that is `...` is dropped, `config__key` goes into the settings."""

    def change(members: dict[str, bytes]) -> None:
        content = json.loads(members[METADATA])
        for name, value in fields.items():
            place, key = (content["config"], name[8:]) if name.startswith("config__") else (content, name)
            if value is ...:
                del place[key]
            else:
                place[key] = value
        members[METADATA] = json.dumps(content).encode()

    return change
