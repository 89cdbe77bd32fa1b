"""What each stage of a run has found, saved so that an interrupted one goes on behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp_sim.files import atomic_path
from dp_sim.recipes.paths.irc.walk import PathPoint, Walk
from dp_sim.recipes.paths.saddle.surface import Point
from dp_sim.recipes.run.directory import RunDirectory

Arrays = dict[str, NDArray[Any]]


class Stages:
    """Files of a run, one a stage; without a directory nothing is kept."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run

    def save(self, name: str, **arrays: Any) -> None:
        """Write the arrays of a stage, whole or not at all."""
        if (file := self._run.path(f"{name}.npz")) is not None:
            with atomic_path(file) as temporary, temporary.open("wb") as content:
                np.savez(content, **arrays)

    def load(self, name: str) -> Arrays | None:
        """Read those of an earlier session; None where there are none."""
        file = self._run.path(f"{name}.npz") if self._run.resumed else None
        if file is None or not file.is_file():
            return None
        with np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}


def point_arrays(point: Point) -> Arrays:
    """Lay out a point as arrays."""
    return {"x": point.x, "energy": np.array(point.energy), "gradient": point.gradient, "forces": point.forces}


def point_from(arrays: Arrays) -> Point:
    """Make a point of `point_arrays`."""
    return Point(arrays["x"], float(arrays["energy"]), arrays["gradient"], arrays["forces"])


def walk_arrays(walk: Walk) -> Arrays:
    """Lay out the points of a walk, and what it goes on with, as arrays."""
    laid = [point_arrays(one.point) for one in walk.points]
    return {
        **{name: np.array([one[name] for one in laid]) for name in laid[0]},
        "arc": np.array([one.arc for one in walk.points]),
        "hessian": walk.hessian,
        "counts": np.array([walk.shorter, walk.age]),
    }


def restore_walk(walk: Walk, arrays: Arrays) -> None:
    """Put a walk back to where `walk_arrays` was taken."""
    names = ("x", "energy", "gradient", "forces")
    walk.points = [
        PathPoint(point_from({name: arrays[name][k] for name in names}), float(arc))
        for k, arc in enumerate(arrays["arc"])
    ]
    walk.hessian = arrays["hessian"]
    walk.shorter, walk.age = (int(count) for count in arrays["counts"])
