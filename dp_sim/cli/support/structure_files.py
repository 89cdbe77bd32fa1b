"""Structure files, as the command line names them: FILE, or FILE@INDEX for one (or some) of several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dp_sim.cli.support.either_order import looks_like_a_model
from dp_sim.errors import InputError
from dp_sim.structures.reading.named import split_name

if TYPE_CHECKING:
    from ase import Atoms


@contextmanager
def naming(names: str) -> Iterator[None]:
    """Name the file in errors about "the structure": a recipe sees atoms and no file."""
    try:
        yield
    except InputError as error:
        if not str(error).startswith(("structure", "the structure:")):
            raise
        raise InputError(error.code, f"{names}: {error}") from error


def read_structure(name: str) -> Atoms:
    """Read the one structure that `name` names: the last in the file unless an index says another.

    Raises
    ------
    InputError
        No such file or index, nothing in it, not readable, or a structure that `check_structure` refuses.
    """
    from dp_sim.structures.reading.read import LAST_TWO

    file, index = split_name(name, default="")
    found = _found(file, index or LAST_TWO, name)
    if not index and len(found) == 2:
        from dp_sim.structures.stated import add_note

        found = found[1:]
        add_note(found[0], f"{file} holds several structures: the last is taken ({file}@0 is the first)")
    if len(found) != 1:
        raise InputError(
            "structures-too-many",
            f"{name} names {len(found)} structures and one is wanted; give FILE@INDEX with one number",
        )
    _check(found, file)
    return found[0]


def read_one_or_several(name: str) -> Atoms | list[Atoms]:
    """Read the structure that `name` names, or with a slice as index (FILE@:) a list, unchecked: the recipe reports."""
    file, index = split_name(name, default="")
    return _found(file, index, name) if ":" in index else read_structure(name)


def read_structures(name: str) -> list[Atoms]:
    """Read every structure that `name` names: all in the file unless an index or slice says which."""
    file, index = split_name(name, default=":")
    found = _found(file, index, name)
    _check(found, file)
    return found


def _check(structures: list[Atoms], file: Path) -> None:
    from dp_sim.recipes.inputs.structures import check_structure

    for number, atoms in enumerate(structures):
        check_structure(atoms, str(file) if len(structures) == 1 else f"{file}, structure {number}")


def _found(file: Path, index: str, name: str) -> list[Atoms]:
    from dp_sim.structures.reading.read import read_file

    if not file.is_file():
        raise InputError(
            "file-missing", f"there is no structure file {file}; give the path of a file that ASE can read"
        )
    if looks_like_a_model(file):
        raise InputError(
            "structure-is-model", f"{file} is a model, and stands where a structure is wanted; give it as -m {file}"
        )
    if file.stat().st_size == 0:
        raise InputError("file-empty", f"the structure file {file} is empty; give one with a structure")
    structures = read_file(file, index)
    if not structures:
        raise InputError("structures-missing", f"{name} names no structures; correct the index or the file")
    return structures
