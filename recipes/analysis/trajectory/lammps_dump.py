"""Text dumps of LAMMPS: the usual columns read at once as numbers, others by ASE, with the same result.

ASE parses a dump line by line, and from the beginning for each frame. Here the place of every frame is noted once, and
a frame of numbers alone is one call of numpy: some fifty times faster.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from ase import Atoms
from ase.calculators.lammps import convert
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers
from ase.io import read
from ase.io.lammpsrun import construct_cell
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.errors import InputError, first_line
from dp_sim.recipes.analysis.trajectory.lammps_units import FS_PER_TIME
from dp_sim.recipes.results.trajectory import LazyFrames

#: Positions in the order in which ASE prefers them, and whether they are fractions of the cell.
POSITIONS = {"x y z": False, "xs ys zs": True, "xu yu zu": False, "xsu ysu zsu": True}
VELOCITIES, FORCES = ("vx", "vy", "vz"), ("fx", "fy", "fz")
#: Columns that the quick reader knows; images and molecules say nothing that the positions do not.
KNOWN = {"id", "type", "mol", "ix", "iy", "iz", *VELOCITIES, *FORCES, *" ".join(POSITIONS).split()}


@dataclass
class DumpIndex:
    """What a dump holds, and where.

    Attributes
    ----------
    places
        Of each whole frame: its first byte, and the one behind its last.
    steps
        Its time step.
    times
        Its time in LAMMPS' unit, where the dump states it (`dump_modify ... time yes`).
    columns
        Of the first frame.
    units
        LAMMPS' units, where the dump states them (`dump_modify ... units yes`); else empty.
    """

    places: list[tuple[int, int]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    units: str = ""

    @classmethod
    def of(cls, file: Path) -> DumpIndex:
        """Read through a dump once; a last frame that is cut off does not count.

        Raises
        ------
        InputError
            It holds no whole frame, or its headers are damaged.
        """
        found = cls()
        with file.open("rb") as content:
            try:
                found._scan(content)
            except (ValueError, IndexError) as error:
                raise InputError(
                    "file-damaged",
                    f"the dump {file} is damaged after frame {len(found.steps)} ({first_line(error)}); give a whole "
                    "one",
                ) from error
        if not found.steps:
            raise InputError("file-empty", f"the dump {file} holds no whole frame; give one that does")
        return found

    def _scan(self, content: BinaryIO) -> None:
        start = step = n_atoms = 0
        time: float | None = None
        while line := content.readline():
            if line.startswith(b"ITEM: UNITS"):
                self.units = content.readline().decode().strip()
            elif line.startswith(b"ITEM: TIMESTEP"):
                start, step = content.tell() - len(line), int(content.readline())
            elif line.startswith(b"ITEM: TIME"):
                time = float(content.readline())
            elif line.startswith(b"ITEM: NUMBER OF ATOMS"):
                n_atoms = int(content.readline())
            elif line.startswith(b"ITEM: ATOMS"):
                self.columns = self.columns or line.decode().split()[2:]
                last = b""
                for _ in range(n_atoms):
                    last = content.readline()
                if last.endswith(b"\n"):
                    self.places.append((start, content.tell()))
                    self.steps.append(step)
                    self.times += [] if time is None else [time]

    def steps_per_frame(self, file: Path) -> int | None:
        """Return the time steps between two frames; None for a single frame.

        Raises
        ------
        InputError
            They are uneven.
        """
        gaps = {after - before for before, after in itertools.pairwise(self.steps)}
        if len(gaps) > 1 or any(gap <= 0 for gap in gaps):
            usual = self.steps[1] - self.steps[0]
            where = next(
                n for n in range(len(self.steps) - 1) if usual <= 0 or self.steps[n + 1] - self.steps[n] != usual
            )
            raise InputError(
                "frames-uneven",
                f"the dump {file} has frames at uneven steps ({self.steps[where]} is followed by "
                f"{self.steps[where + 1]}, the first two are {usual} apart); give a trajectory with frames at even "
                "times, each step once",
            )
        return next(iter(gaps), None)


class DumpFrames(LazyFrames):
    """Frames of a text dump of LAMMPS.

    Parameters
    ----------
    file
        The dump, with the columns id and x, y, z (or xs, xu, xsu).
    types
        Element of each atom type, in order; may be empty where the dump has a column `element`.
    units
        LAMMPS' `units` of the run; None: those that the dump states.

    Attributes
    ----------
    units
        As used.
    steps_per_frame
        Time steps between two frames; None for a single frame.
    frame_ps
        Time between two frames as the dump states it, ps; None where it does not.

    Raises
    ------
    InputError
        Columns that do not say which atom is which element, units that the dump contradicts or nobody says, or frames
        at uneven steps.
    """

    def __init__(self, file: Path, types: tuple[str, ...], units: str | None) -> None:
        self._file, self._types, self._index = file, types, DumpIndex.of(file)
        self._check_columns()
        self.units = self._units(units)
        self.steps_per_frame = self._index.steps_per_frame(file)
        times = self._index.times
        known = len(times) == len(self._index.steps) > 1
        self.frame_ps = (times[1] - times[0]) * FS_PER_TIME[self.units] / 1000 if known else None
        self._quick = bool(types) and set(self._index.columns) <= KNOWN

    def _check_columns(self) -> None:
        file, columns, types = self._file, self._index.columns, self._types
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
        if "mass" in columns and types:
            raise InputError(
                "option-not-for-file",
                f"the dump {file} has a column mass, from which ASE takes the elements; leave types out, or the column",
            )

    def _units(self, given: str | None) -> str:
        stated = self._index.units
        if given is None and not stated:
            raise InputError(
                "units-missing",
                f"the dump {self._file} does not say its units; give units, as in the input of LAMMPS",
            )
        if given is not None and stated and given != stated:
            raise InputError(
                "units-contradicted",
                f"the dump {self._file} says units {stated}, and units is {given}; leave it out, or correct it",
            )
        units = given or stated
        if units not in FS_PER_TIME:
            raise InputError(
                "units-unsupported",
                f"the dump {self._file} is in units {units}, which have no length and time; "
                f"known are {', '.join(FS_PER_TIME)}",
            )
        return units

    def steps_between(self, first: int | None, last: int | None) -> tuple[int, int]:
        """Return the time steps of two frames; None: of the first and of the last one."""
        ends = self._index.steps
        return ends[min(first or 0, len(ends) - 1)], ends[-1 if last is None else min(last, len(ends) - 1)]

    @override
    def __len__(self) -> int:
        return len(self._index.steps)

    @override
    def part(self, start: int, stop: int, step: int) -> Iterator[Atoms]:
        with self._file.open("rb") as content:
            for number in range(start, stop, step):
                first, end = self._index.places[number]
                content.seek(first)
                yield self._frame(content.read(end - first), number)

    def _frame(self, text: bytes, number: int) -> Atoms:
        try:
            if self._quick and (found := self._numbers(text)) is not None:
                return found
            return self._by_ase(text)
        except (ValueError, KeyError, IndexError, RuntimeError, AttributeError) as error:
            if isinstance(error, IndexError) and self._types:
                raise InputError(
                    "types-too-few",
                    f"the dump {self._file} has more atom types than the {len(self._types)} given in types",
                ) from error
            raise InputError(
                "file-unreadable",
                f"frame {number} of the dump {self._file} cannot be read ({first_line(error)}); leave it out with "
                "first, last or stride",
            ) from error

    def _by_ase(self, text: bytes) -> Atoms:
        options = {"specorder": list(self._types)} if self._types else {}
        content = io.StringIO(text.decode(errors="replace"))
        found = read(content, index=0, format="lammps-dump-text", units=self.units, **options)
        assert isinstance(found, Atoms)
        return found

    def _numbers(self, text: bytes) -> Atoms | None:
        """Read a frame of numbers; None for one whose box or columns are not the usual ones."""
        head, _, body = text.partition(b"ITEM: ATOMS")
        names, _, body = body.partition(b"\n")
        columns = names.decode().split()
        box = _box(head.decode())
        values = np.array(body.split(), dtype=np.float64)
        if box is None or not set(columns) <= KNOWN or len(values) % len(columns):
            return None
        cell, origin, pbc = box
        table = values.reshape(-1, len(columns))
        table = table[np.argsort(table[:, columns.index("id")])]
        kinds = table[:, columns.index("type")].astype(np.int64)

        def vectors(three: tuple[str, ...]) -> NDArray[np.float64] | None:
            return table[:, [columns.index(name) for name in three]] if set(three) <= set(columns) else None

        three = next((names.split() for names in POSITIONS if names[: names.index(" ")] in columns), None)
        if three is None or (places := vectors(tuple(three))) is None or kinds.min() < 1:
            return None
        cell, origin = (np.asarray(convert(one, "distance", self.units, "ASE")) for one in (cell, origin))
        scaled = POSITIONS[" ".join(three)]
        positions = {"scaled_positions": places} if scaled else {"positions": self._in_ase(places, "distance")}
        numbers = np.array([atomic_numbers[name] for name in self._types])[kinds - 1]
        atoms = Atoms(numbers, cell=cell, celldisp=origin, pbc=pbc, **positions)
        atoms.new_array("type", kinds)
        if (velocities := vectors(VELOCITIES)) is not None:
            atoms.set_velocities(self._in_ase(velocities, "velocity"))
        if (forces := vectors(FORCES)) is not None:
            atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=self._in_ase(forces, "force"))
        atoms.info["timestep"] = int(head.split(b"\n", 2)[1])
        return atoms

    def _in_ase(self, values: NDArray[np.float64], quantity: str) -> NDArray[np.float64]:
        return np.asarray(convert(values, quantity, self.units, "ASE"))


def _box(head: str) -> tuple[NDArray[np.float64], NDArray[np.float64], list[bool]] | None:
    """Read cell, origin and periodicity from the header of a frame; None for a general triclinic box."""
    _, _, lines = head.partition("ITEM: BOX BOUNDS")
    labels, *bounds = lines.splitlines()[:4]
    words = labels.split()
    if len(words) not in (3, 6) or words[0] == "abc" or (len(words) == 6 and words[:3] != ["xy", "xz", "yz"]):
        return None
    numbers = np.array([line.split() for line in bounds], dtype=np.float64)
    tilt = numbers[:, 2] if numbers.shape[1] == 3 else np.zeros(3)
    cell, origin = construct_cell(numbers[:, :2].ravel(), tilt)
    return cell, origin, ["p" in word for word in words[-3:]]


def is_dump(file: Path) -> bool:
    """Tell whether a file is a text dump of LAMMPS, by its first line."""
    try:
        with file.open("rb") as content:
            return content.readline(40).strip() in (b"ITEM: TIMESTEP", b"ITEM: UNITS", b"ITEM: TIME")
    except OSError:
        return False
