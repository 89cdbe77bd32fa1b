"""Trajectories that ASE reads: .traj, and any other format of several structures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from ase import Atoms
from ase.io import iread
from ase.io.formats import UnknownFileTypeError
from ase.io.trajectory import Trajectory
from typing_extensions import override

from dp_sim.errors import InputError, first_line
from dp_sim.recipes.results.trajectory import LazyFrames


class TrajFrames(LazyFrames):
    """Frames of ASE's own binary form."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            with Trajectory(str(file)) as content:
                self._length = len(content)
        except Exception as error:
            raise InputError(
                "file-unreadable", f"ASE cannot read {file} ({first_line(error)}); give a whole .traj file"
            ) from error

    @override
    def __len__(self) -> int:
        return self._length

    @override
    def part(self, start: int, stop: int, step: int) -> Iterator[Atoms]:
        with Trajectory(str(self._file)) as content:
            for number in range(start, stop, step):
                yield content[number]


class ReadInOrder(LazyFrames):
    """Frames of a format that ASE reads from the beginning on.

    Parameters
    ----------
    file
        The file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._length = sum(1 for _ in self._all())

    def _all(self) -> Iterator[Atoms]:
        try:
            yield from iread(str(self._file), index=":")
        except (UnknownFileTypeError, ValueError, KeyError, IndexError, OSError, RuntimeError, AttributeError) as error:
            raise InputError(
                "file-unreadable",
                f"ASE cannot read {self._file} ({first_line(error)}); give a trajectory that ASE or MDTraj reads",
            ) from error

    @override
    def __len__(self) -> int:
        return self._length

    @override
    def part(self, start: int, stop: int, step: int) -> Iterator[Atoms]:
        yield from itertools.islice(self._all(), start, stop, step)
