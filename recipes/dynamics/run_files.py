"""The files that a run of dynamics writes as it goes: a table, a trajectory, a checkpoint.

The checkpoint holds the engine's state and the lengths of the other two files at that step. A continued run cuts them
back to these lengths: one that was killed between two checkpoints repeats those steps instead of writing them twice.
"""

from __future__ import annotations

import csv
import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.files import atomic_path
from dp_sim.recipes.dynamics.engines.protocol import Sample, State
from dp_sim.recipes.results.frames import append_frame
from dp_sim.recipes.results.tables import csv_lines, csv_text
from dp_sim.recipes.run.directory import RunDirectory

#: What users may make of a finished run's trajectory to save space.
PACKED_TRAJECTORY = "trajectory.extxyz.gz"
TABLE, TRAJECTORY, CHECKPOINT = "thermo.csv", "trajectory.extxyz", "checkpoint.npz"


class Row(NamedTuple):
    """One line of the table; a quantity that the run does not have is None, and an empty field in the file.

    The pressure tensor, the lattice vectors and the energies and pressures of a committee's members have columns
    in the file only where the run has them.
    """

    step: int
    time_ps: float
    temperature_K: float
    potential_eV: float
    kinetic_eV: float
    total_eV: float
    volume_A3: float | None
    density_g_cm3: float | None
    pressure_bar: float | None
    pressure_xx_bar: float | None = None
    pressure_yy_bar: float | None = None
    pressure_zz_bar: float | None = None
    pressure_yz_bar: float | None = None
    pressure_xz_bar: float | None = None
    pressure_xy_bar: float | None = None
    cell_ax_A: float | None = None
    cell_ay_A: float | None = None
    cell_az_A: float | None = None
    cell_bx_A: float | None = None
    cell_by_A: float | None = None
    cell_bz_A: float | None = None
    cell_cx_A: float | None = None
    cell_cy_A: float | None = None
    cell_cz_A: float | None = None
    conserved_eV: float | None = None
    kinetic_pressure_bar: float | None = None
    force_uncertainty_eV_A: float | None = None
    members_eV: tuple[float, ...] | None = None
    members_bar: tuple[float, ...] | None = None


#: Columns of the pressure tensor (order of Voigt) and of the lattice vectors: in the table of runs that have them.
PRESSURE_TENSOR_COLUMNS = tuple(f"pressure_{axes}_bar" for axes in ("xx", "yy", "zz", "yz", "xz", "xy"))
CELL_COLUMNS = tuple(f"cell_{vector}{axis}_A" for vector in "abc" for axis in "xyz")
#: Single numbers that not every run has.
SCALAR_COLUMNS = ("conserved_eV", "kinetic_pressure_bar")
#: In the table of runs that watch it.
UNCERTAINTY_COLUMN = "force_uncertainty_eV_A"
#: Potential energies and pressures by the members of a committee, counted from 1: a column each, member_1_eV and so on.
MEMBERS, MEMBER_PRESSURES = "members_eV", "members_bar"
_OF_MEMBERS = (MEMBERS, MEMBER_PRESSURES)


def optional_columns(sample: Sample) -> dict[str, Any]:
    """Name the values of those columns that a sample has."""
    values: dict[str, Any] = {name: getattr(sample, name) for name in SCALAR_COLUMNS}
    if sample.pressure_tensor_bar is not None:
        values |= zip(PRESSURE_TENSOR_COLUMNS, sample.pressure_tensor_bar.tolist(), strict=True)
    if sample.cell_A is not None:
        values |= zip(CELL_COLUMNS, sample.cell_A.ravel().tolist(), strict=True)
    return values


def columns_of(rows: list[Row]) -> tuple[str, ...]:
    """Name the columns of the table of these rows: those of every run, and those of which the first row has values."""
    optional = {*PRESSURE_TENSOR_COLUMNS, *CELL_COLUMNS, *SCALAR_COLUMNS, UNCERTAINTY_COLUMN}
    present = (
        name
        for name in Row._fields
        if name not in _OF_MEMBERS and (name not in optional or (rows and getattr(rows[0], name) is not None))
    )
    of_members = (
        name.replace("members", f"member_{number}")
        for name in _OF_MEMBERS
        for number in range(1, 1 + len((getattr(rows[0], name) if rows else None) or ()))
    )
    return (*present, *of_members)


def value_of(row: Row, name: str) -> float | None:
    """Return what a row has in a column of the table."""
    if hasattr(row, name):
        value: float | None = getattr(row, name)
        return value
    _, number, unit = name.split("_")
    values: tuple[float, ...] = getattr(row, f"members_{unit}")
    return values[int(number) - 1]


