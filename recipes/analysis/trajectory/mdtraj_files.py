"""Trajectories in the binary forms that MDTraj reads: DCD, XTC, TRR, HDF5, NetCDF; a chunk of frames at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms, units
from ase.geometry import cellpar_to_cell
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.errors import InputError, first_line, import_optional
from dp_sim.recipes.results.trajectory import LazyFrames

#: Ends of the names of files that are read here.
SUFFIXES = (".dcd", ".xtc", ".trr", ".h5", ".hdf5", ".nc", ".netcdf")
#: Times of two steps may differ by this share and still count as even: XTC keeps times in single precision.
UNEVEN = 1e-3
#: Coordinates held at once.
CHUNK = 2_000_000


class _Block(NamedTuple):
    """Some frames: (S, N, 3) Å, (S,) ps, (S, 3, 3) Å, (S, N, 3) Å/ps; None where it is not in the file."""

    positions: NDArray[np.float64]
    time_ps: NDArray[np.float64] | None
    cell: NDArray[np.float64] | None
    velocities: NDArray[np.float64] | None


class MDTrajFrames(LazyFrames):
    """Frames of a binary trajectory, with the atoms of a topology.

    Parameters
    ----------
    file
        The trajectory.
    template
        Elements, masses and constraints of the atoms, in the order of the trajectory.

    Attributes
    ----------
    frame_ps
        Time between two frames as the file states it, ps; None where it states none.

    Raises
    ------
    InputError
        A file that MDTraj cannot read, another number of atoms than the topology has, or frames at uneven times.
    """

    def __init__(self, file: Path, template: Atoms) -> None:
        self._file, self._template = file, template
        self._mdtraj = import_optional("mdtraj", extra="openmm", purpose=f"reading {file.name}")
        with self._open() as content:
            self._length = len(content)
            if not self._length:
                raise InputError("file-empty", f"the trajectory {file} holds no frame; give one that does")
            first = self._read(content, 1)
        n_atoms = first.positions.shape[1]
        if n_atoms != len(template):
            raise InputError(
                "topology-mismatch",
                f"the frames of {file} have {n_atoms} atoms and the topology has {len(template)}; give the topology of "
                "this trajectory",
            )
        self.frame_ps = self._spacing_ps(first)

    def _open(self) -> Any:
        try:
            return self._mdtraj.open(str(self._file))
        except Exception as error:
            raise InputError(
                "file-unreadable", f"MDTraj cannot read {self._file} ({first_line(error)}); give a whole trajectory"
            ) from error

    def _read(self, content: Any, n_frames: int) -> _Block:
        try:
            return _block(self._file.suffix.lower(), content, n_frames)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                "file-unreadable", f"MDTraj cannot read {self._file} ({first_line(error)}); give a whole trajectory"
            ) from error

    def _spacing_ps(self, first: _Block) -> float | None:
        """Return the time between two frames; the whole file must keep to it."""
        if first.time_ps is None or self._length < 2:
            return None
        with self._open() as content:
            second = self._read(content, 2).time_ps
            content.seek(self._length - 1)
            last = self._read(content, 1).time_ps
        assert second is not None
        assert last is not None
        step, average = second[1] - second[0], (last[0] - second[0]) / (self._length - 1)
        if step <= 0:
            return None  # a file whose program wrote no times
        if abs(step - average) > UNEVEN * step:
            raise InputError(
                "frames-uneven",
                f"{self._file}: the first two frames are {step:g} ps apart and on average they are {average:g} ps "
                "apart; give a trajectory with frames at even times",
            )
        return float(average)

    @override
    def __len__(self) -> int:
        return self._length

    @override
    def part(self, start: int, stop: int, step: int) -> Iterator[Atoms]:
        n_chunk = max(1, CHUNK // (3 * len(self._template)))
        with self._open() as content:
            for begin in range(start, stop, n_chunk):
                content.seek(begin)
                block = self._read(content, min(n_chunk, stop - begin))
                for number in range(-(begin - start) % step, len(block.positions), step):
                    yield self._frame(block, number)

    def _frame(self, block: _Block, number: int) -> Atoms:
        frame = self._template.copy()
        frame.positions = block.positions[number]
        has_cell = block.cell is not None and bool(block.cell[number].any())
        frame.set_cell(block.cell[number] if has_cell and block.cell is not None else None)
        frame.pbc = has_cell
        if block.velocities is not None:
            frame.set_velocities(block.velocities[number] / (1000 * units.fs))
        return frame


def _block(suffix: str, content: Any, n_frames: int) -> _Block:
    """Read frames from an open file of MDTraj, and convert them to Angstrom and ps."""
    if suffix == ".xtc":
        xyz, time, _, box = content.read(n_frames)
        return _Block(_scaled(xyz, 10), time, _scaled(box, 10), None)
    if suffix == ".trr":
        xyz, time, _, box, _, *velocities = content._read(int(n_frames), None, get_velocities=True)
        given = velocities[0] if velocities and velocities[0] is not None and np.any(velocities[0]) else None
        return _Block(_scaled(xyz, 10), time, _scaled(box, 10), None if given is None else _scaled(given, 10))
    if suffix == ".dcd":
        xyz, lengths, angles = content.read(n_frames)
        return _Block(_scaled(xyz, 1), None, _vectors(lengths, angles, 1), None)
    read = content.read(n_frames)
    factor = 1 if suffix in (".nc", ".netcdf") else 10  # Angstrom there, nm in HDF5
    if factor == 1:
        xyz, time, lengths, angles = read
        return _Block(_scaled(xyz, factor), time, _vectors(lengths, angles, factor), None)
    velocities = None if read.velocities is None else _scaled(read.velocities, factor)
    cell = _vectors(read.cell_lengths, read.cell_angles, factor)
    return _Block(_scaled(read.coordinates, factor), read.time, cell, velocities)


def _scaled(values: Any, factor: float) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64) * factor


def _vectors(lengths: Any, angles: Any, factor: float) -> NDArray[np.float64] | None:
    """Make cell vectors of lengths and angles, a along x, b in the xy plane; None where the file holds none."""
    if lengths is None or angles is None or not np.any(lengths):
        return None
    parameters = np.concatenate([_scaled(lengths, factor), np.round(_scaled(angles, 1), 6)], axis=1)
    return np.array([cellpar_to_cell(one) for one in parameters])
