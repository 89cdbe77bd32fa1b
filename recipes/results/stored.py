"""result.npz: every field of a result, as plain data, so that it can be given back as it was.

Numbers, strings and lists are JSON; arrays stand beside it under numbers. Nothing in the file names a class but the
result's own: what a field holds is read from the type that its dataclass declares, and nothing is executed.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.jsonio import decode as decode_ase
from ase.io.jsonio import encode as encode_ase
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.files import atomic_path

STORED = "result.npz"
#: Raised when a file written before could not be read any more.
VERSION = 1
#: Marks of what JSON has no form for.
_ARRAY, _ATOMS = "dp_sim_array", "dp_sim_atoms"
Arrays = dict[str, NDArray[Any]]


def write_stored(file: Path, class_name: str, module: str, fields: Mapping[str, Any]) -> None:
    """Write the fields of a result, whole or not at all.

    Parameters
    ----------
    file
        The result.npz of a run.
    class_name, module
        Of the result.
    fields
        Name -> value: numbers, strings, arrays, structures, dataclasses, NamedTuples, and lists and dicts of them.
    """
    arrays: Arrays = {}
    tree = {"version": VERSION, "class": class_name, "module": module, "fields": _encoded(dict(fields), arrays)}
    text = np.frombuffer(json.dumps(tree).encode(), dtype=np.uint8)
    with atomic_path(file) as temporary, temporary.open("wb") as content:
        np.savez_compressed(content, tree=text, **arrays)  # type: ignore[arg-type]


def read_stored(file: Path) -> tuple[dict[str, Any], Arrays]:
    """Read what `write_stored` wrote: the tree, and its arrays.

    Raises
    ------
    InputError
        The file is missing, damaged or of another version.
    """
    advice = "run the recipe again with --overwrite, or go on with --resume, which writes it anew"
    try:
        with file.open("rb") as content, np.load(content, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        tree = json.loads(arrays.pop("tree").tobytes())
    except FileNotFoundError:
        raise InputError(
            "file-missing", f"there is no {file}: the run has not ended, or an earlier dp-sim made it; {advice}"
        ) from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError("file-damaged", f"{file} cannot be read ({error}); {advice}") from error
    if not isinstance(tree, dict) or tree.get("version") != VERSION:
        raise InputError("result-invalid", f"{file} is not of version {VERSION}, which this dp-sim reads; {advice}")
    return tree, arrays


def _encoded(value: Any, arrays: Arrays) -> Any:
    """Turn a value into JSON, its arrays into numbered ones."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        name = f"array{len(arrays)}"
        arrays[name] = value
        return {_ARRAY: name}
    if isinstance(value, Atoms):
        return {_ATOMS: encode_ase(_writable(value)), "results": _encoded(_results_of(value), arrays)}
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _encoded(fields, arrays)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _encoded(value._asdict(), arrays)
    if isinstance(value, Mapping):
        return {str(name): _encoded(one, arrays) for name, one in value.items()}
    if isinstance(value, Sequence):
        return [_encoded(one, arrays) for one in value]
    raise TypeError(f"a result cannot be stored with a {type(value).__name__} in it")


def _writable(atoms: Atoms) -> Atoms:
    """Leave out what JSON cannot hold: objects of other programs in `info`, constraints of the user's own kind.

    The run has told of the constraints already (dp_sim.structures.constraints).
    """
    copy = atoms.copy()
    copy.info = {name: value for name, value in atoms.info.items() if _is_writable(value)}
    copy.set_constraint([one for one in atoms.constraints if _is_writable(one)])
    return copy


def _is_writable(value: Any) -> bool:
    try:
        encode_ase(value)
    except TypeError:
        return False
    return True


def _results_of(atoms: Atoms) -> dict[str, Any]:
    """Return what a structure's calculator has computed for it as it is now."""
    calc = atoms.calc
    results = {name: value for name, value in getattr(calc, "results", {}).items() if name in all_properties}
    if calc is None or "energy" not in results or calc.calculation_required(atoms, ["energy"]):
        return {}
    return results


def decoded_fields(kind: type, fields: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Turn the JSON of a dataclass or NamedTuple into the values of its fields, by the types that it declares.

    Fields that it does not have any more are left out; such as the file lacks get their defaults.
    """
    hints = typing.get_type_hints(kind)
    return {name: _decoded(hints[name], value, arrays) for name, value in fields.items() if name in hints}


def _decoded(hint: Any, value: Any, arrays: Arrays) -> Any:
    if isinstance(value, dict) and _ARRAY in value:
        return arrays[value[_ARRAY]]
    if isinstance(value, dict) and _ATOMS in value:
        return _atoms(value, arrays)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if value is None or hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _decoded(next(one for one in inner if one is not types.NoneType), value, arrays)
    if isinstance(value, list):
        return _decoded_list(hint, origin, inner, value, arrays)
    if hint is Path:
        return Path(value)
    if isinstance(value, dict):
        if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or hasattr(hint, "_fields")):
            return hint(**decoded_fields(hint, value, arrays))
        return {name: _decoded(inner[1] if inner else Any, one, arrays) for name, one in value.items()}
    return value


def _decoded_list(hint: Any, origin: Any, inner: tuple[Any, ...], value: list[Any], arrays: Arrays) -> Any:
    fixed = origin is tuple and inner and inner[-1] is not Ellipsis
    kinds = list(inner) if fixed else [inner[0] if inner else Any] * len(value)
    items = [_decoded(kind, one, arrays) for kind, one in zip(kinds, value, strict=True)]
    return tuple(items) if tuple in (origin, hint) else items


def _atoms(value: Mapping[str, Any], arrays: Arrays) -> Atoms:
    atoms: Atoms = decode_ase(value[_ATOMS])
    results = _decoded(Any, value["results"], arrays)
    if results:
        known = {name: _decoded(Any, one, arrays) for name, one in results.items()}
        atoms.calc = SinglePointCalculator(atoms, **known)
    return atoms
