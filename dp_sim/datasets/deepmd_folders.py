"""Reader of DeePMD-kit's npy folders."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from dp_sim.datasets.frames import Frame
from dp_sim.errors import InputError


def read_deepmd_folder(folder: Path) -> Iterator[Frame]:
    """DeePMD-kit's npy layout: type.raw, type_map.raw, nopbc, set.*/{coord,box,energy,force,virial}.npy."""
    from ase.data import atomic_numbers

    try:
        types = [int(word) for word in (folder / "type.raw").read_text().split()]
        if not types or min(types) < 0:
            raise ValueError("type.raw must hold a whole number from 0 for every atom")
        names = (folder / "type_map.raw").read_text().split()
        numbers = np.array([atomic_numbers[names[t]] for t in types])
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(
            "deepmd-folder-malformed",
            f"{folder} is no DeePMD-kit folder: type.raw and type_map.raw must give an element for each atom ({error})",
        ) from error
    n, periodic = len(numbers), not (folder / "nopbc").exists()
    for part in sorted(folder.glob("set.*")):
        if (part / "real_atom_types.npy").exists():
            raise InputError(
                "deepmd-folder-mixed",
                f"{part} is of DeePMD-kit's mixed type; convert it to folders of one composition each",
            )
        coordinates = _load_npy(part / "coord.npy", (n, 3))
        if coordinates is None:
            raise InputError("deepmd-array-missing", f"{part} has no coord.npy; every set.* folder needs one")
        count = len(coordinates)
        box = _load_npy(part / "box.npy", (3, 3), count) if periodic else np.zeros((count, 3, 3))
        if box is None:
            raise InputError(
                "deepmd-array-missing",
                f"{part} has no box.npy; add it, or a file 'nopbc' in {folder} for systems without a cell",
            )
        energy = _load_npy(part / "energy.npy", (), count)
        forces = _load_npy(part / "force.npy", (n, 3), count)
        virial = _load_npy(part / "virial.npy", (3, 3), count)
        for i in range(count):
            yield Frame(
                f"{part}, frame {i}",
                numbers,
                coordinates[i],
                box[i],
                np.full(3, periodic),
                None if energy is None else float(energy[i]),
                None if forces is None else forces[i],
                None if virial is None else virial[i],
            )


def _load_npy(path: Path, shape: tuple[int, ...], count: int | None = None) -> np.ndarray | None:
    """An array of `count` frames, one row a frame -> (frames, *shape); None where there is no such file."""
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            array = np.load(file, allow_pickle=False).astype(float)
    except OSError as error:
        raise InputError(
            "file-unreadable", f"{path} cannot be read: {error.strerror or error}; check the file"
        ) from error
    except (ValueError, EOFError, TypeError, AttributeError, MemoryError, BadZipFile) as error:
        # Not in numpy's own words: they advise to allow pickles, which run code.
        raise InputError(
            "array-damaged",
            f"{path} cannot be read as an array of numbers: it is damaged, cut short, or holds objects; write it again",
        ) from error
    rows = len(array) if array.ndim else 0
    if count not in (None, rows) or array.size != rows * math.prod(shape):
        expected = f"{'frames' if count is None else count}, {math.prod(shape)}"
        raise InputError(
            "array-shape", f"{path} must have the shape ({expected}), got {array.shape}; correct the file or type.raw"
        )
    return array.reshape(rows, *shape)
