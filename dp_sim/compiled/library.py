"""The compiled library of operators (dp_sim/compiled/kernels), loaded once."""

from __future__ import annotations

import ctypes
import functools
import importlib.util

#: Of the operators' arguments; the compiled library has the same number (kernels/operators.cpp).
OPERATORS_VERSION = 8


@functools.cache
def register_operators() -> str:
    """Load the compiled library, which makes torch.ops.dp_sim known. An empty string, or why it cannot be used."""
    spec = importlib.util.find_spec("dp_sim.compiled._kernels")
    if spec is None or spec.origin is None:
        return "dp-sim was installed without a C++ compiler"
    try:
        library = ctypes.CDLL(spec.origin)
        version = ctypes.c_int.in_dll(library, "dp_sim_operators_version").value
        register = library.dp_sim_register_operators
    except (OSError, AttributeError, ValueError) as error:
        return str(error)
    if version != OPERATORS_VERSION:
        return f"{spec.origin} was compiled for another version of dp-sim; install dp-sim again"
    register.restype = ctypes.c_char_p
    message = register()
    return message.decode() if message else ""
