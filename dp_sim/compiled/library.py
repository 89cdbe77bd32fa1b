"""The compiled library of operators (dp_sim/compiled/kernels), loaded once."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from typing import NamedTuple

#: Raised with every change of the layout of a model, that of files for LAMMPS too (MODEL_VERSION in kernels/arrays.h).
LAYOUT_VERSION = 10
#: Raised with every change of the operators or of that layout (kernels/torch/operators.cpp).
OPERATORS_VERSION = 11


class Field(NamedTuple):
    """A field of a model as the library names it.

    Attributes
    ----------
    name
        Its name.
    stream
        The packed array that holds it.
    """

    name: str
    stream: str


@functools.cache
def open_library() -> ctypes.CDLL | str:
    """Load the compiled library, which needs nothing of torch for that.

    Returns
    -------
    CDLL or str
        The library, or why it cannot be used.
    """
    spec = importlib.util.find_spec("dp_sim.compiled._kernels")
    if spec is None or spec.origin is None:
        return "dp-sim was installed without a C++ compiler"
    try:
        library = ctypes.CDLL(spec.origin)
        version = ctypes.c_int.in_dll(library, "dp_sim_operators_version").value
    except (OSError, ValueError) as error:
        return str(error)
    if version != OPERATORS_VERSION:
        return f"{spec.origin} was compiled for another version of dp-sim; install dp-sim again"
    return library


@functools.cache
def register_operators() -> str:
    """Have torch know the operators of the compiled library, torch.ops.dp_sim.

    Returns
    -------
    str
        Why it cannot be used; empty if it can.
    """
    import torch  # noqa: F401 - the library looks for torch among what the process has loaded

    library = open_library()
    if isinstance(library, str):
        return library
    library.dp_sim_register_operators.restype = ctypes.c_char_p
    message = library.dp_sim_register_operators()
    return message.decode() if message else ""


@functools.cache
def part_fields() -> tuple[Field, ...]:
    """List the fields of a part of a descriptor, in the library's order (kernels/part_fields.inc)."""
    return _fields("dp_sim_part_fields")


@functools.cache
def fitting_fields() -> tuple[Field, ...]:
    """List the fields of the fitting nets, in the library's order (kernels/fitting_fields.inc)."""
    return _fields("dp_sim_fitting_fields")


def _fields(function: str) -> tuple[Field, ...]:
    library = open_library()
    assert not isinstance(library, str), library
    listed = getattr(library, function)
    listed.restype = ctypes.c_char_p
    return tuple(Field(*entry.split(":")) for entry in listed().decode().removesuffix(";").split(";"))
