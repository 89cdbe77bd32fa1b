"""Structures from a file: our own readers for formats where ASE's lose information, ASE's for every other format."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.data import atomic_numbers
from ase.io import read
from ase.io.formats import UnknownFileTypeError, filetype, ioformats, string2index

from dp_sim.errors import InputError, first_line, nearest_name
from dp_sim.structures.constraints import restore_constraints
from dp_sim.structures.reading.details import complete
from dp_sim.structures.reading.deuterium import isotopes_known, name_isotopes
from dp_sim.structures.reading.element_names import is_site, site_error
from dp_sim.structures.reading.equivalent_sites import equivalent_sites
from dp_sim.structures.reading.gromacs import read_gro
from dp_sim.structures.reading.pdb import read_pdb

#: Our own readers, by the suffix of the file.
OWN_READERS: dict[str, Callable[[Path], list[Atoms]]] = {".pdb": read_pdb, ".ent": read_pdb, ".gro": read_gro}
#: The last structure, and the one before it where there is one: tells whether a file holds several.
LAST_TWO = "-2:"
#: Keys of a comment line that name the unit of the positions, and names of Angstrom.
_LENGTH_UNITS = ("units", "unit", "length_unit", "length_units", "positions_unit", "pos_unit")
_ANGSTROM = ("angstrom", "angstroms", "ang", "a", "å", "metal", "real", "ev,angstrom", "ase")


def read_file(file: Path, index: str) -> list[Atoms]:
    """Read structures from a file, with constraints that dp-sim wrote.

    Deuterium becomes hydrogen with its mass. Decisions of the reader are noted on the structure
    (`dp_sim.structures.stated.notes_of`).

    Parameters
    ----------
    file
        The file.
    index
        Which structures, as ASE writes it: "-1", ":", "0:10:2".

    Raises
    ------
    InputError
        `file-unreadable`: with the reader's own message; `index-out-of-range`; `format-unknown`; `symbol-unknown`; or
        something in the file is not supported (see the readers).
    """
    own = own_reader(file)
    structures = _chosen(own(file), index, file) if own else _read_with_ase(file, index)
    for atoms in structures:
        restore_constraints(atoms)
    return structures


def own_reader(file: Path) -> Callable[[Path], list[Atoms]] | None:
    """Find our reader of a file by its suffix; None where ASE reads it.

    Raises
    ------
    InputError
        A compressed file of such a format: ASE would take names of atoms for elements.
    """
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if len(suffixes) > 1 and suffixes[-1] in (".gz", ".bz2", ".xz") and suffixes[-2] in OWN_READERS:
        raise InputError(
            "structure-compressed", f"{file} is compressed, and {suffixes[-2]} is read plain; unpack it first"
        )
    return OWN_READERS.get(suffixes[-1]) if suffixes else None


def _chosen(frames: list[Atoms], index: str, file: Path) -> list[Atoms]:
    if not frames:
        raise InputError("atoms-missing", f"{file} has no atoms; is it another kind of file than its name says?")
    wanted = string2index(index)
    if isinstance(wanted, slice):
        return frames[wanted]
    if not -len(frames) <= wanted < len(frames):
        raise _no_such_index(file, index)
    return [frames[wanted]]


def _no_such_index(file: Path, index: str) -> InputError:
    return InputError(
        "index-out-of-range", f"{file} has no structure number {index}; count from 0, or from the end with -1"
    )


def _read_with_ase(file: Path, index: str) -> list[Atoms]:
    try:
        kind = _kind(file)
        if index == LAST_TWO and kind in ioformats and ioformats[kind].single:  # ASE takes no slice of these
            index = "-1"
        with isotopes_known(), equivalent_sites(file, kind):
            found: Any = read(file, index=index, format=kind, do_not_split_by_at_sign=True)
    except InputError:
        raise
    except UnknownFileTypeError as error:
        raise InputError(
            "format-unknown", f"{file} is in no format that ASE knows by its name or content ({error}); rename it, or "
            f"convert it to extended XYZ"
        ) from error  # fmt: skip
    except (IndexError, StopIteration) as error:
        if index not in ("-1", ":", LAST_TWO):
            raise _no_such_index(file, index) from None
        raise InputError(
            "file-unreadable", f"{file} ends before its first structure is complete, or is of another kind than its "
            f"name says"
        ) from error  # fmt: skip
    except Exception as error:  # ASE's readers raise whatever their parsing runs into
        raise _in_words(error, file) from error
    structures = found if isinstance(found, list) else [found]
    complete(structures, file, kind)
    for atoms in structures:
        name_isotopes(atoms)
        _check_units(atoms, file)
    return structures


def _check_units(atoms: Atoms, file: Path) -> None:
    """Refuse a structure that states another unit of length than Angstrom, in which positions are read."""
    for key in _LENGTH_UNITS:
        unit = str(atoms.info.get(key, "")).strip()
        if unit and unit.lower() not in _ANGSTROM:
            raise InputError(
                "units-unsupported",
                f"{file} states {key}={unit}, and positions are read in Angstrom; convert them and take {key} out",
            )


def _kind(file: Path) -> str:
    """Find ASE's name of the format; data files of LAMMPS by content, because ASE takes them for those of RuNNer."""
    with file.open("rb") as start:
        if re.search(rb"^\s*\S+\s+\S+\s+xlo\s+xhi", start.read(4096), re.MULTILINE):
            return "lammps-data"
    return str(filetype(str(file)))


def _in_words(error: Exception, file: Path) -> InputError:
    """Make an error from an exception of ASE's reader, as a sentence that says what to do."""
    name = str(error.args[0]) if isinstance(error, KeyError) and error.args else ""
    word = re.fullmatch(r"[A-Za-z]{1,4}\d*|\d+", name)
    if word is None and file.read_bytes()[:3] == codecs.BOM_UTF8:
        return InputError(
            "byte-order-mark",
            f"{file} begins with a byte-order mark (three bytes that editors of Windows put there and hide), which is "
            f"no part of its format; save it as UTF-8 without one",
        )
    if word is None and isinstance(error, TypeError) and file.suffix.lower() in (".cif", ".mcif"):
        return InputError(
            "coordinate-missing",
            f"{file} has an atom without a position ('?' or '.' stands in place of a number); complete it, or take the "
            f"atom out",
        )
    if word is None:
        said = f"{type(error).__name__}: {first_line(error)}"
        return InputError("file-unreadable", f"the structure file {file} cannot be read ({said})")
    if is_site(name, "HOH"):
        return site_error(f"an atom of {file}", name)
    if name.isdigit():
        what = f"'{name}' stands where {file} should have a chemical symbol"
        return InputError(
            "symbol-unknown", f"{what}; write symbols instead of numbers (H for 1, O for 8, if they are atomic numbers)"
        )
    return InputError(
        "symbol-unknown",
        f"'{name}' in {file} is no chemical symbol{nearest_name(name, atomic_numbers)}; write elements only (H1 is H)",
    )
