"""A search on its way, saved so that an interrupted run goes on with its Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dp_sim.files import atomic_path
from dp_sim.recipes.paths.saddle.surface import Array


@dataclass
class State:
    """Where a search is.

    Attributes
    ----------
    x
        (3n,) Angstrom.
    mode
        (3n,) that is climbed; None: the lowest.
    hessian
        (3n, 3n) eV/Angstrom^2; None where there is none.
    steps
        Taken so far.
    """

    x: Array
    mode: Array | None = None
    hessian: Array | None = None
    steps: int = 0


def write_state(file: Path, state: State) -> None:
    """Write it, whole or not at all."""
    arrays = {"x": state.x, "mode": state.mode, "hessian": state.hessian}
    known = {name: array for name, array in arrays.items() if array is not None}
    with atomic_path(file) as temporary, temporary.open("wb") as content:
        np.savez(content, steps=np.array(state.steps), **known)  # type: ignore[arg-type]


def read_state(file: Path) -> State:
    """Read what `write_state` wrote."""
    with np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return State(arrays["x"], arrays.get("mode"), arrays.get("hessian"), int(arrays["steps"]))
