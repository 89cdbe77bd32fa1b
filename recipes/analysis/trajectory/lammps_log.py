"""The thermo tables in a log of LAMMPS: the pressure tensor for the viscosity."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from ase.calculators.lammps import convert
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.recipes.analysis.trajectory.lammps_units import FS_PER_TIME
from dp_sim.units import EV_PER_A3_IN_BAR

Table = dict[str, NDArray[np.float64]]
#: Column of thermo.csv -> name in the log (`thermo_style custom ... pxx`), in lower case.
TENSOR = {f"pressure_{axes}_bar": f"p{axes}" for axes in ("xx", "yy", "zz", "yz", "xz", "xy")}
#: What the log must be written with.
ADVICE = "write it with: thermo_style custom step temp vol pxx pyy pzz pxy pxz pyz"


def read_log(file: Path, units: str, timestep: float, steps: tuple[int, int] | None) -> Table:
    """Read the columns of thermo.csv that a viscosity needs: time, volume, pressure tensor, and temperature.

    Tables of several `run` commands that go on from one another are one; of others the last counts.

    Parameters
    ----------
    file
        The log.
    units, timestep
        LAMMPS' units, and the time step in them.
    steps
        First and last time step that count; None: all.

    Raises
    ------
    InputError
        No LAMMPS log, one without the pressure tensor, or with samples at uneven steps.
    """
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError("file-missing", f"the log {file} cannot be read ({error}); give the log of the run") from None
    if lines and lines[0].startswith('#"'):
        raise InputError(
            "log-without-pressure",
            f"{file} is of OpenMM's StateDataReporter, which writes no pressure tensor; run the system with dp-sim "
            "(nve, or nvt with bussi), whose thermo.csv has it",
        )
    tables = [table for table in _tables(lines) if "step" in table]
    if not tables:
        raise InputError("log-unknown", f"{file} holds no thermo table of LAMMPS; give log.lammps; {ADVICE}")
    joined = _joined([_needed(table) for table in tables])
    if joined is None:
        lacking = [name for name in (*TENSOR.values(), "volume") if name not in tables[-1]]
        raise InputError(
            "log-without-pressure",
            f"the last table of {file} has no {lacking[0]}, and the viscosity needs the pressure tensor; {ADVICE}",
        )
    if steps is not None:
        inside = (joined["step"] >= steps[0]) & (joined["step"] <= steps[1])
        joined = {name: column[inside] for name, column in joined.items()}
    return _in_our_units(joined, file, units, timestep)


def _tables(lines: list[str]) -> list[Table]:
    """Find the tables: a header with Step and words, then lines of as many numbers."""
    found: list[Table] = []
    names: list[str] = []
    rows: list[list[float]] = []
    for line in [*lines, ""]:
        words = line.split()
        if words and words[0] == "Step":
            names, rows = [word.lower().removeprefix("v_") for word in words], []
            continue
        numbers = _numbers(words) if names and len(words) == len(names) else None
        if numbers is not None:
            rows.append(numbers)
        elif names and rows and not line.startswith(("WARNING", "ERROR")):  # warnings stand between lines of a table
            found.append(dict(zip(names, np.array(rows).T, strict=True)))
            names, rows = [], []
    return found


def _numbers(words: list[str]) -> list[float] | None:
    try:
        return [float(word) for word in words]
    except ValueError:
        return None


def _needed(table: Table) -> Table | None:
    """Keep what is needed; None where something is missing."""
    volume = table.get("volume")
    if volume is None and {"lx", "ly", "lz"} <= table.keys():
        volume = table["lx"] * table["ly"] * table["lz"]
    if volume is None or not set(TENSOR.values()) <= table.keys():
        return None
    own = {name: table[name] for name in ("step", "temp", *TENSOR.values()) if name in table}
    return {**own, "volume": volume}


def _joined(tables: list[Table | None]) -> Table | None:
    """Join the last table with those before it that it goes on from; their common line counts once."""
    whole = tables[-1]
    for before, after in itertools.pairwise(reversed(tables)):
        if whole is None or after is None or before is None or after["step"][-1] != before["step"][0]:
            break
        if after.keys() != whole.keys():
            break
        whole = {name: np.concatenate([after[name][:-1], whole[name]]) for name in whole}
    return whole


def _in_our_units(table: Table, file: Path, units: str, timestep: float) -> Table:
    gaps = np.unique(np.diff(table["step"]))
    if len(gaps) > 1:
        raise InputError(
            "log-uneven",
            f"the tables of {file} are at uneven steps ({gaps[0]:g} and {gaps[-1]:g} apart); give a log with one "
            "thermo interval, or a shorter part of the trajectory (first, last)",
        )
    length = float(convert(1.0, "distance", units, "ASE"))
    pressure = float(convert(1.0, "pressure", units, "ASE")) * EV_PER_A3_IN_BAR
    found = {
        "time_ps": table["step"] * timestep * FS_PER_TIME[units] / 1000,
        "volume_A3": table["volume"] * length**3,
        **{name: table[theirs] * pressure for name, theirs in TENSOR.items()},
    }
    return {**found, "temperature_K": table["temp"]} if "temp" in table else found
