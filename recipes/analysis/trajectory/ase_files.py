"""Trajectories that ASE reads: .traj, LAMMPS dumps, and any other format of several structures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import iread
from ase.io.formats import UnknownFileTypeError
from ase.io.trajectory import Trajectory
from typing_extensions import override

from dp_sim.errors import InputError, first_line
from dp_sim.recipes.results.trajectory import LazyFrames

#: Ends of the names of LAMMPS dumps in text form.
DUMP_SUFFIXES = (".lammpstrj", ".dump", ".lammpsdump")


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
    length
        Number of frames; None: counted by reading the file once.
    format
        ASE's name of the format; None: by the file's name and content.
    **options
        Of ASE's reader.
    """

    def __init__(self, file: Path, *, length: int | None = None, format: str | None = None, **options: Any) -> None:
        self._file, self._format, self._options = file, format, options
        self._length = sum(1 for _ in self._all()) if length is None else length

    def _all(self) -> Iterator[Atoms]:
        try:
            yield from iread(str(self._file), index=":", format=self._format, **self._options)
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


class DumpFrames(ReadInOrder):
    """Frames of a text dump of LAMMPS.

    Parameters
    ----------
    file
        The dump, with the columns id and x, y, z (or xs, xu, xsu).
    types
        Element of each atom type, in order; may be empty where the dump has a column `element`.
    units
        LAMMPS' `units` of the run.

    Attributes
    ----------
    steps_per_frame
        Time steps between two frames; None for a single frame.

    Raises
    ------
    InputError
        Columns that do not say which atom is which element, or frames at uneven steps.
    """

    def __init__(self, file: Path, types: tuple[str, ...], units: str) -> None:
        steps, columns = _headers(file)
        if "id" not in columns:
            raise InputError(
                "dump-columns",
                f"the dump {file} has no column id, and LAMMPS changes the order of atoms from frame to frame; write "
                "it with: dump 1 all custom 100 FILE id type x y z",
            )
        if "element" in columns and types:
            raise InputError(
                "option-not-for-file", f"the dump {file} names the elements itself (column element); leave types out"
            )
        if "element" not in columns and not types:
            raise InputError(
                "types-missing",
                f"the dump {file} numbers its atom types and does not name elements; give types, the element of each "
                "type in order: --types O --types H",
            )
        without_mass = [name for name in columns if name == "mass"]
        if without_mass and types:
            raise InputError(
                "option-not-for-file",
                f"the dump {file} has a column mass, from which ASE takes the elements; leave types out, or the column",
            )
        options = {"specorder": list(types)} if types else {}
        super().__init__(file, length=len(steps), format="lammps-dump-text", units=units, **options)
        self.steps_per_frame = _even(file, steps)
        self._n_types = len(types)

    @override
    def part(self, start: int, stop: int, step: int) -> Iterator[Atoms]:
        try:
            yield from super().part(start, stop, step)
        except InputError as error:
            if "list index out of range" not in str(error):
                raise
            raise InputError(
                "types-too-few", f"the dump {self._file} has more atom types than the {self._n_types} given in types"
            ) from error


def is_dump(file: Path) -> bool:
    """Tell whether a file is a text dump of LAMMPS, by its first line."""
    try:
        with file.open("rb") as content:
            return content.read(14) == b"ITEM: TIMESTEP"
    except OSError:
        return False


def _headers(file: Path) -> tuple[list[int], list[str]]:
    """Read the step of each whole frame, and the columns of the first; a last frame that is cut off does not count."""
    steps: list[int] = []
    columns: list[str] = []
    with file.open(encoding="utf-8", errors="replace") as content:
        step = n_atoms = 0
        while line := content.readline():
            if line.startswith("ITEM: TIMESTEP"):
                step = int(content.readline())
            elif line.startswith("ITEM: NUMBER OF ATOMS"):
                n_atoms = int(content.readline())
            elif line.startswith("ITEM: ATOMS"):
                columns = columns or line.split()[2:]
                last = ""
                for _ in range(n_atoms):
                    last = content.readline()
                if last.endswith("\n"):
                    steps.append(step)
    if not steps:
        raise InputError("file-empty", f"the dump {file} holds no whole frame; give one that does")
    return steps, columns


def _even(file: Path, steps: list[int]) -> int | None:
    gaps = {after - before for before, after in itertools.pairwise(steps)}
    if len(gaps) > 1 or any(gap <= 0 for gap in gaps):
        usual = steps[1] - steps[0]
        where = next(n for n in range(len(steps) - 1) if usual <= 0 or steps[n + 1] - steps[n] != usual)
        raise InputError(
            "frames-uneven",
            f"the dump {file} has frames at uneven steps ({steps[where]} is followed by {steps[where + 1]}, the first "
            f"two are {steps[1] - steps[0]} apart); give a trajectory with frames at even times, each step once",
        )
    return next(iter(gaps), None)
