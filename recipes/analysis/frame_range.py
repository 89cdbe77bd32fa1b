"""Which frames of a trajectory are used, each checked against the first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from dp_sim.errors import InputError
from dp_sim.recipes.analysis.settings import AnalyseSettings
from dp_sim.recipes.analysis.trajectory.source import Source
from dp_sim.recipes.results.trajectory import LazyFrames, check_same_atoms

#: Frames below which there is nothing to average.
FEWEST = 2


@dataclass(frozen=True)
class FrameRange:
    """Frames `first`, `first + stride`, ... up to `last`.

    Attributes
    ----------
    frames
        The whole trajectory.
    name
        What messages call it.
    first, last, stride
        Numbers in the whole trajectory, from 0.
    spacing_ps
        Time between two frames that are used, ps; None where it is not known.
    structure_stride
        Of the frames that are used, every so many count for the structure.
    notes
        What was decided, as sentences.
    """

    frames: LazyFrames
    name: str
    first: int
    last: int
    stride: int
    spacing_ps: float | None
    structure_stride: int
    notes: tuple[str, ...]

    @classmethod
    def of(cls, source: Source, settings: AnalyseSettings) -> FrameRange:
        """Take the settings, else what the run itself says of its equilibration.

        Raises
        ------
        InputError
            A frame beyond the end, or too few frames.
        """
        length = len(source.frames)
        first = source.first if settings.first is None else settings.first
        last = length - 1 if settings.last is None else settings.last
        for name, number in (("first", first), ("last", last)):
            if number >= length:
                raise InputError(
                    "frame-out-of-range", f"{name} must be below the {length} frames of {source.name}, got {number}"
                )
        n_used = (last - first) // settings.stride + 1
        if n_used < FEWEST:
            raise InputError(
                "frames-too-few",
                f"{source.name} gives {max(n_used, 0)} frames from {first} to {last} with stride {settings.stride}, at "
                f"least {FEWEST} are needed; use more of its {length}",
            )
        notes = []
        if settings.first is None and source.first == 0:
            notes.append("every frame from the first on is used; give first to leave out an equilibration")
        elif settings.first is None:
            notes.append(f"the first {source.first} frames are left out: the run took them as its equilibration")
        elif settings.first < source.first:
            notes.append(f"some of the first {source.first} frames are used, which the run took as its equilibration")
        spacing = None if source.frame_ps is None else source.frame_ps * settings.stride
        stride = math.ceil(n_used / settings.structure_frames)
        if settings.wants("structure") and stride > 1:
            notes.append(f"the structure is computed from one frame in {stride}")
        return cls(source.frames, source.name, first, last, settings.stride, spacing, stride, tuple(notes))

    @property
    def n_used(self) -> int:
        """Number of frames that are used."""
        return (self.last - self.first) // self.stride + 1

    @property
    def first_frame(self) -> Atoms:
        """The first frame that is used."""
        return self._checked(self.frames[self.first], None)

    def read(self) -> Iterator[tuple[int, Atoms]]:
        """Read the frames one after another, numbered from 0.

        Raises
        ------
        InputError
            A frame with other atoms, periodicity or without a volume.
        """
        reference = None
        for number, atoms in enumerate(self.frames.part(self.first, self.last + 1, self.stride)):
            yield number, self._checked(atoms, reference)
            reference = reference or atoms

    def _checked(self, atoms: Atoms, reference: Atoms | None) -> Atoms:
        if not np.isfinite(atoms.positions).all():
            raise InputError("positions-not-finite", f"{self.name}: a frame has positions that are not finite")
        if atoms.pbc.any() and abs(np.linalg.det(atoms.cell.complete())) < 1e-6:
            raise InputError("cell-without-volume", f"{self.name}: a periodic frame has a cell without volume")
        if reference is not None:
            check_same_atoms(atoms, reference, f"{self.name}: a frame")
        return atoms
