"""Summary of labels in data, and their range."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dp_sim.datasets.frames import Frame
from dp_sim.datasets.missing_labels import state_missing
from dp_sim.datasets.remarks import Remarks
from dp_sim.structures.species import formula


@dataclass(frozen=True)
class LabelSummary:
    """Numbers of frames and labels; ranges are None if no frame has the label.

    Attributes
    ----------
    frames, atoms
        Numbers of frames and of atoms in all of them.
    systems
        Composition (Hill order) -> frames.
    periodicity
        For example "TTT" -> frames.
    labelled
        energy, forces, virial -> frames that have it.
    energy
        Lowest and highest energy, eV/atom.
    largest_force
        Largest magnitude of the force on an atom, eV/Angstrom.
    force_rms
        Root mean square force component, eV/Angstrom.
    """

    frames: int
    atoms: int
    systems: dict[str, int]
    periodicity: dict[str, int]
    labelled: dict[str, int]
    energy: tuple[float, float] | None
    largest_force: float | None
    force_rms: float | None


class LabelCounter:
    """Counts frames, compositions and labels, one frame at a time."""

    def __init__(self) -> None:
        self._frames = self._atoms = self._components = 0
        self._systems: Counter[str] = Counter()
        self._periodicity: Counter[str] = Counter()
        self._labelled = Counter({"energy": 0, "forces": 0, "virial": 0})
        self._lowest, self._highest, self._longest, self._squares = math.inf, -math.inf, 0.0, 0.0

    def add(self, frame: Frame) -> None:
        """Count one frame."""
        n = len(frame.numbers)
        self._frames += 1
        self._atoms += n
        self._systems[formula(frame.numbers)] += 1
        self._periodicity["".join("FT"[int(p)] for p in frame.pbc)] += 1
        self._labelled.update(label for label in self._labelled if getattr(frame, label) is not None)
        if frame.energy is not None:
            self._lowest = min(self._lowest, frame.energy / n)
            self._highest = max(self._highest, frame.energy / n)
        if frame.forces is not None:
            squares = np.square(frame.forces).sum(axis=1)
            self._longest = max(self._longest, float(squares.max()))
            self._squares += float(squares.sum())
            self._components += frame.forces.size

    def state_missing(self, remarks: Remarks) -> None:
        """Remark on missing labels, unless there is no label at all (then these are no training data)."""
        if self._labelled.total():
            state_missing(self._labelled, self._frames, remarks)

    def summary(self) -> LabelSummary:
        """Return the counts so far."""
        forces = self._components > 0
        return LabelSummary(
            self._frames,
            self._atoms,
            dict(self._systems),
            dict(self._periodicity),
            dict(self._labelled),
            (self._lowest, self._highest) if self._labelled["energy"] else None,
            math.sqrt(self._longest) if forces else None,
            math.sqrt(self._squares / self._components) if forces else None,
        )


def summarise(frames: Iterable[Frame]) -> LabelSummary:
    """Count frames, compositions and labels."""
    counter = LabelCounter()
    for frame in frames:
        counter.add(frame)
    return counter.summary()