def column(rows: list[Row], name: str) -> NDArray[np.float64]:
    """Return one column of the table as an array; it must not have gaps."""
    return np.array([getattr(row, name) for row in rows], dtype=np.float64)


class DynamicsFiles:
    """The files of one run, or of one of its stages by a prefix. Without a directory every write does nothing."""

    def __init__(self, run: RunDirectory, prefix: str = "") -> None:
        self._table = run.path(prefix + TABLE)
        self._trajectory = run.path(prefix + TRAJECTORY)
        self._checkpoint = run.path(prefix + CHECKPOINT)
        self._columns: tuple[str, ...] = ()  # known from the first row, or from the header of a table to be continued

    def begin(self) -> None:
        """Empty the files: an earlier session that reached no checkpoint may have left something in them."""
        if self._table is not None and self._trajectory is not None:
            self._table.write_bytes(b"")
            self._trajectory.write_bytes(b"")

    def add_row(self, row: Row) -> None:
        """Append a line to the table, below a header if it is the first."""
        if self._table is not None:
            lines = [] if self._columns else [columns_of([row])]
            self._columns = self._columns or columns_of([row])
            with self._table.open("a", encoding="utf-8") as file:
                file.write(csv_lines([*lines, _fields(row, self._columns)]))

    def add_frame(self, atoms: Atoms, energy_eV: float, *, velocities: bool = False) -> None:
        """Append a frame with its energy; momenta, which double the file, only where they are asked for."""
        if self._trajectory is not None:
            frame = atoms.copy()
            if not velocities:
                frame.arrays.pop("momenta", None)
            frame.calc = SinglePointCalculator(frame, energy=energy_eV)
            append_frame(self._trajectory, frame)

    def save_checkpoint(self, step: int, state: State) -> None:
        """Write the engine's state and the lengths of the other files, whole or not at all."""
        if self._table is None or self._trajectory is None or self._checkpoint is None:
            return
        sizes = [self._table.stat().st_size, self._trajectory.stat().st_size]
        arrays: dict[str, Any] = {"dp_sim_step": step, "dp_sim_sizes": sizes, **state}
        with atomic_path(self._checkpoint) as temporary:
            np.savez(temporary, **arrays)

    def load_checkpoint(self) -> tuple[int, State] | None:
        """Read the step and state of the last checkpoint, and cut the other files back to it; None without one.

        Raises
        ------
        InputError
            A damaged checkpoint, or a table or trajectory shorter than it says.
        """
        if self._checkpoint is None or not self._checkpoint.exists():
            return None
        advice = "start over with --overwrite"
        try:
            with self._checkpoint.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                state = {name: archive[name] for name in archive.files}
            step, sizes = int(state.pop("dp_sim_step")), state.pop("dp_sim_sizes").tolist()
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError("file-damaged", f"{self._checkpoint} cannot be read ({error}); {advice}") from error
        for path, size in zip((self._table, self._trajectory), sizes, strict=True):
            if path is None or not path.exists() or path.stat().st_size < size:
                raise InputError("file-damaged", f"{path} is shorter than the checkpoint beside it says; {advice}")
            os.truncate(path, size)
        return step, state

    def rows(self) -> list[Row]:
        """Read the table so far."""
        if self._table is None:
            return []
        header, rows = _parsed(self._table)
        self._columns = tuple(header)
        return rows


def read_rows(file: Path) -> list[Row]:
    """Read the table of a finished run.

    Raises
    ------
    InputError
        There is none, or it is damaged.
    """
    try:
        return _parsed(file)[1]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            "file-damaged", f"{file} cannot be read ({error}); give the directory of a whole run"
        ) from error


def _parsed(file: Path) -> tuple[list[str], list[Row]]:
    with file.open(newline="", encoding="utf-8") as content:
        header, *lines = list(csv.reader(content))
    return header, [_parse_row(header, fields) for fields in lines]


def table_text(rows: list[Row]) -> str:
    """Write the whole table as CSV, with names and units in one header line."""
    columns = columns_of(rows)
    return csv_text(columns, [_fields(row, columns) for row in rows])


def _fields(row: Row, columns: tuple[str, ...]) -> list[str | None]:
    return [None if (value := value_of(row, name)) is None else f"{value:.12g}" for name in columns]


def _parse_row(header: list[str], fields: list[str]) -> Row:
    values: dict[str, Any] = {name: float(field) if field else None for name, field in zip(header, fields, strict=True)}
    for together in _OF_MEMBERS:
        names = [
            name for name in header if name.startswith("member_") and name.endswith(together.removeprefix("members"))
        ]
        values[together] = tuple(values.pop(name) for name in names) or None
    return Row(**{**values, "step": int(values["step"])})
