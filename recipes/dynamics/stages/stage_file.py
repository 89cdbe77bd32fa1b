"""Stages before a run: a YAML file of them, checked word by word.

    stages:
      - name: heat
        ensemble: nvt
        time_ps: 2
        temperature_K: [10, 300]     # a ramp
      - name: press
        ensemble: npt
        steps: 4000
        pressure_bar: [1, 1000]
      - ensemble: nvt
        steps: 2000

A stage has `steps` or `time_ps`; temperature, pressure, time step and thermostat are those of the run itself where
it does not say them. The run itself, with the numbers of its own options, is the production.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dp_sim.config.safe_yaml import load_yaml
from dp_sim.errors import InputError, nearest_name
from dp_sim.recipes.dynamics.settings import DynamicsSettings, NPTSettings, NVESettings, NVTSettings

ENSEMBLES: dict[str, type[DynamicsSettings]] = {"nve": NVESettings, "nvt": NVTSettings, "npt": NPTSettings}
#: Keys of a stage that are settings of its ensemble, beside those that it takes from the run: engine, files, masses.
_OWN = ("timestep_fs", "thermostat", "friction_per_ps", "thermostat_time_fs", "cell_change")
_THERMOSTAT = ("thermostat", "friction_per_ps", "thermostat_time_fs")
_RAMPED = ("temperature_K", "pressure_bar")
KEYS = ("name", "ensemble", "steps", "time_ps", *_RAMPED, *_OWN)
#: What a stage takes from the run where it does not say it; a time constant only with the thermostat it belongs to.
_SHARED = (
    "engine", "sample_every", "frame_every", "velocities", "backend", "platform", "ranks", "hydrogen_mass_amu",
    "rigid_bonds", "seed",
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """One stage, checked.

    Attributes
    ----------
    name
        As the file calls it, else `stage 1`, `stage 2`, ...
    number
        From 1.
    settings
        Of its ensemble, at its start.
    end
        The same at its end: temperature and pressure may differ.
    """

    name: str
    number: int
    settings: DynamicsSettings
    end: DynamicsSettings

    @property
    def prefix(self) -> str:
        """Return the beginning of the names of its files."""
        words = re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-").lower()
        number = f"stage-{self.number}"
        return f"{number}-" if words in ("", number) else f"{number}-{words}-"

    def __str__(self) -> str:
        """Return it in words: `heat: nvt, 4000 steps, 10 to 300 K`."""
        words = [f"{self.name}: {self.settings.recipe}, {self.settings.steps:,} steps"]
        for name in _RAMPED:
            first, last = getattr(self.settings, name, None), getattr(self.end, name, None)
            if first is not None and last is not None:
                unit = name.rpartition("_")[2]
                words.append(f"{first:g} {unit}" if first == last else f"{first:g} to {last:g} {unit}")
        return ", ".join(words)


def read_stages(file: str, run: DynamicsSettings) -> list[Stage]:
    """Read the stages of a run.

    Parameters
    ----------
    file
        The YAML file.
    run
        The settings of the run, its time step filled in.

    Raises
    ------
    InputError
        The file is missing or malformed; a stage has an unknown key, lacks one, or has a value out of its bounds: named
        with the file, the stage and what was expected.
    """
    try:
        content = load_yaml(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("file-missing", f"there is no stage file {file}; give the path of a YAML file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError("file-unreadable", f"the stage file {file} cannot be read: {reason}") from error
    if isinstance(content, dict):
        unknown = [str(key) for key in content if key != "stages"]
        if unknown:
            raise InputError(
                "setting-unknown",
                f"{file}: unknown key '{unknown[0]}'{nearest_name(unknown[0], ['stages'])}; it holds the list `stages`",
            )
        content = content.get("stages")
    if not isinstance(content, list) or not content:
        raise InputError("config-malformed", f"{file} must hold a list `stages`, with at least one stage")
    stages = []
    for number, entry in enumerate(content, start=1):
        where = f"{file}: stage {number}"
        if not isinstance(entry, dict):
            raise InputError("config-malformed", f"{where} must hold 'key: value' lines, got {entry!r}")
        try:
            stages.append(_stage(number, entry, run))
        except InputError as error:
            name = f" ('{entry['name']}')" if isinstance(entry.get("name"), str) else ""
            raise InputError(error.code, f"{where}{name}: {error}") from None
    return stages


def _stage(number: int, entry: Mapping[str, Any], run: DynamicsSettings) -> Stage:
    for key in entry:
        if key not in KEYS:
            raise InputError(
                "setting-unknown",
                f"a stage has no key '{key}'{nearest_name(str(key), KEYS)} (it has: {', '.join(KEYS)})",
            )
    name = entry.get("name", f"stage {number}")
    if not isinstance(name, str) or not name.strip():
        raise InputError("setting-invalid", f"name must be text, got {name!r}")
    kind = _ensemble(entry)
    for key in [*_RAMPED, *_OWN]:
        if key in entry and (key not in kind.model_fields or (kind is NVESettings and key == "temperature_K")):
            raise InputError("setting-unknown", f"{key} does not belong to ensemble {kind.recipe}; leave it out")
    values = _taken(run, kind, (*_SHARED, "timestep_fs", "cell_change"))
    if not any(key in entry for key in _THERMOSTAT):  # a time constant belongs to its thermostat
        values |= _taken(run, kind, _THERMOSTAT)
    values |= {key: entry[key] for key in _OWN if key in entry}
    start, end = dict(values), dict(values)
    for key in _RAMPED:
        if key in kind.model_fields and kind is not NVESettings:
            start[key], end[key] = _ramp(key, entry, run)
    steps = _steps(entry, values["timestep_fs"])
    return Stage(name, number, kind.check({**start, "steps": steps}), kind.check({**end, "steps": steps}))


def _taken(run: DynamicsSettings, kind: type[DynamicsSettings], names: Iterable[str]) -> dict[str, Any]:
    """Return those settings of the run that a stage of this kind has too."""
    return {name: getattr(run, name) for name in names if name in kind.model_fields and hasattr(run, name)}


def _ensemble(entry: Mapping[str, Any]) -> type[DynamicsSettings]:
    given = entry.get("ensemble")
    if not isinstance(given, str) or given not in ENSEMBLES:
        got = "is missing" if given is None else f"is '{given}'{nearest_name(str(given), ENSEMBLES)}"
        raise InputError("choice-unknown", f"ensemble {got}; it must be one of {', '.join(ENSEMBLES)}")
    return ENSEMBLES[given]


def _steps(entry: Mapping[str, Any], timestep_fs: Any) -> Any:
    """Return the number of steps; a time is rounded to whole ones."""
    if ("steps" in entry) == ("time_ps" in entry):
        raise InputError("setting-missing", "a stage takes either steps or time_ps (ps)")
    if "steps" in entry:
        return entry["steps"]
    time_ps = entry["time_ps"]
    if isinstance(time_ps, bool) or not isinstance(time_ps, (int, float)) or not time_ps > 0:
        raise InputError("setting-out-of-range", f"time_ps must be a finite number above 0 (ps), got {time_ps!r}")
    if not isinstance(timestep_fs, (int, float)) or not timestep_fs > 0:
        raise InputError("setting-out-of-range", f"timestep_fs must be a number above 0 (fs), got {timestep_fs!r}")
    return max(1, round(time_ps * 1000 / timestep_fs))


def _ramp(key: str, entry: Mapping[str, Any], run: DynamicsSettings) -> tuple[Any, Any]:
    """Return the value at the start and at the end of a stage."""
    value = entry.get(key, getattr(run, key, None))
    if value is None:
        raise InputError("setting-missing", f"{key} is missing; give a number, or [from, to] for a ramp")
    if not isinstance(value, list):
        return value, value
    if len(value) != 2:
        raise InputError("setting-invalid", f"{key} must be a number, or [from, to] for a ramp, got {value!r}")
    return value[0], value[1]
