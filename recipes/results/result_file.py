"""result.json: the version of its schema, and reading it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dp_sim.errors import InputError

#: What `schema` says in every result.json that this version writes.
SCHEMA_VERSION = 1
#: Keys that every recipe writes.
_KEYS = {"recipe", "title", "converged", "cause", "values", "provenance"}


def read_result_json(file: Path) -> dict[str, Any]:
    """Read a result.json and check that it has the keys that every recipe writes.

    Parameters
    ----------
    file
        The result.json of a run that has ended.

    Returns
    -------
    dict
        Its content, as `Result.to_dict` gives it.

    Raises
    ------
    InputError
        The file is missing, damaged or of another schema.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("file-missing", f"there is no {file}; give the directory of a run that has ended") from None
    except (OSError, ValueError) as error:
        raise InputError(
            "file-unreadable", f"{file} cannot be read ({error}); run the recipe again with --overwrite"
        ) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA_VERSION or not content.keys() >= _KEYS:
        raise InputError(
            "result-invalid", f"{file} is not a result of this dp-sim (schema {SCHEMA_VERSION}); run the recipe again"
        )
    return content
