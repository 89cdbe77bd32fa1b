"""TorchScript in one place: networks are scripted, written and opened here.

torch deprecates TorchScript, and newer versions warn at every call of `torch.jit`. Users can do nothing about that, and
the plan for the day that it goes is docs/torchscript.md: the warning is kept from them here, this one alone. What else
torch says of TorchScript, as that it may break with Python 3.14, passes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def script(module: torch.nn.Module) -> torch.jit.ScriptModule:
    """Compile a module to TorchScript."""
    with _known_deprecation():
        return torch.jit.script(module)


def to_bytes(module: torch.jit.ScriptModule, extra: dict[str, bytes] | None = None) -> bytes:
    """Write a scripted module as the content of a file; `extra` are further members of the archive, by their names."""
    buffer = io.BytesIO()
    with _known_deprecation():
        torch.jit.save(module, buffer, _extra_files=extra)
    return buffer.getvalue()


def from_bytes(content: bytes, device: str | torch.device = "cpu") -> torch.jit.ScriptModule:
    """Open a scripted module."""
    with _known_deprecation():
        return torch.jit.load(io.BytesIO(content), map_location=device)


@contextmanager
def _known_deprecation() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated")
        yield
