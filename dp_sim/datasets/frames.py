"""Labelled frames, checked, and their split into training and held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dp_sim.errors import InputError
from dp_sim.structures.checks import check_structures


@dataclass(frozen=True)
class Weights:
    """Weights of a frame's squared errors in the loss.

    Attributes
    ----------
    energy, virial
        One number each.
    forces
        One number, or one per atom (N,).
    """

    energy: float = 1.0
    forces: float | np.ndarray = 1.0
    virial: float = 1.0


@dataclass(frozen=True)
class Frame:
    """A structure with its labels; an unknown label is None, and does not count in training.

    Attributes
    ----------
    name
        File and index, for messages.
    numbers
        (N,) atomic numbers.
    positions
        (N, 3) Angstrom.
    cell
        (3, 3) lattice vectors in rows, Angstrom.
    pbc
        (3,) which axes are periodic.
    energy
        eV.
    forces
        (N, 3) eV/Angstrom.
    virial
        (3, 3) eV, with the sign of dp_sim.structures.batch.
    weights
        Weights of the labels.
    isolated
        Whether the frame is an isolated atom, whose energy may fix the energy bias.
    weightless
        Whether labels of weight 0 were left out.

    Raises
    ------
    InputError
        A structure that no model can evaluate, or a label of the wrong shape or that is not finite.
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
    """Choose frames at random to hold out of training.

    Parameters
    ----------
    frames
        All frames.
    fraction
        Fraction to hold out, 0 to 1.
    seed
        Of the choice.

    Returns
    -------
    tuple of two lists
        Training and held-out frames.
    """
    order = np.random.default_rng(seed).permutation(len(frames))
    held = set(order[: round(fraction * len(frames))].tolist())
    return [f for i, f in enumerate(frames) if i not in held], [f for i, f in enumerate(frames) if i in held]
