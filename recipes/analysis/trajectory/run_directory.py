"""The directory of one of our runs of dynamics, as a source: frames, table, conditions."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase import Atoms
from ase.io import read
from numpy.typing import NDArray

from dp_sim.config.safe_yaml import load_yaml
from dp_sim.errors import InputError
from dp_sim.recipes.analysis.trajectory.mdtraj_files import MDTrajFrames
from dp_sim.recipes.analysis.trajectory.motion import Motion
from dp_sim.recipes.analysis.trajectory.source import Source
from dp_sim.recipes.dynamics.run_files import PACKED_TRAJECTORY, TABLE, TRAJECTORY
from dp_sim.recipes.results.result_file import read_result_json
from dp_sim.recipes.results.trajectory import ExtxyzFrames, LazyFrames

#: Recipes whose runs have a trajectory in time.
RECIPES = ("nve", "nvt", "npt")
#: Trajectories of a run, in the order in which they are looked for.
FRAME_FILES = (TRAJECTORY, PACKED_TRAJECTORY, "trajectory.h5", "trajectory.dcd")


def read_run(directory: Path) -> Source:
    """Read the directory of a run that has ended.

    Raises
    ------
    InputError
        No run of dynamics, one that has not ended, or files that are damaged or missing.
    """
    settings, result = _settings(directory), read_result_json(directory / "result.json")
    values = result["values"]
    replicas = values.get("replicas", {}).get("value")
    if replicas is not None:
        raise InputError(
            "run-of-replicas",
            f"each of the {replicas} replicas in {directory} has a trajectory of its own; give {directory}/replica-1, "
            "and so on",
        )
    timestep_fs = float(values["timestep"]["value"])
    frame_ps = settings["frame_every"] * timestep_fs / 1000
    frames, remark = _frames(directory)
    start_ps, notes = values["equilibration"]["value"], [remark] if remark else []
    if start_ps is None:
        raise InputError(
            "run-unusable", f"the run in {directory} has no valid sample ({result['cause']}); nothing can be analysed"
        )
    if not result["converged"] and result["cause"]:
        notes.append(f"the run itself ended with: {result['cause']}")
    if (mass := settings.get("hydrogen_mass_amu")) is not None:
        notes.append(
            f"hydrogens weigh {mass:g} amu in this run: its vibrations and its transport are those of such hydrogens"
        )
    table = read_table(directory / TABLE)
    return Source(
        name=str(directory),
        frames=frames,
        frame_ps=frame_ps,
        motion=_motion(settings),
        temperature_K=values["temperature"]["value"] if settings["recipe"] == "nve" else settings["temperature_K"],
        first=int(np.ceil(start_ps / frame_ps - 1e-6)),
        degrees_of_freedom=int(values["degrees_of_freedom"]["value"]),
        rigid_bonds=int(values["rigid_bonds"]["value"]) if "rigid_bonds" in values else 0,
        table={name: column[table["time_ps"] >= start_ps - 1e-9] for name, column in table.items()},
        values=values,
        settings=settings,
        models=result.get("provenance", {}).get("model_sha256", ()),
        notes=notes,
    )


def _settings(directory: Path) -> dict[str, Any]:
    file = directory / "config.yaml"
    try:
        settings = load_yaml(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            "run-unknown",
            f"{directory} is no directory of a run: it has no config.yaml; give that of nve, nvt or npt, or a "
            "trajectory file",
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError("config-malformed", f"{file} cannot be read ({error}); give a whole run") from error
    recipe = settings.get("recipe") if isinstance(settings, dict) else None
    if recipe not in RECIPES:
        raise InputError(
            "run-of-another-recipe",
            f"{directory} holds a run of '{recipe}', which has no trajectory in time; give one of {', '.join(RECIPES)}",
        )
    assert isinstance(settings, dict)
    return settings


def _motion(settings: Mapping[str, Any]) -> Motion:
    if settings["recipe"] == "nve":
        return Motion(thermostat="none", barostat=False)
    # Runs that were made before there was a choice had Langevin's thermostat.
    thermostat = settings.get("thermostat") or "langevin"
    friction = settings.get("friction_per_ps") if thermostat == "langevin" else None
    return Motion(thermostat=thermostat, barostat=settings["recipe"] == "npt", friction_per_ps=friction)


def _frames(directory: Path) -> tuple[LazyFrames, str]:
    """Find the trajectory of a run; return it with a remark, empty where there is nothing to say."""
    for name in FRAME_FILES:
        file = directory / name
        if not file.is_file():
            continue
        if name in (TRAJECTORY, PACKED_TRAJECTORY):
            frames = ExtxyzFrames(file)
            return frames, f"the last frame of {name} is cut off, and left out" if frames.unfinished else ""
        template = read(directory / "input.extxyz", index=0, format="extxyz")
        assert isinstance(template, Atoms)
        return MDTrajFrames(file, template), ""
    raise InputError("file-missing", f"{directory} holds no trajectory ({', '.join(FRAME_FILES)}); run with frames")


def read_table(file: Path) -> dict[str, NDArray[np.float64]]:
    """Read thermo.csv: column -> values. Columns with an empty field are left out."""
    try:
        with file.open(newline="", encoding="utf-8") as content:
            header, *rows = list(csv.reader(content))
        fields = zip(header, zip(*rows, strict=True), strict=True)
        columns = {name: values for name, values in fields if all(values)}
        return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}
    except FileNotFoundError:
        raise InputError("file-missing", f"there is no {file}; give the directory of a whole run") from None
    except (OSError, ValueError, IndexError) as error:
        raise InputError(
            "file-damaged", f"{file} cannot be read ({error}); give the directory of a whole run"
        ) from error
