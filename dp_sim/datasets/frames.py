"""Labelled frames, checked, and their split into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dp_sim.errors import InputError
from dp_sim.structures.checks import check_structures


@dataclass(frozen=True)
class Weights:
    """What the squared errors of a frame are multiplied by in the loss.

    energy, virial   one number each
    forces           one number, or one for each atom (N,)
    """

    energy: float = 1.0
    forces: float | np.ndarray = 1.0
    virial: float = 1.0


@dataclass(frozen=True)
class Frame:
    """One structure with its labels; a label that is not known is None, and costs nothing in training.

    numbers (N,), positions (N, 3) Angstrom, cell (3, 3) Angstrom, pbc (3,), energy eV, forces (N, 3) eV/Angstrom,
    virial (3, 3) eV in the sign of dp_sim.structures.batch; `name` is file and index, for messages; `isolated` is true
    of one atom alone, whose energy may fix the energy bias, and `weightless` where labels of weight 0 were left out.
    """

    name: str
    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    energy: float | None = None
    forces: np.ndarray | None = None
    virial: np.ndarray | None = None
    weights: Weights = field(default_factory=Weights)
    isolated: bool = False
    weightless: bool = False

    def __post_init__(self) -> None:
        check_structures([self], self.name)
        expected = {"energy": (), "forces": (len(self.numbers), 3), "virial": (3, 3)}
        for label, shape in expected.items():
            value = getattr(self, label)
            if value is None:
                continue
            if np.shape(value) != shape:
                raise InputError(
                    "label-shape",
                    f"{self.name}: {label} must have the shape {shape}, got {np.shape(value)}; correct the label",
                )
            if not np.isfinite(value).all():
                raise InputError(
                    "label-not-finite",
                    f"{self.name}: {label} holds a value that is not finite; correct or drop the frame",
                )

    @property
    def labelled(self) -> bool:
        """Whether there is any label."""
        return not (self.energy is None and self.forces is None and self.virial is None)


def split(frames: Sequence[Frame], fraction: float, seed: int) -> tuple[list[Frame], list[Frame]]:
    """Shuffle with `seed` and hold out `fraction`: (training, held out)."""
    order = np.random.default_rng(seed).permutation(len(frames))
    held = set(order[: round(fraction * len(frames))].tolist())
    return [f for i, f in enumerate(frames) if i not in held], [f for i, f in enumerate(frames) if i in held]
