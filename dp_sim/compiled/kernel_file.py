"""A packed model as a file of flat arrays that C++ reads without torch (kernels/model_file.h has the same layout)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from dp_sim.compiled.library import LAYOUT_VERSION
from dp_sim.compiled.packing import PackedModel

MAGIC = b"DPSIMKRN"
BYTE_ORDER_MARK = 0x01020304
#: Raised with every change of the header or the text; kernels/model_file.h has the same number.
FILE_VERSION = 1
#: Text and arrays each begin at a multiple of so many bytes.
ALIGNMENT = 64
#: Magic, byte order, version, bytes of the file; then the CRC-32 of all that follows it.
_START = struct.Struct("=8sIIQ")
#: Layout of the arrays, bytes of text, values of each array, bytes of a number, cutoff.
_REST = struct.Struct("=IQ4QII d40x")


class Description(NamedTuple):
    """What a file says of its model beside the arrays.

    Attributes
    ----------
    species
        Element symbols, in the order of the model's indices.
    masses
        Of the elements, amu.
    trained
        Whether there were training data of each species.
    cutoff
        The largest of all parts, Angstrom.
    origin
        Words that name the model file and its checksum.
    """

    species: Sequence[str]
    masses: Sequence[float]
    trained: Sequence[bool]
    cutoff: float
    origin: Mapping[str, str]


def kernel_file(packed: PackedModel, description: Description) -> bytes:
    """Write a model as the content of a file.

    Parameters
    ----------
    packed
        Its arrays.
    description
        What the file says of it.
    """
    arrays = [_content(values) for values in packed]
    text = _text(description).encode()
    body = b"".join(part + bytes(-len(part) % ALIGNMENT) for part in (text, *arrays))
    rest = _REST.pack(
        LAYOUT_VERSION,
        len(text),
        *(values.numel() for values in packed),
        packed.numbers.element_size(),
        0,
        description.cutoff,
    )
    size = _START.size + 4 + len(rest) + len(body)
    start = _START.pack(MAGIC, BYTE_ORDER_MARK, FILE_VERSION, size)
    return start + struct.pack("=I", zlib.crc32(rest + body)) + rest + body


def _content(values: Tensor) -> bytes:
    return np.ascontiguousarray(values.detach().cpu().numpy()).tobytes()


def _text(description: Description) -> str:
    lines = [
        ("species", description.species),
        ("masses", [f"{mass:.6f}" for mass in description.masses]),
        ("trained", [str(int(trained)) for trained in description.trained]),
        ("origin", [f"{key}={value}" for key, value in description.origin.items()]),
    ]
    return "".join(f"{' '.join([key, *values])}\n" for key, values in lines)
