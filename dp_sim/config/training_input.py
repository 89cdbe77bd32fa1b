"""Training settings from YAML or a mapping; errors name the key and the nearest known one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import (
    BaseModel,
    ValidationError,
)

from dp_sim.config.safe_yaml import load_yaml
from dp_sim.config.training import TrainConfig
from dp_sim.errors import InputError, nearest_name, shown


def _message(error: ValidationError, config: type[BaseModel], origin: str) -> str:
    # a misspelt key may leave a required one missing: then the misspelt one is the cause
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        got = f"; got {shown(first['input'])}" if first["type"] != "missing" else ""
        sentence = first["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")
        return f"{origin}: {key or 'settings'}: {sentence}{got}"
    section: Any = config
    for part in first["loc"][:-1]:
        section = section.model_fields[part].annotation
    known = tuple(section.model_fields)
    return f"{origin}: unknown key '{key}'{nearest_name(str(first['loc'][-1]), known)} (known here: {', '.join(known)})"


def parse_config(settings: Any, origin: str = "settings") -> TrainConfig:
    """Check a mapping of settings.

    Raises
    ------
    InputError
        Names the key, what was expected and what was got; for an unknown key the nearest known one.
    """
    if not isinstance(settings, dict):
        raise InputError(
            "config-malformed", f"{origin}: expected a mapping with the keys {', '.join(TrainConfig.model_fields)}"
        )
    try:
        return TrainConfig.model_validate(settings)
    except ValidationError as error:
        raise InputError("setting-invalid", _message(error, TrainConfig, origin)) from None


def read_config(path: str | os.PathLike[str]) -> TrainConfig:
    """Read and check a YAML file of settings; data paths are relative to its folder.

    Raises
    ------
    InputError
        The file is absent, is no YAML, or does not hold a valid configuration.
    """
    path = Path(path)
    try:
        settings = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            "file-unreadable", f"cannot read {path}: {error.strerror}; give the training input as a YAML file"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("file-unreadable", f"{path} is no valid YAML: {error}") from None
    if isinstance(settings, dict) and settings.get("recipe") == "train":
        settings = {
            key: value for key, value in settings.items() if key not in ("recipe", "seed")
        }  # a run's config.yaml
    config = parse_config(settings, str(path))
    folder = path.absolute().parent  # absolute, because the run keeps these settings in a folder of its own
    absolute = {key: tuple(_absolute(folder, name) for name in getattr(config.data, key)) for key in ("train", "valid")}
    start = None if config.start_from is None else str(folder / config.start_from)
    return config.model_copy(update={"data": config.data.model_copy(update=absolute), "start_from": start})


def _absolute(folder: Path, name: str) -> str:
    """Resolve a source of data relative to `folder`; of `dpdata:FORMAT:FILE` the file."""
    prefix, path = re.fullmatch(r"(dpdata:[^:]*:)?(.*)", name, re.DOTALL).groups(default="")  # type: ignore[union-attr]
    return f"{prefix}{folder / path}"
