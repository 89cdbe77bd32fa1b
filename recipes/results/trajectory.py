"""Trajectories as lists of structures that are read when they are asked for, so that long ones need no memory."""

from __future__ import annotations

import gzip
import io
import zlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast, overload

import numpy as np
from ase import Atoms
from ase.io import read
from typing_extensions import override

from dp_sim.errors import InputError, first_line


def check_same_atoms(atoms: Atoms, first: Atoms, name: str) -> None:
    """Refuse a frame of other atoms, or of another periodicity, than the first.

    Parameters
    ----------
    atoms, first
        The frame, and the first of its trajectory.
    name
        What messages call the frame.

    Raises
    ------
    InputError
        `frames-differ`.
    """
    if len(atoms) != len(first):
        difference = f"{len(atoms)} atoms and the first frame {len(first)}"
    elif not np.array_equal(atoms.numbers, first.numbers):
        atom = int(np.flatnonzero(atoms.numbers != first.numbers)[0])
        difference = f"{atoms.symbols[atom]} as atom {atom} and the first frame {first.symbols[atom]}"
    elif not np.array_equal(atoms.pbc, first.pbc):
        difference = f"pbc={atoms.pbc.tolist()} and the first frame {first.pbc.tolist()}"
    else:
        return
    raise InputError(
        "frames-differ",
        f"{name} has {difference}; a trajectory keeps its atoms, their order and its periodicity",
    )


class LazyFrames(Sequence[Atoms]):
    """Frames of a trajectory: indexed, sliced and iterated like a list, and read from the file each time."""

    @abstractmethod
    def part(self, start: int, stop: int, step: int) -> Iterator[Atoms]:
        """Read frames `start`, `start + step`, ... before `stop`, one after another; bounds lie inside the file."""

    @overload
    def __getitem__(self, index: int) -> Atoms: ...
    @overload
    def __getitem__(self, index: slice) -> list[Atoms]: ...
    def __getitem__(self, index: int | slice) -> Atoms | list[Atoms]:
        """Read one frame, or a list of those that a slice names."""
        if isinstance(index, slice):
            numbers = range(*index.indices(len(self)))
            if not numbers:
                return []
            if numbers.step > 0:
                return list(self.part(numbers.start, numbers[-1] + 1, numbers.step))
            return list(self.part(numbers[-1], numbers.start + 1, -numbers.step))[::-1]
        number = range(len(self))[index]  # negative ones too, and an IndexError of the usual kind
        return next(self.part(number, number + 1, 1))

    @override
    def __iter__(self) -> Iterator[Atoms]:
        return self.part(0, len(self), 1)

    def __repr__(self) -> str:
        """Return the number of frames, not their content."""
        return f"<{type(self).__name__}: {len(self)} frames>"


class ExtxyzFrames(LazyFrames):
    """Frames of an extended XYZ file, found by where each begins.

    Parameters
    ----------
    file
        The file, or one that gzip has compressed (.gz). A last frame that a killed process left unfinished does not
        count.

    Attributes
    ----------
    unfinished
        Whether such a frame was left out.

    Raises
    ------
    InputError
        There is no such file, or it does not begin with a number of atoms.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._starts: list[int] = []
        self.unfinished = False
        if not file.is_file():
            raise InputError("file-missing", f"there is no trajectory {file}; give a file of frames")
        try:
            with self._opened() as content:
                start = 0
                while line := content.readline():
                    if line.strip():
                        self._skip(content, line, start)
                    start = content.tell()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError("file-damaged", f"{file} is no whole file of gzip ({error}); give a whole one") from error
        self._end = start

    def _opened(self) -> BinaryIO:
        return cast(BinaryIO, gzip.open(self._file)) if self._file.suffix == ".gz" else self._file.open("rb")

    def _skip(self, content: BinaryIO, line: bytes, start: int) -> None:
        """Step over a frame of which `line` is the first line, and note where it starts."""
        try:
            n_lines = int(line) + 1
        except ValueError:
            raise InputError(
                "file-unreadable",
                f"{self._file}: frame {len(self._starts)} must begin with its number of atoms, got "
                f"'{line.decode(errors='replace').strip()[:40]}'; give an extended XYZ file",
            ) from None
        last = b""
        for _ in range(n_lines):
            last = content.readline()
        if last.endswith(b"\n"):  # without it the last number may be cut short
            self._starts.append(start)
        else:
            self.unfinished = True

    @override
    def __len__(self) -> int:
        return len(self._starts)

    @override
    def part(self, start: int, stop: int, step: int) -> Iterator[Atoms]:
        ends = [*self._starts[1:], self._end]
        with self._opened() as content:
            for number in range(start, stop, step):
                content.seek(self._starts[number])
                text = content.read(ends[number] - self._starts[number]).decode("utf-8")
                try:
                    frame = read(io.StringIO(text), index=0, format="extxyz")
                except (ValueError, KeyError, IndexError) as error:
                    raise InputError(
                        "file-unreadable",
                        f"{self._file}: frame {number} cannot be read ({first_line(error)}); leave it out with first, "
                        "last or stride",
                    ) from error
                assert isinstance(frame, Atoms)
                yield frame
