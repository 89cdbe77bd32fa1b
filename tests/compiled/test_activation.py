"""tanh of the compiled path in float32, a rational function of its own, against numpy's in float64."""

import ctypes
from importlib.util import find_spec

import numpy as np
import pytest

from dp_sim.compiled import library

pytestmark = pytest.mark.skipif(library.register_operators() != "", reason=library.register_operators())
TANH = 0  # kernels/networks/activation.h


class Rows(ctypes.Structure):
    """Rows<float> of kernels/networks/activation.h."""

    _fields_ = (
        ("z", ctypes.c_void_p), ("slope", ctypes.c_void_p), ("rows", ctypes.c_int64), ("columns", ctypes.c_int64),
        ("stride", ctypes.c_int64), ("bias", ctypes.c_void_p), ("step", ctypes.c_void_p), ("times", ctypes.c_bool),
    )  # fmt: skip


def activate(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """tanh(x) and its derivative, x (n,) float32 with n a multiple of the lanes of a vector."""
    spec = find_spec("dp_sim.compiled._kernels")
    assert spec is not None
    function = ctypes.CDLL(spec.origin)["_ZN6dp_sim8activateENS_10ActivationEfRKNS_4RowsIfEE"]  # as C++ names it
    function.argtypes, function.restype = [ctypes.c_int64, ctypes.c_float, ctypes.POINTER(Rows)], None
    value, slope, bias = x.copy(), np.empty_like(x), np.full_like(x, -0.0)
    assert x.dtype == np.float32
    assert len(x) % 16 == 0
    function(TANH, 0.0, Rows(value.ctypes.data, slope.ctypes.data, 1, len(x), len(x), bias.ctypes.data, None, False))
    return value, slope


def floats(first: float, last: float, step: int) -> np.ndarray:
    """Each `step`-th float between two positive ones."""
    begin, end = np.array([first, last], np.float32).view(np.int32)
    return np.arange(begin, end, step, dtype=np.int32)[: (end - begin) // step // 16 * 16].view(np.float32)


def test_floats_of_all_sizes() -> None:
    """A few units in the last place, mostly less than one; odd; never above 1."""
    for x in (floats(1e-3, 10.0, 101), floats(1e-45, 3e38, 1009)):
        value, slope = activate(x)
        exact = np.tanh(x.astype(np.float64))
        error = (value - exact) / np.spacing(exact.astype(np.float32))
        assert np.abs(error).max() < 5.0
        assert np.abs((value - exact)[x > 0.55]).max() < 2.6 * 2.0**-24
        assert np.sqrt(np.mean(error[(x > 1e-3) & (x < 9.0)] ** 2)) < 0.9
        assert value.max() == 1.0
        assert np.abs(slope - (1.0 - exact**2)).max() < 5.0 * 2.0**-24
        assert slope.min() == 0.0
        assert (activate(-x)[0] == -value).all()


def test_numbers_that_are_special() -> None:
    x = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 1e38, -1e38, *range(6)], np.float32)
    value, slope = activate(x)
    assert np.isnan(value[:2]).all()
    assert np.isnan(slope[:2]).all()
    assert (value[2:10] == [1.0, -1.0, 0.0, 0.0, *x[6:8], 1.0, -1.0]).all()
    assert (np.signbit(value[4:6]) == [False, True]).all()
    assert (slope[2:10] == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]).all()
