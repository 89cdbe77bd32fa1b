"""The tensors of a frozen model, and the check that none of them passes unread."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from dp_sim.errors import ModelFileError


class Tensors:
    """Tensors by name, every one of which must be read: `rest` refuses what nobody asked for, by name.

    Raises
    ------
    ModelFileError
        A tensor that is missing, has another shape, holds NaN, or is not known.
    """

    def __init__(self, state: Mapping[str, torch.Tensor], file: str) -> None:
        self.state, self.file = state, file
        self.seen: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.state

    def get(self, name: str) -> torch.Tensor:
        if name not in self.state:
            raise ModelFileError(
                "deepmd-incomplete",
                f"{self.file}: it holds no tensor '{name}'; the file is not complete, or of an unknown version",
            )
        self.seen.add(name)
        return self.state[name]

    def array(self, name: str, size: int | None = None, ndim: int | None = None) -> np.ndarray:
        """Finite values, float64; of so many values or dimensions where they are given."""
        tensor = self.get(name).detach()
        if tensor.is_complex():
            raise ModelFileError(
                "deepmd-value-invalid", f"{self.file}: the tensor '{name}' holds complex numbers; expected real ones"
            )
        value = tensor.to(torch.float64).numpy()
        if value.ndim != (value.ndim if ndim is None else ndim) or value.size != (value.size if size is None else size):
            wanted = [f"{size} values"] * (size is not None) + [f"{ndim} dimensions"] * (ndim is not None)
            raise ModelFileError(
                "array-shape",
                f"{self.file}: the tensor '{name}' should have {' in '.join(wanted)}; its shape is {value.shape}",
            )
        if not np.isfinite(value).all():
            raise ModelFileError(
                "array-not-finite", f"{self.file}: the tensor '{name}' holds NaN or infinity; the model diverged?"
            )
        return value

    def precision(self, name: str) -> str:
        """float32, float64, ..."""
        return str(self.get(name).dtype).removeprefix("torch.")

    def below(self, prefix: str) -> list[str]:
        return [name for name in self.state if name.startswith(prefix)]

    def twins(self, prefix: str, of: str) -> None:
        """Tensors that the file holds a second time, under `prefix` in place of `of`; they must be the same."""
        for name in self.below(prefix):
            first = of + name.removeprefix(prefix)
            if first not in self.state or not torch.equal(self.get(name), self.get(first)):
                raise ModelFileError(
                    "deepmd-contradiction",
                    f"{self.file}: the tensors '{name}' and '{first}' should be one and the same; the file is damaged",
                )

    def ignore(self, *names: str) -> None:
        """Tensors that do not bear on the numbers that the model gives."""
        self.seen.update(names)

    def rest(self) -> None:
        """Refuse what has not been read, unless it is empty."""
        unknown = [name for name, tensor in self.state.items() if name not in self.seen and tensor.numel()]
        if unknown:
            raise ModelFileError(
                "deepmd-tensor-unknown",
                f"{self.file}: dp-sim does not know its tensor '{unknown[0]}', so it cannot say what the model gives; "
                f"freeze it with deepmd-kit 3.2, or ask for this tensor",
            )
