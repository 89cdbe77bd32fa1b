"""Tensors of a PyTorch model, and the check that none is left unread."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from dp_sim.errors import ModelFileError


class Tensors:
    """Tensors by name, of which every one must be read: `rest` refuses a tensor that was not, by name.

    Parameters
    ----------
    state
        The tensors.
    file
        Name of the file, for errors.

    Raises
    ------
    ModelFileError
        A tensor is missing, has another shape, holds NaN, or is unknown.
    """

    def __init__(self, state: Mapping[str, torch.Tensor], file: str) -> None:
        self.state, self.file = state, file
        self.seen: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.state

    def get(self, name: str) -> torch.Tensor:
        """Return a tensor, which must be there."""
        if name not in self.state:
            raise ModelFileError(
                "deepmd-incomplete",
                f"{self.file}: it holds no tensor '{name}'; the file is not complete, or of an unknown version",
            )
        self.seen.add(name)
        return self.state[name]

    def array(self, name: str, size: int | None = None, ndim: int | None = None) -> np.ndarray:
        """Return finite values, float64; with `size` values and `ndim` dimensions where these are given."""
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
        """Return the precision of a tensor: float32, float64, ..."""
        return str(self.get(name).dtype).removeprefix("torch.")

    def below(self, prefix: str) -> list[str]:
        """List the names that begin with a prefix."""
        return [name for name in self.state if name.startswith(prefix)]

    def twins(self, prefix: str, of: str) -> None:
        """Check tensors that the file holds twice: each under `prefix` must equal that of the same name under `of`."""
        for name in self.below(prefix):
            first = of + name.removeprefix(prefix)
            if first not in self.state or not torch.equal(self.get(name), self.get(first)):
                raise ModelFileError(
                    "deepmd-contradiction",
                    f"{self.file}: the tensors '{name}' and '{first}' should be one and the same; the file is damaged",
                )

    def ignore(self, *names: str) -> None:
        """Mark tensors as read that do not affect the energy."""
        self.seen.update(names)

    def rest(self) -> None:
        """Refuse tensors that were not read, unless they are empty."""
        unknown = [name for name, tensor in self.state.items() if name not in self.seen and tensor.numel()]
        if unknown:
            raise ModelFileError(
                "deepmd-tensor-unknown",
                f"{self.file}: dp-sim does not know its tensor '{unknown[0]}', so it cannot say what the model gives; "
                f"freeze it with deepmd-kit 3.2, or ask for this tensor",
            )
