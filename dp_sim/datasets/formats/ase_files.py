"""Reader of labelled structures in all formats that ASE reads."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dp_sim.config.label_keys import LabelKeys
from dp_sim.datasets.formats import vasp
from dp_sim.datasets.frames import Frame
from dp_sim.datasets.label_reading.of_atoms import frame_from_atoms, unconverged
from dp_sim.datasets.remarks import Remarks
from dp_sim.errors import InputError
from dp_sim.structures.reading.read import own_reader, read_file
from dp_sim.structures.stated import notes_of


def split_source(source: str) -> tuple[str, str]:
    """Split `file@:40` into file and index (`:` without one), unless a file with that whole name exists."""
    path = source.rpartition("@")[0] if "@" in source and not Path(source).exists() else source
    return path, source[len(path) + 1 :] or ":"


def read_ase(source: str, keys: LabelKeys, remarks: Remarks) -> Iterator[Frame]:
    """Read the frames of a file with ASE, one at a time; steps that did not converge are left out.

    Parameters
    ----------
    source
        File, or `file@index`.
    keys
        Names of labels that the user gave.
    remarks
        Where decisions are counted.

    Raises
    ------
    InputError
        No such file or index, a file that ASE cannot read, or a frame that `frame_from_atoms` refuses.
    """
    path, index = split_source(source)
    if not Path(path).is_file():
        raise InputError(
            "file-missing", f"there is no data file {path}; give a file that ASE reads or a DeePMD-kit folder"
        )
    left_out = vasp.left_out_steps(Path(path), index)
    for number, atoms in enumerate(_images(path, index, source, remarks)):
        if left_out is not None and number < len(left_out) and left_out[number]:
            remarks.decide(left_out[number])
            continue
        if said := unconverged(atoms):
            remarks.decide(f"left out: {said} says that the electronic steps did not converge")
            continue
        yield frame_from_atoms(atoms, f"{source}, frame {number}", keys, remarks)


def _images(path: str, index: str, source: str, remarks: Remarks) -> Iterator[Any]:
    """Read structures with ASE; its warnings become remarks."""
    count = 0
    try:
        images = iter(_opened(path, index))
        while True:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                warnings.simplefilter("ignore", DeprecationWarning)  # of code, not of the file
                atoms = next(images, None)
            for warning in said:
                remarks.decide(f"ASE warns: {warning.message}")
            if atoms is None:
                break
            count += 1
            for note in notes_of(atoms):
                remarks.decide(note)
            yield atoms
    except InputError:
        raise
    except Exception as error:  # ASE's readers raise whatever their parsing meets
        if not isinstance(error.__cause__, StopIteration):  # what they raise where the frames end before the index
            raise _unreadable(path, error) from error
    if not count and ":" not in index:
        raise InputError(
            "index-out-of-range",
            f"{path} has fewer frames than {source} asks for; count from 0, or from the end with -1",
        )


def _opened(path: str, index: str) -> Any:
    """Open a file with ase.io.iread, which yields one structure at a time.

    A compressed extended XYZ is decompressed here: ASE seeks in the file, and each step back would start from the
    beginning of the archive. Formats with a reader of our own (PDB, GRO) go through it.
    """
    import io

    import ase.io
    from ase.io.formats import open_with_compression

    if path.endswith((".xyz.gz", ".extxyz.gz", ".xyz.bz2", ".extxyz.bz2", ".xyz.xz", ".extxyz.xz")):
        with open_with_compression(path, "rt") as file:
            return ase.io.iread(io.StringIO(file.read()), index=index, format="extxyz")
    if own_reader(Path(path)):
        return read_file(Path(path), index)
    return ase.io.iread(path, index=index, format=vasp.ase_format(Path(path)), do_not_split_by_at_sign=True)


def _unreadable(path: str, error: Exception) -> InputError:
    way_out = vasp.way_out(Path(path)) or (
        "check the file, or read it through dpdata: dpdata:FORMAT:FILE (pip install 'dp-sim[dpdata]')"
    )
    return InputError(
        "file-unreadable",
        f"{path} cannot be read as structures ({type(error).__name__}: {error}); {way_out}",
    )
