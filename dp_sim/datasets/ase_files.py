"""Reader of labelled structures in every format that ASE reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dp_sim.datasets.frames import Frame
from dp_sim.errors import InputError

_LABELS = ("energy", "forces", "stress", "virial")


def read_ase(source: str) -> Iterator[Frame]:
    import ase.io

    path = source.rpartition("@")[0] if "@" in source and not Path(source).exists() else source
    index = source[len(path) + 1 :] or ":"
    if not Path(path).is_file():
        raise InputError(
            "file-missing", f"there is no data file {path}; give a file that ASE reads or a DeePMD-kit folder"
        )
    try:
        images = ase.io.read(path, index=index, do_not_split_by_at_sign=True)
    except StopIteration:  # what ASE's readers raise where the frames end before the index
        raise InputError(
            "index-out-of-range",
            f"{path} has fewer frames than {source} asks for; count from 0, or from the end with -1",
        ) from None
    except Exception as error:  # ASE's readers raise whatever their parsing meets
        raise InputError(
            "file-unreadable", f"{path} cannot be read as structures ({type(error).__name__}: {error}); check the file"
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
                "label-name-unknown",
                f"{name} has '{others[0]}' and no '{label}'; rename it to '{label}', which is what is read",
            )


def _full_stress(stress: np.ndarray, name: str) -> np.ndarray:
    """6 (Voigt) or 9 numbers -> (3, 3)."""
    from ase.stress import voigt_6_to_full_3x3_stress

    if stress.shape == (6,):
        return voigt_6_to_full_3x3_stress(stress)
    if stress.size != 9:
        raise InputError(
            "label-shape", f"{name}: stress must have 6 or 9 numbers, got the shape {stress.shape}; correct the label"
        )
    return stress.reshape(3, 3)


def _numbers(value: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise InputError("label-not-numbers", f"{what} must hold numbers, got {value!r}; correct the label") from None
