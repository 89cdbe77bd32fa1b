"""calibration.json: what the spread of certain models is worth.

{"format": "dp-sim calibration", "version": 1, "members": [SHA-256, ...], "data": {SOURCE: SHA-256, ...},
 "energy": SCALE, "forces": SCALE, "atoms": SCALE, "dp_sim_version": ...}
SCALE = {"factor": ..., "intervals": {"50": ..., "68", "90", "95"}, "alpha_squared": ...}, of dp_sim.uncertainty.scale
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dp_sim.errors import ModelFileError, shown
from dp_sim.files import write_text
from dp_sim.uncertainty.scale import LEVELS, Scale

#: Name of the file in the folder of a committee.
CALIBRATION = "calibration.json"
FORMAT = "dp-sim calibration"
#: What has a scale: total energies, components of forces, lengths of atoms' force vectors.
SCALES = ("energy", "forces", "atoms")
#: Raised with every change of what the file may say.
VERSION = 1


@dataclass(frozen=True)
class Calibration:
    """What a spread of energies and forces is worth, of certain models and no others.

    Attributes
    ----------
    members
        SHA-256 of each model file.
    energy, forces, atoms
        Scales of total energies, of components of forces, and of the lengths of atoms' force vectors.
    data
        Source of held-out frames -> its SHA-256.
    """

    members: tuple[str, ...]
    energy: Scale
    forces: Scale
    atoms: Scale
    data: Mapping[str, str]

    def write(self, file: Path) -> None:
        """Write the file, whole or not at all."""
        write_text(file, json.dumps(calibration_content(self), indent=1, allow_nan=False) + "\n")


def calibration_content(calibration: Calibration) -> dict[str, Any]:
    """Give what calibration.json says of a calibration."""
    from dp_sim import __version__

    return {
        "format": FORMAT,
        "version": VERSION,
        "members": list(calibration.members),
        **{name: _entry(getattr(calibration, name)) for name in SCALES},
        "data": dict(calibration.data),
        "dp_sim_version": __version__,
    }


def read_calibration(file: Path, members: Sequence[str]) -> Calibration:
    """Read and check a calibration.

    Parameters
    ----------
    file
        The calibration.json.
    members
        SHA-256 of the model files that it must be of.

    Raises
    ------
    ModelFileError
        It cannot be read, is of a newer version, has a value that is missing or wrong, or is of other models.
    """
    return calibration_from(_content(file), file, members)


def calibration_from(content: Any, file: Path, members: Sequence[str]) -> Calibration:
    """Check what a file says of a calibration; parameters and errors as of `read_calibration`."""
    _check_format(content, file)
    known = content.get("members")
    if known != list(members):
        raise ModelFileError(
            "calibration-stale",
            f"{file} is of other model files than those beside it (members: expected {_short(members)}, got "
            f"{_short(known) if isinstance(known, list) else shown(known)}); calibrate them anew: dp-sim calibrate",
        )
    data = content.get("data", {})
    if not isinstance(data, dict):
        raise _wrong(file, "data", "a mapping", data)
    scales = {name: _scale(file, name, content.get(name)) for name in SCALES}
    return Calibration(tuple(members), **scales, data=data)


def _content(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(
            "calibration-invalid", f"{file} cannot be read ({error}); make it anew: dp-sim calibrate"
        ) from None


def _check_format(content: Any, file: Path) -> None:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _wrong(file, "format", f"'{FORMAT}'", content.get("format") if isinstance(content, dict) else content)
    version = content.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise _wrong(file, "version", f"a whole number from 1 to {VERSION}", version)
    if version > VERSION:
        raise ModelFileError(
            "version-newer", f"{file} is of version {version}; this dp-sim reads up to {VERSION}: upgrade it"
        )


def _scale(file: Path, name: str, entry: Any) -> Scale:
    if not isinstance(entry, dict):
        raise _wrong(file, name, "a mapping", entry)
    if not _is_positive(entry.get("factor")):
        raise _wrong(file, f"{name}.factor", "a positive number", entry.get("factor"))
    widths = entry.get("intervals")
    if not isinstance(widths, dict) or sorted(widths) != sorted(map(str, LEVELS)):
        raise _wrong(file, f"{name}.intervals", f"a mapping of {', '.join(map(str, LEVELS))}", widths)
    for level, width in widths.items():
        if not (width is None or _is_positive(width)):
            raise _wrong(file, f"{name}.intervals.{level}", "a positive number, or null", width)
    alpha = entry.get("alpha_squared")
    if not (alpha is None or (_is_number(alpha))):
        raise _wrong(file, f"{name}.alpha_squared", "a number, or null", alpha)
    return Scale(float(entry["factor"]), tuple(widths[str(level)] for level in LEVELS), alpha)


def _entry(scale: Scale) -> dict[str, Any]:
    intervals = dict(zip(map(str, LEVELS), scale.intervals, strict=True))
    return {"factor": scale.factor, "intervals": intervals, "alpha_squared": scale.alpha_squared}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _short(hashes: Sequence[Any]) -> str:
    return ", ".join(f"{str(one)[:8]}..." for one in hashes)


def _wrong(file: Path, key: str, expected: str, got: Any) -> ModelFileError:
    return ModelFileError(
        "calibration-invalid",
        f"{file}: {key}: expected {expected}, got {shown(got)}; correct it, or make it anew: dp-sim calibrate",
    )
