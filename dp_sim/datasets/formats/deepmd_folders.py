"""Reader of DeePMD-kit's npy folders, of one composition or of mixed type, including nested folders."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from dp_sim.datasets.frames import Frame, Weights
from dp_sim.datasets.label_reading.of_atoms import without_weightless_labels
from dp_sim.datasets.remarks import UNREAD, Remarks
from dp_sim.errors import InputError

#: Arrays that are read; others are mentioned in the remarks.
_READ = ("coord", "box", "energy", "force", "virial", "real_atom_types", "atom_pref")
#: Arrays that the energies depend on, and that no model here takes as input.
_REFUSED = {
    "fparam": "frame parameters",
    "aparam": "parameters of atoms",
    "spin": "spins",
}


def read_deepmd_folder(folder: Path, remarks: Remarks) -> Iterator[Frame]:
    """Read the frames of a system in DeePMD-kit's npy layout, or of all systems in the folders below.

    A system consists of type.raw, type_map.raw, nopbc and set.*/{coord,box,energy,force,virial,atom_pref}.npy. It is of
    mixed type if set.* hold real_atom_types.npy.

    Parameters
    ----------
    folder
        The folder.
    remarks
        Where decisions are counted.

    Raises
    ------
    InputError
        There is no system, files are damaged or inconsistent, or there are arrays that no model here can be trained on.
    """
    systems = [folder] if (folder / "type.raw").exists() else sorted(path.parent for path in folder.rglob("type.raw"))
    for system in systems or [folder]:
        yield from _read_system(system, remarks)


def _read_system(folder: Path, remarks: Remarks) -> Iterator[Frame]:
    types, elements = _types(folder)
    parts = sorted(folder.glob("set.*"))
    if not parts and (folder / "coord.raw").exists():
        raise InputError(
            "deepmd-folder-malformed",
            f"{folder} has no set.* folder; expected DeePMD-kit's npy layout. Frames in .raw files are read through "
            f"dpdata: dpdata:deepmd/raw:{folder} (pip install 'dp-sim[dpdata]')",
        )
    for part in parts:
        unread = _unread_arrays(part)
        arrays = _Arrays.load(part, len(types), periodic=not (folder / "nopbc").exists())
        for name in unread:
            remarks.decide(f"{UNREAD}{name}'", len(arrays.coordinates))
        for i in range(len(arrays.coordinates)):
            yield _frame(f"{part}, frame {i}", arrays, i, types, elements, remarks)


def _types(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the types of the atoms (N,) and the atomic number of each type (T,)."""
    from ase.data import atomic_numbers

    if (folder / "type.raw").exists() and not (folder / "type_map.raw").exists():
        raise InputError(
            "deepmd-type-map-missing",
            f"{folder} has no type_map.raw, so that its types have no elements; write the elements, in the order of "
            f"the types, into {folder / 'type_map.raw'} (the type_map of the input that the data are for)",
        )
    try:
        types = np.array([int(word) for word in (folder / "type.raw").read_text().split()])
        if not len(types) or types.min() < 0:
            raise ValueError("type.raw must hold a whole number from 0 for every atom")
        elements = np.array([atomic_numbers[name] for name in (folder / "type_map.raw").read_text().split()])
        elements[types]
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(
            "deepmd-folder-malformed",
            f"{folder} is no DeePMD-kit folder: type.raw and type_map.raw must give an element for each atom ({error})",
        ) from error
    return types, elements


def _unread_arrays(part: Path) -> list[str]:
    """List the arrays that are not read; refuse those that the energies depend on."""
    unread = []
    for file in sorted(part.glob("*.npy")):
        if file.stem in _REFUSED:
            raise InputError(
                "deepmd-parameters",
                f"{file}: these energies depend on {_REFUSED[file.stem]}, and no model here takes them; leave these "
                "data out, or train with DeePMD-kit",
            )
        if file.stem not in _READ:
            unread.append(file.name)
    return unread


@dataclass(frozen=True)
class _Arrays:
    """The arrays of a set.* folder, for S frames of N atoms; with mixed types, `types` (S, N) is -1 for padding."""

    coordinates: np.ndarray
    box: np.ndarray
    periodic: bool
    energy: np.ndarray | None
    forces: np.ndarray | None
    virial: np.ndarray | None
    preferences: np.ndarray | None
    types: np.ndarray | None

    @classmethod
    def load(cls, part: Path, n: int, periodic: bool) -> _Arrays:
        """Load the arrays of a folder."""
        coordinates = _load_npy(part / "coord.npy", (n, 3))
        if coordinates is None:
            raise InputError("deepmd-array-missing", f"{part} has no coord.npy; every set.* folder needs one")
        count = len(coordinates)
        box = _load_npy(part / "box.npy", (3, 3), count) if periodic else np.zeros((count, 3, 3))
        if box is None:
            raise InputError(
                "deepmd-array-missing",
                f"{part} has no box.npy; add it, or a file 'nopbc' in {part.parent} for systems without a cell",
            )
        return cls(
            coordinates,
            box,
            periodic,
            _load_npy(part / "energy.npy", (), count),
            _load_npy(part / "force.npy", (n, 3), count),
            _load_npy(part / "virial.npy", (3, 3), count),
            _load_npy(part / "atom_pref.npy", (n,), count),
            _load_npy(part / "real_atom_types.npy", (n,), count),
        )


def _frame(name: str, arrays: _Arrays, i: int, types: np.ndarray, elements: np.ndarray, remarks: Remarks) -> Frame:
    """Make frame `i`; padding of mixed types (-1) is dropped."""
    own = types if arrays.types is None else arrays.types[i].astype(int)
    real = own >= 0
    if own.max(initial=-1) >= len(elements):
        raise InputError(
            "deepmd-folder-malformed",
            f"{name}: the type {own.max()} in real_atom_types.npy has no element: type_map.raw "
            f"names {len(elements)}; add it there",
        )
    virial = None if arrays.virial is None else arrays.virial[i]
    if virial is not None and not arrays.periodic and not virial.any():
        remarks.decide("'virial.npy' is zero and the structure not periodic in space: not used")
        virial = None
    weights = Weights()
    if arrays.preferences is not None:
        if (arrays.preferences[i] < 0).any() or not np.isfinite(arrays.preferences[i]).all():
            raise InputError("weight-bad", f"{name}: atom_pref.npy must be finite and not negative; correct it")
        weights = Weights(forces=arrays.preferences[i][real])
        remarks.decide("'atom_pref.npy' weighs forces in the loss of training")
    for label, value in (("energy", arrays.energy), ("force", arrays.forces), ("virial", virial)):
        if value is not None:
            remarks.read_from({"force": "forces"}.get(label, label), f"{label}.npy")
    frame = Frame(
        name,
        elements[own[real]],
        arrays.coordinates[i][real],
        arrays.box[i],
        np.full(3, arrays.periodic),
        None if arrays.energy is None else float(arrays.energy[i]),
        None if arrays.forces is None else arrays.forces[i][real],
        virial,
        weights,
        isolated=int(real.sum()) == 1 and not arrays.periodic,
    )
    return without_weightless_labels(frame, remarks)


def _load_npy(path: Path, shape: tuple[int, ...], count: int | None = None) -> np.ndarray | None:
    """Load an array with one row per frame as (frames, *shape); None if there is no such file."""
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
