"""What a run of dynamics writes as it goes, so that killing it loses nothing: a table, a trajectory, a checkpoint.

The checkpoint holds the engine's state and the lengths of the other two files at that step. Continuing cuts them back
to these lengths, so that a run which died between two checkpoints repeats those steps instead of writing them twice.
"""

from __future__ import annotations

import os
import zipfile
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.files import atomic_path
from dp_sim.recipes.dynamics.engines.protocol import State
from dp_sim.recipes.results.frames import append_frame
from dp_sim.recipes.run.directory import RunDirectory

TABLE, TRAJECTORY, CHECKPOINT = "thermo.csv", "trajectory.extxyz", "checkpoint.npz"


class Row(NamedTuple):
    """One line of the table; a quantity that the run does not have is None, and an empty field in the file."""

    step: int
    time_ps: float
    temperature_K: float
    potential_eV: float
    kinetic_eV: float
    total_eV: float
    volume_A3: float | None
    density_g_cm3: float | None
    pressure_bar: float | None


def column(rows: list[Row], name: str) -> NDArray[np.float64]:
    """One column of the table as an array; it must not have gaps."""
    return np.array([getattr(row, name) for row in rows], dtype=np.float64)


class DynamicsFiles:
    """The files of one run. Without a directory every write does nothing."""

    def __init__(self, run: RunDirectory) -> None:
        self._table = run.path(TABLE)
        self._trajectory = run.path(TRAJECTORY)
        self._checkpoint = run.path(CHECKPOINT)

    def begin(self) -> None:
        """Empty files: whatever an earlier attempt that never reached a checkpoint has left is not part of this run."""
        if self._table is not None and self._trajectory is not None:
            self._table.write_text(table_text([]), encoding="utf-8")
            self._trajectory.write_bytes(b"")

    def add_row(self, row: Row) -> None:
        if self._table is not None:
            with self._table.open("a", encoding="utf-8") as file:
                file.write(_format_row(row))

    def add_frame(self, atoms: Atoms, energy_eV: float) -> None:
        """A frame with its energy, without velocities, which would double the file and serve no one at this spacing."""
        if self._trajectory is not None:
            frame = atoms.copy()
            frame.arrays.pop("momenta", None)
            frame.calc = SinglePointCalculator(frame, energy=energy_eV)
            append_frame(self._trajectory, frame)

    def save_checkpoint(self, step: int, state: State) -> None:
        if self._table is None or self._trajectory is None or self._checkpoint is None:
            return
        sizes = [self._table.stat().st_size, self._trajectory.stat().st_size]
        arrays: dict[str, Any] = {"dp_sim_step": step, "dp_sim_sizes": sizes, **state}
        with atomic_path(self._checkpoint) as temporary:
            np.savez(temporary, **arrays)

    def load_checkpoint(self) -> tuple[int, State] | None:
        """The step and state of the last checkpoint, with the other files cut back to it; None if there is none yet.

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
        """The table so far."""
        if self._table is None:
            return []
        lines = self._table.read_text(encoding="utf-8").splitlines()[1:]
        return [_parse_row(line) for line in lines]


def table_text(rows: list[Row]) -> str:
    """The whole table: CSV, one header line with the names and units."""
    return ",".join(Row._fields) + "\n" + "".join(_format_row(row) for row in rows)


def _format_row(row: Row) -> str:
    return ",".join("" if value is None else f"{value:.12g}" for value in row) + "\n"


def _parse_row(line: str) -> Row:
    step, *fields = line.split(",")
    return Row(int(step), *(float(field) if field else None for field in fields))  # type: ignore[arg-type]
