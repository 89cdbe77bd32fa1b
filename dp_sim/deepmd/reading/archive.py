"""Read the data of a TorchScript archive (`.pth`) without running its code.

An archive is a zip file. `data.pkl` holds the modules, each a mapping of its attributes; `data/N` holds the numbers of
the tensors, and `code/` the program. The program is never parsed, so an archive opens whichever operators it calls. Of
the pickle's instructions, only those that build tensors, lists and mappings are followed.
"""

from __future__ import annotations

import collections
import pickle
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from dp_sim.errors import ModelFileError, first_line

#: What a file that is cut off, overwritten or of another kind may raise.
DAMAGED = (
    OSError, EOFError, zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, NotImplementedError, LookupError,
    TypeError, ValueError, AttributeError, RuntimeError, MemoryError, OverflowError, AssertionError,
)  # fmt: skip
_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class Module:
    """A module of the archive.

    Attributes
    ----------
    attributes
        Its attributes by name.
    """

    attributes: dict[str, Any]

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, dict) else {}


def read_archive(path: Path) -> Module:
    """Read the outermost module of an archive.

    Raises
    ------
    ModelFileError
        The file is not a complete TorchScript archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            root = next(name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl"))
            if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
                raise ValueError("its bytes are in another order")
            with archive.open(f"{root}data.pkl") as file:
                module = _Unpickler(file, lambda key: archive.read(f"{root}data/{key}")).load()
            extra = {name: archive.getinfo(name).file_size for name in names if name.startswith(f"{root}extra/")}
    except StopIteration:
        raise ModelFileError(
            "model-not-deepmd", f"{path} is an archive, but holds no data.pkl; this is no frozen PyTorch model"
        ) from None
    except DAMAGED as error:
        raise ModelFileError(
            "file-damaged",
            f"{path} is no complete TorchScript file (truncated, or of another kind): {first_line(error)}",
        ) from None
    if not isinstance(module, Module):
        raise ModelFileError(
            "model-not-deepmd", f"{path} is an archive, but holds no module; this is no frozen PyTorch model"
        )
    for name, size in extra.items():
        if size:
            what = name.removeprefix(f"{root}extra/")
            raise ModelFileError(
                "deepmd-value-unsupported", f"{path}: dp-sim does not know what '{what}' in it does (a data modifier?)"
            )
    return module


def tensors_of(module: Module) -> dict[str, torch.Tensor]:
    """Collect all tensors below a module, named as in its state_dict."""
    found: dict[str, torch.Tensor] = {}

    def visit(node: Any, name: str) -> None:
        if isinstance(node, torch.Tensor):
            found[name] = node
        elif isinstance(node, (Module, Mapping)):
            for key, value in (node.attributes if isinstance(node, Module) else node).items():
                visit(value, f"{name}.{key}" if name else str(key))
        elif isinstance(node, (list, tuple)):
            for index, value in enumerate(node):
                visit(value, f"{name}.{index}")

    visit(module, "")
    return found


def _tensor(
    storage: torch.Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *rest: Any
) -> torch.Tensor:
    return storage.as_strided(size, stride, offset)


def _as_it_is(value: Any, *rest: Any) -> Any:
    return value


class _Unpickler(pickle.Unpickler):
    """Unpickler that allows only the names below; modules of the archive become `Module`, whatever their class."""

    known: Mapping[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _as_it_is,
        "torch.jit._pickle.restore_type_tag": _as_it_is,
        **{f"torch.jit._pickle.build_{kind}list": _as_it_is for kind in ("int", "double", "bool", "tensor")},
        "collections.OrderedDict": collections.OrderedDict,
    }

    def __init__(self, file: Any, numbers: Callable[[str], bytes]) -> None:
        super().__init__(file)
        self.numbers = numbers
        self.storages: dict[str, torch.Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a class of the pickle; refuse any that is not known."""
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if module == "__torch__" or module.startswith("__torch__."):
            return Module
        if f"{module}.{name}" not in self.known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no model needs")
        return self.known[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """Load the numbers of a tensor from `data/N`."""
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError("it refers to something else than numbers")
        if key not in self.storages:
            data = bytearray(self.numbers(key))
            if len(data) < count * dtype.itemsize:
                raise pickle.UnpicklingError(f"of the {count} numbers of 'data/{key}' some are missing")
            self.storages[key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return self.storages[key]
