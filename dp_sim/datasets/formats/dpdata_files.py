"""Reader, through dpdata, of formats that ASE cannot read: `dpdata:FORMAT:FILE`, with dpdata's name of the format."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dp_sim.datasets.formats import vasp
from dp_sim.datasets.frames import Frame
from dp_sim.datasets.remarks import Remarks
from dp_sim.errors import InputError, first_line, import_optional

PREFIX = "dpdata:"
#: Labels in dpdata's systems, and their names here; dpdata uses eV and Angstrom.
_LABELS = {"energies": "energy", "forces": "forces", "virials": "virial"}


def parts(source: str) -> tuple[str, str]:
    """Split `dpdata:vasp/outcar:OUTCAR` into format and file.

    Raises
    ------
    InputError
        One of the two is missing.
    """
    kind, colon, path = source.removeprefix(PREFIX).partition(":")
    if not (kind and colon and path):
        raise InputError(
            "dpdata-source",
            f"'{source}' must be dpdata:FORMAT:FILE, such as dpdata:vasp/outcar:OUTCAR; add what is missing",
        )
    return kind, path


def read_dpdata(source: str, remarks: Remarks) -> Iterator[Frame]:
    """Read the frames of a file or folder with dpdata, one composition after another.

    Parameters
    ----------
    source
        `dpdata:FORMAT:FILE`.
    remarks
        Where decisions are counted.

    Raises
    ------
    InputError
        dpdata is not installed, does not know the format, or cannot read the file.
    """
    dpdata = import_optional("dpdata", extra="dpdata", purpose=f"reading {source}")
    kind, path = parts(source)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", DeprecationWarning)  # of code, not of the file
            systems = _load(dpdata, path, kind)
    except Exception as error:  # dpdata's readers raise whatever their parsing meets
        raise InputError(
            "file-unreadable",
            f"{path} cannot be read by dpdata as {kind} ({type(error).__name__}: {first_line(error)}); check the file "
            "and the name of the format",
        ) from error
    for warning in said:
        remarks.state(f"dpdata warns of {path}: {warning.message}")
    left_out = vasp.left_out_steps(Path(path), ":") if Path(path).is_file() else None
    for system in systems:
        count = system.get_nframes()
        if left_out is not None and len(left_out) > count:  # dpdata has left them out itself
            remarks.decide(vasp.LEFT_OUT, len(left_out) - count)
        for number in range(count):
            if left_out is not None and len(left_out) == count and left_out[number]:
                remarks.decide(left_out[number])
                continue
            yield _frame(system.data, number, f"{source}, {system.formula}, frame {number}", remarks)


def _load(dpdata: Any, path: str, kind: str) -> list[Any]:
    """Load labelled systems, or unlabelled ones if the format has no labels."""
    try:
        found = dpdata.LabeledSystem(path, fmt=kind)
        if found.get_nframes():
            return [found]
    except NotImplementedError:
        pass
    try:
        return list(dpdata.MultiSystems.from_file(path, fmt=kind).systems.values())
    except NotImplementedError:
        return [dpdata.System(path, fmt=kind)]


def _frame(data: dict[str, Any], i: int, name: str, remarks: Remarks) -> Frame:
    from ase.data import atomic_numbers

    elements = [atomic_numbers.get(symbol, 0) for symbol in data["atom_names"]]
    labels = {ours: np.asarray(data[theirs][i], dtype=float) for theirs, ours in _LABELS.items() if theirs in data}
    for theirs, ours in _LABELS.items():
        if ours in labels:
            remarks.read_from(ours, f"dpdata's {theirs}")
    periodic = not data.get("nopbc", False)
    if "virial" in labels and not periodic:
        del labels["virial"]
        remarks.decide("the virial is not used: the structure is not periodic")
    return Frame(
        name,
        np.array(elements)[data["atom_types"]],
        np.asarray(data["coords"][i], dtype=float) + 0.0,
        np.asarray(data["cells"][i], dtype=float) if periodic else np.zeros((3, 3)),
        np.full(3, periodic),
        float(labels["energy"]) if "energy" in labels else None,
        labels.get("forces"),
        labels.get("virial"),
    )
