"""Labelled frames: read them (anything ASE reads, DeePMD-kit's npy folders), check them, split them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from dp_sim.errors import InputError
from dp_sim.structure import check_structures

_LABELS = ("energy", "forces", "stress", "virial")


@dataclass(frozen=True)
class Frame:
    """One structure with its labels; a label that is not known is None, and costs nothing in training.

    numbers (N,), positions (N, 3) Angstrom, cell (3, 3) Angstrom, pbc (3,), energy eV, forces (N, 3) eV/Angstrom,
    virial (3, 3) eV in the sign of dp_sim.batch; `name` is file and index, for messages.
    """

    name: str
    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    energy: float | None = None
    forces: np.ndarray | None = None
    virial: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_structures([self], self.name)
        expected = {"energy": (), "forces": (len(self.numbers), 3), "virial": (3, 3)}
        for label, shape in expected.items():
            value = getattr(self, label)
            if value is None:
                continue
            if np.shape(value) != shape:
                raise InputError(
                    f"{self.name}: {label} must have the shape {shape}, got {np.shape(value)}; correct the label"
                )
            if not np.isfinite(value).all():
                raise InputError(f"{self.name}: {label} holds a value that is not finite; correct or drop the frame")


def read_frames(source: str | os.PathLike[str], *, labelled: bool = True) -> list[Frame]:
    """Frames of a file that ASE reads (`file.extxyz`, or `file.extxyz@:-40` for a slice) or of a DeePMD-kit folder.

    `labelled=False` takes frames without labels too.

    Raises
    ------
    InputError
        Absent or unreadable source, no frames in it, a frame without labels or with labels of the wrong shape.
    """
    source = os.fspath(source)
    frames = list(_read_deepmd(Path(source)) if Path(source).is_dir() else _read_ase(source))
    if not frames:
        raise InputError(f"{source} holds no frames; give a file with {'labelled ' if labelled else ''}structures")
    for frame in frames:
        if labelled and frame.energy is None and frame.forces is None and frame.virial is None:
            raise InputError(
                f"{frame.name} has no label; expected energy, forces, stress or virial (`dp-sim label` makes them)"
            )
    return frames


def read_all(sources: Iterable[str | os.PathLike[str]]) -> list[Frame]:
    return [frame for source in sources for frame in read_frames(source)]


def split(frames: Sequence[Frame], fraction: float, seed: int) -> tuple[list[Frame], list[Frame]]:
    """Shuffle with `seed` and hold out `fraction`: (training, held out)."""
    order = np.random.default_rng(seed).permutation(len(frames))
    held = set(order[: round(fraction * len(frames))].tolist())
    return [f for i, f in enumerate(frames) if i not in held], [f for i, f in enumerate(frames) if i in held]


def _read_ase(source: str) -> Iterator[Frame]:
    import ase.io

    path = source.rpartition("@")[0] if "@" in source and not Path(source).exists() else source
    index = source[len(path) + 1 :] or ":"
    if not Path(path).is_file():
        raise InputError(f"there is no data file {path}; give a file that ASE reads or a DeePMD-kit folder")
    try:
        images = ase.io.read(path, index=index, do_not_split_by_at_sign=True)
    except StopIteration:  # what ASE's readers raise where the frames end before the index
        raise InputError(
            f"{path} has fewer frames than {source} asks for; count from 0, or from the end with -1"
        ) from None
    except Exception as error:  # ASE's readers raise whatever their parsing meets
        raise InputError(
            f"{path} cannot be read as structures ({type(error).__name__}: {error}); check the file"
        ) from error
    for number, atoms in enumerate(images if isinstance(images, list) else [images]):
        yield frame_from_atoms(atoms, f"{source}, frame {number}")


def frame_from_atoms(atoms: Any, name: str) -> Frame:
    """An ase.Atoms with a single-point calculator (or `virial` in its info) -> Frame."""
    labels = dict(atoms.calc.results) if atoms.calc is not None else {}
    for key in _LABELS:
        source = atoms.arrays if key == "forces" else atoms.info
        if key not in labels and key in source:
            labels[key] = source[key]
    _check_label_names(atoms, labels, name)
    known = {
        key: _numbers(value, f"{name}: {key}") for key, value in labels.items() if key in _LABELS and value is not None
    }
    virial = known.get("virial")
    if virial is not None:
        virial = virial.reshape(3, 3) if virial.size == 9 else virial
    elif "stress" in known and atoms.pbc.any() and atoms.cell.rank == 3:
        virial = -atoms.get_volume() * _full_stress(known["stress"], name)
    energy = known.get("energy")
    return Frame(
        name,
        atoms.numbers.copy(),
        atoms.positions.copy(),
        np.array(atoms.cell),
        atoms.pbc.copy(),
        energy if energy is None or energy.shape else float(energy),  # type: ignore[arg-type]  # Frame refuses arrays
        known.get("forces"),
        virial,
    )


def _check_label_names(atoms: Any, labels: dict[str, Any], name: str) -> None:
    """Refuse labels under names that would go unread: training would silently do without them."""
    for label, source in (("energy", atoms.info), ("forces", atoms.arrays)):
        others = [key for key in source if label.removesuffix("s") in key.lower()]
        if labels.get(label) is None and others:
            raise InputError(
                f"{name} has '{others[0]}' and no '{label}'; rename it to '{label}', which is what is read"
            )


def _full_stress(stress: np.ndarray, name: str) -> np.ndarray:
    """6 (Voigt) or 9 numbers -> (3, 3)."""
    from ase.stress import voigt_6_to_full_3x3_stress

    if stress.shape == (6,):
        return voigt_6_to_full_3x3_stress(stress)
    if stress.size != 9:
        raise InputError(f"{name}: stress must have 6 or 9 numbers, got the shape {stress.shape}; correct the label")
    return stress.reshape(3, 3)


def _numbers(value: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{what} must hold numbers, got {value!r}; correct the label") from None


def _read_deepmd(folder: Path) -> Iterator[Frame]:
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
            f"{folder} is no DeePMD-kit folder: type.raw and type_map.raw must give an element for every atom ({error})"
        ) from error
    n, periodic = len(numbers), not (folder / "nopbc").exists()
    for part in sorted(folder.glob("set.*")):
        if (part / "real_atom_types.npy").exists():
            raise InputError(f"{part} is of DeePMD-kit's mixed type; convert it to folders of one composition each")
        coordinates = _load_npy(part / "coord.npy", (n, 3))
        if coordinates is None:
            raise InputError(f"{part} has no coord.npy; every set.* folder needs one")
        count = len(coordinates)
        box = _load_npy(part / "box.npy", (3, 3), count) if periodic else np.zeros((count, 3, 3))
        if box is None:
            raise InputError(f"{part} has no box.npy; add it, or a file 'nopbc' in {folder} for systems without a cell")
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
        raise InputError(f"{path} cannot be read: {error.strerror or error}; check the file") from error
    except (ValueError, EOFError, TypeError, AttributeError, BadZipFile) as error:
        # Not in numpy's own words: they advise to allow pickles, which run code.
        raise InputError(
            f"{path} cannot be read as an array of numbers: it is damaged, cut short, or holds objects; write it again"
        ) from error
    rows = len(array) if array.ndim else 0
    if count not in (None, rows) or array.size != rows * math.prod(shape):
        expected = f"{'frames' if count is None else count}, {math.prod(shape)}"
        raise InputError(f"{path} must have the shape ({expected}), got {array.shape}; correct the file or type.raw")
    return array.reshape(rows, *shape)
