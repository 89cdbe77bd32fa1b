"""`read_frames`: the reader of a source, chosen by what it is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dp_sim.datasets.ase_files import read_ase
from dp_sim.datasets.deepmd_folders import read_deepmd_folder
from dp_sim.datasets.frames import Frame
from dp_sim.errors import InputError


def read_frames(source: str | os.PathLike[str], *, labelled: bool = True) -> list[Frame]:
    """Frames of a file that ASE reads (`file.extxyz`, or `file.extxyz@:-40` for a slice) or of a DeePMD-kit folder.

    `labelled=False` takes frames without labels too.

    Raises
    ------
    InputError
        Absent or unreadable source, no frames in it, a frame without labels or with labels of the wrong shape.
    """
    source = os.fspath(source)
    frames = list(read_deepmd_folder(Path(source)) if Path(source).is_dir() else read_ase(source))
    if not frames:
        raise InputError(
            "frames-missing", f"{source} holds no frames; give a file with {'labelled ' if labelled else ''}structures"
        )
    for frame in frames:
        if labelled and frame.energy is None and frame.forces is None and frame.virial is None:
            raise InputError(
                "labels-missing",
                f"{frame.name} has no label; expected energy, forces, stress or virial (`dp-sim label` makes them)",
            )
    return frames


def read_all(sources: Iterable[str | os.PathLike[str]]) -> list[Frame]:
    return [frame for source in sources for frame in read_frames(source)]
