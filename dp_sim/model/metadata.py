"""The metadata of a model file, and the checks of every field."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dp_sim.config.model import ModelConfig
from dp_sim.errors import ModelFileError, nearest_name, shown
from dp_sim.model.upgrade import STATE_VERSION, upgraded_config

FORMAT = "dp-sim model"
UNITS = {"length": "Angstrom", "energy": "eV"}
#: Names the algorithm of the checksums in the file (dp_sim.model.integrity).
CHECKSUM_KEY = "checksums"


@dataclass(frozen=True)
class ModelMetadata:
    """Metadata of a model file.

    Attributes
    ----------
    species
        Element symbols, in the order of the model's indices.
    cutoff
        Angstrom.
    dtype
        Precision of the weights, "float32" or "float64".
    config
        Settings of the model (dp_sim.config.model.ModelConfig).
    dp_sim_version, torch_version
        What wrote the file.
    training
        Settings, sizes, last errors and radial distribution of the training data; empty where the model was imported.
    compression
        Fields of dp_sim.model.compression.Compression; empty where the model is not compressed.
    units
        Of lengths and energies.
    sha256
        Of the file.
    version
        Of the weights' names and shapes (dp_sim.model.upgrade).
    """

    species: tuple[str, ...]
    cutoff: float
    dtype: str
    config: dict[str, Any]
    dp_sim_version: str
    torch_version: str
    training: dict[str, Any] = field(default_factory=dict)
    compression: dict[str, Any] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=lambda: dict(UNITS))
    sha256: str = ""
    version: int = STATE_VERSION


def summary(metadata: ModelMetadata, n_parameters: int) -> str:
    """Describe a model in one line: descriptor, species, cutoff, parameters, precision, errors of its training."""
    kind = metadata.config.get("descriptor", "")
    parts = [
        f"{kind} of {' '.join(metadata.species)}",
        f"cutoff {metadata.cutoff:g} Angstrom",
        f"{n_parameters:,} parameters",
        metadata.dtype,
        *(["compressed"] if metadata.compression else []),
        *training_errors(metadata.training),
    ]
    return ", ".join(part.strip() for part in parts)


def training_errors(training: dict[str, Any]) -> list[str]:
    """Describe the last errors of a training: of held-out frames where there were some; empty where none are known."""
    last = training.get("last", {})
    for part, words in (("valid", "held out"), ("train", "training")):
        rows = [(last.get(f"{part}_energy"), "meV/atom"), (last.get(f"{part}_forces"), "meV/Angstrom")]
        known = [f"{1000 * value:.3g} {unit}" for value, unit in rows if value is not None]
        if known:
            return [f"RMSE {', '.join(known)} ({words})"]
    return []


def parse_metadata(text: str | bytes, path: Path, *, sha256: str, has_checksums: bool) -> ModelMetadata:
    """Read the metadata of a model file, and check every field.

    Parameters
    ----------
    text
        The member with the metadata, JSON.
    path
        Name of the file in messages.
    sha256
        Of the whole file.
    has_checksums
        Whether the file has checksums, which were verified.

    Raises
    ------
    ModelFileError
        No metadata of a dp-sim model, a newer version, or a field that is missing, unknown, out of its bounds or at
        odds with another.
    """
    content = _json_object(text, path)
    if content.get("format") != FORMAT:
        raise ModelFileError(
            "model-not-ours", f"{path} is no dp-sim model: its metadata is of the format {shown(content.get('format'))}"
        )
    _check_version(content, path)
    for name, (is_valid, expected) in _FIELDS.items():
        if name not in content and name not in _OPTIONAL:
            raise _wrong(path, name, expected, "nothing")
        if name in content and not is_valid(content[name]):
            raise _wrong(path, name, expected, shown(content[name]))
    known = {f.name for f in dataclasses.fields(ModelMetadata)} - {"sha256"} | {"format", CHECKSUM_KEY}
    for name in content:
        if name not in known:
            raise _wrong(path, name, f"one of {', '.join(sorted(known))}{nearest_name(name, known)}", "this name")
    if CHECKSUM_KEY in content and not has_checksums:
        raise _wrong(path, CHECKSUM_KEY, f"the checksums ({shown(content[CHECKSUM_KEY])}) in the file", "none")
    content["config"] = upgraded_config(content["config"])
    _check_config(content, path)
    kept = {f.name: content[f.name] for f in dataclasses.fields(ModelMetadata) if f.name in content}
    return ModelMetadata(**{**kept, "species": tuple(kept["species"]), "sha256": sha256})


def _json_object(text: str | bytes, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelFileError("model-metadata", f"{path} has metadata that is no JSON; copy the file again") from None
    if not isinstance(content, dict):
        raise ModelFileError(
            "model-metadata", f"{path} has metadata that is no mapping, got {shown(content)}; copy the file again"
        )
    return content


def _check_version(content: dict[str, Any], path: Path) -> None:
    version = content.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        got = shown(version) if "version" in content else "nothing"
        raise _wrong(path, "version", f"a whole number from 1 to {STATE_VERSION}", got)
    if version > STATE_VERSION:
        raise ModelFileError(
            "version-newer",
            f"{path} is a model of format version {version} (dp-sim {shown(content.get('dp_sim_version'))}); "
            f"this dp-sim reads up to {STATE_VERSION}: upgrade it",
        )


def _check_config(content: dict[str, Any], path: Path) -> None:
    """Check that ModelConfig accepts the settings and that species, cutoff and dtype agree with them."""
    try:
        config = ModelConfig.model_validate(content["config"])
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["config", *(str(part) for part in first["loc"])])
        raise _wrong(path, key, first["msg"].removeprefix("Value error, "), shown(first["input"])) from None
    for name, value in (("species", list(config.species)), ("cutoff", config.cutoff), ("dtype", config.precision)):
        if content[name] != value:
            raise _wrong(path, name, f"{shown(value)} as in its config", shown(content[name]))


def _wrong(path: Path, name: str, expected: str, got: str) -> ModelFileError:
    return ModelFileError(
        "model-metadata",
        f"{path}: metadata field '{name}': expected {expected}, got {got}; "
        f"the file was edited or damaged: copy it again from where it came from",
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_species(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(symbol, str) for symbol in value)


def _is_version_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 80


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_compression(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    entries = [entry if isinstance(entry, list) else [entry] for entry in value.values()]
    return all(_is_number(number) and number >= 0 for entry in entries for number in entry)


def _is_training(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    trained = value.get("trained_species")
    if trained is not None and not (isinstance(trained, list) and all(isinstance(symbol, str) for symbol in trained)):
        return False
    last, distribution = value.get("last", {}), value.get("radial_distribution", {})
    if not isinstance(last, dict) or not all(
        number is None or isinstance(number, (int, float)) for number in last.values()
    ):
        return False
    return isinstance(distribution, dict) and all(
        isinstance(column, list) and len(column) == len(distribution.get("r", ())) and all(map(_is_number, column))
        for column in distribution.values()
    )


#: What fields must satisfy, in code and in words. ModelConfig checks the settings.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "species": (_is_species, "a list of element symbols"),
    "cutoff": (_is_number, "a finite number (Angstrom)"),
    "dtype": (lambda value: value in ("float32", "float64"), "float32 or float64"),
    "config": (_is_mapping, "a mapping, the settings of the model"),
    "dp_sim_version": (_is_version_text, "the version that wrote the file"),
    "torch_version": (_is_version_text, "the version that wrote the file"),
    "training": (
        _is_training,
        "a mapping; its trained species symbols, last errors numbers, radial distribution columns of one length",
    ),
    "compression": (_is_compression, "a mapping to numbers that are not negative"),
    "units": (lambda value: value == UNITS, str(UNITS)),
}
#: Fields that files of earlier versions may lack.
_OPTIONAL = ("compression", "units")
