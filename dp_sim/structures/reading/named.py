"""FILE@INDEX: how a structure of a file that holds several is named."""

from __future__ import annotations

import re
from pathlib import Path

from dp_sim.errors import InputError

_INDEX = re.compile(r"-?\d+|(-?\d+)?:(-?\d+)?(:-?\d+)?")


def split_name(name: str, default: str) -> tuple[Path, str]:
    """Split FILE@INDEX; an '@' that belongs to the file's own name stays there.

    Parameters
    ----------
    name
        FILE or FILE@INDEX.
    default
        The index where none is named.

    Raises
    ------
    InputError
        `index-malformed`.
    """
    file, at, index = name.rpartition("@")
    if not at or Path(name).is_file():
        return Path(name), default
    if not _INDEX.fullmatch(index):
        raise InputError(
            "index-malformed", f"'{index}' in {name} is no index; expected a number or start:stop:step, as in {file}@-1"
        )
    return Path(file), index
