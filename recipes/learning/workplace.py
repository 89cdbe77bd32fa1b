"""Files of a run: those that grow, which are cut to what belongs to an event, and the states of dynamics."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ase import Atoms

from dp_sim.files import atomic_path
from dp_sim.recipes.dynamics.engines.protocol import State
from dp_sim.recipes.results.frames import append_frame
from dp_sim.recipes.results.tables import csv_lines
from dp_sim.recipes.run.directory import RunDirectory

TRAJECTORY, SPREADS, LABELS = "trajectory.extxyz", "uncertainty.csv", "labels.extxyz"
_LAST = "largest uncertainty of a force (eV/Angstrom)"
#: Columns of the table of uncertainties, of dynamics and of anything else.
_OF_DYNAMICS = ("step", "time (ps)", "temperature (K)", _LAST)
_OF_A_SEARCH = ("evaluation", "round", "largest force (eV/Angstrom)", _LAST)


class Workplace:
    """The files of a run on the fly.

    Parameters
    ----------
    run
        Its directory.
    spare
        Where files go that are only needed meanwhile, for a run without a directory.
    """

    def __init__(self, run: RunDirectory, spare: Path) -> None:
        self._run, self._spare = run, spare

    def file(self, name: str) -> Path:
        """Give the place of a file."""
        return self._run.path(name) or self._spare / name

    def begin(self, *, dynamics: bool) -> None:
        """Begin the files that grow."""
        self.file(TRAJECTORY).write_bytes(b"")
        self.file(SPREADS).write_text(csv_lines([_OF_DYNAMICS if dynamics else _OF_A_SEARCH]), encoding="utf-8")

    def sizes(self) -> dict[str, int]:
        """Return how long the files are that grow, bytes."""
        return {name: self.file(name).stat().st_size for name in (TRAJECTORY, SPREADS)}

    def cut(self, sizes: Mapping[str, int]) -> None:
        """Cut off what was written after an event."""
        for name, size in sizes.items():
            os.truncate(self.file(name), size)

    def add_frame(self, atoms: Atoms) -> None:
        """Append a structure to the trajectory."""
        append_frame(self.file(TRAJECTORY), atoms)

    def add_look(self, number: int, *values: float) -> None:
        """Append a line to the table of uncertainties."""
        with self.file(SPREADS).open("a", encoding="utf-8") as file:
            file.write(csv_lines([(number, *(f"{value:.6g}" for value in values))]))

    def count_looks(self) -> int:
        """Count the lines of the table of uncertainties."""
        return self.file(SPREADS).read_bytes().count(b"\n") - 1

    def looks(self) -> np.ndarray:
        """Read the table of uncertainties, (L, 4)."""
        return np.loadtxt(self.file(SPREADS), delimiter=",", skiprows=1, ndmin=2).reshape(-1, len(_OF_DYNAMICS))

    def save_state(self, name: str, state: State) -> None:
        """Write a state of dynamics, whole or not at all, and on the disk."""
        with atomic_path(self.file(name)) as temporary, temporary.open("wb") as content:
            np.savez(content, **state)  # type: ignore[arg-type]
            content.flush()
            os.fsync(content.fileno())

    def load_state(self, name: str) -> State:
        """Read a state of dynamics."""
        with np.load(self.file(name), allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
