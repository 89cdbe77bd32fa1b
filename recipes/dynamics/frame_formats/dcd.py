"""DCD, the binary trajectory of CHARMM and NAMD, which VMD, MDTraj and MDAnalysis read."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dp_sim.files import atomic_path
from dp_sim.recipes.dynamics.frame_formats.frame import TurnedFrame, turned_frames

#: One unit of time of CHARMM (AKMA), in ps: sqrt(amu Angstrom^2 / (kcal/mol)).
AKMA_PS = 0.04888821
#: CHARMM's version in the header: from 22 on the cell is stored as lengths and angles.
CHARMM_VERSION = 24


def write_dcd(frames: Path, file: Path, steps_per_frame: int, timestep_ps: float) -> None:
    """Write the frames of an extended XYZ file, with their cells and the time between them.

    Parameters
    ----------
    frames
        The extended XYZ file.
    file
        Where the DCD file goes.
    steps_per_frame
        Time steps between two frames.
    timestep_ps
        Time step, ps.
    """
    number = 0
    with atomic_path(file) as temporary, temporary.open("w+b") as out:
        for number, frame in enumerate(turned_frames(frames), start=1):
            if number == 1:
                _write_header(out, frame, steps_per_frame, timestep_ps)
            _write_frame(out, frame)
        out.seek(8)  # behind the length of the record and "CORD"
        out.write(struct.pack("<i", number))
        out.seek(20)
        out.write(struct.pack("<i", max(number - 1, 0) * steps_per_frame))


def _write_header(out: BinaryIO, first: TurnedFrame, steps_per_frame: int, timestep_ps: float) -> None:
    """Write the three records of the header: 20 numbers of control, a title, the number of atoms."""
    control = [0, 0, steps_per_frame, *[0] * 6]  # frames, first step, steps a frame, steps; five that nobody uses
    tail = [0 if first.lengths_A is None else 1, *[0] * 8, CHARMM_VERSION]
    _record(out, b"CORD" + struct.pack("<9if10i", *control, timestep_ps / AKMA_PS, *tail))
    _record(out, struct.pack("<i", 1) + b"frames of dp-sim, Angstrom".ljust(80))
    _record(out, struct.pack("<i", len(first.atoms)))


def _write_frame(out: BinaryIO, frame: TurnedFrame) -> None:
    if frame.lengths_A is not None and frame.angles_deg is not None:
        (a, b, c), (alpha, beta, gamma) = frame.lengths_A, frame.angles_deg
        _record(out, struct.pack("<6d", a, gamma, b, beta, alpha, c))
    for axis in range(3):
        _record(out, np.ascontiguousarray(frame.positions_A[:, axis], dtype="<f4").tobytes())


def _record(out: BinaryIO, content: bytes) -> None:
    """Write a record of Fortran: its length before and behind it."""
    length = struct.pack("<i", len(content))
    out.write(length + content + length)
