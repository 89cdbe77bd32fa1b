"""Frames on disk: structures with their labels, in extended XYZ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import iread, write

from dp_sim.files import atomic_path
from dp_sim.structures.constraints import with_constraints_written
from dp_sim.structures.stated import NOTES


def evaluated_copy(atoms: Atoms) -> Atoms:
    """Copy an evaluated structure with its energy, forces and (where it is known) stress, without the calculator."""
    known = {name: value for name, value in atoms.calc.results.items() if name in ("energy", "forces", "stress")}
    copy = atoms.copy()
    copy.calc = SinglePointCalculator(copy, **known)
    return copy


def write_frames(file: Path, frames: Atoms | Sequence[Atoms]) -> None:
    """Write one structure or several into an extended XYZ file, whole or not at all, with all their constraints."""
    structures = [frames] if isinstance(frames, Atoms) else frames
    with atomic_path(file) as temporary:
        write(temporary, [_for_file(frame) for frame in structures], format="extxyz")


def append_frame(file: Path, frame: Atoms) -> None:
    """Append a structure to an extended XYZ file."""
    write(file, _for_file(frame), format="extxyz", append=True)


def _for_file(frame: Atoms) -> Atoms:
    """Add to the structure the constraints that the format has no place for, and leave out notes on its reading."""
    frame = with_constraints_written(frame)
    if NOTES not in frame.info:
        return frame
    copy = frame.copy()
    copy.calc = frame.calc
    del copy.info[NOTES]
    return copy


def whole_frames(file: Path) -> list[Atoms]:
    """Read the frames of an extended XYZ file, up to one that a killed process left unfinished."""
    frames: list[Atoms] = []
    try:
        for frame in iread(file, index=":", format="extxyz"):
            frames.append(frame)
    except (ValueError, KeyError, IndexError, OSError):
        return frames
    return frames
