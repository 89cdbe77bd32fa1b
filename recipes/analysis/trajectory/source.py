"""A trajectory with what is known of the run behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.recipes.analysis.trajectory.motion import Motion
from dp_sim.recipes.results.trajectory import LazyFrames


@dataclass(frozen=True, kw_only=True)
class Source:
    """Frames, the time between them, and the conditions under which they moved.

    Attributes
    ----------
    name
        What messages call it: a file or a directory.
    frames
        The trajectory.
    frame_ps
        Time between two frames, ps; None where it is not known.
    motion
        Which ensemble and thermostat moved the atoms, as far as it is known.
    temperature_K
        Temperature of the run, K; None where it is not known.
    first
        First frame of the equilibrated part, as the run itself found it; 0 where nobody did.
    degrees_of_freedom
        Momenta that move, as the run counted them; None where it is not known.
    rigid_bonds
        Number of bonds that kept their length.
    table
        Column of thermo.csv -> its values from the equilibrated part on; empty without such a table.
    values, settings
        What result.json and config.yaml of the run say; empty for other sources.
    models
        SHA-256 of the models of ours whose mean drove the run; empty where it was another calculator.
    notes
        What was decided while it was read, as sentences.
    """

    name: str
    frames: LazyFrames
    frame_ps: float | None
    motion: Motion
    temperature_K: float | None = None
    first: int = 0
    degrees_of_freedom: int | None = None
    rigid_bonds: int = 0
    table: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    models: Sequence[str] = ()
    notes: Sequence[str] = ()


class FramesInMemory(LazyFrames):
    """A list of structures, as a trajectory."""

    def __init__(self, frames: Sequence[Atoms]) -> None:
        self._frames = list(frames)

    def __len__(self) -> int:
        return len(self._frames)

    @override
    def part(self, start: int, stop: int, step: int) -> Iterator[Atoms]:
        yield from self._frames[start:stop:step]
