"""Accuracy on labelled frames: MAE and RMSE of energy per atom, forces and virial, per system and in total."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dp_sim.datasets.frames import Frame
from dp_sim.model.evaluator import Model
from dp_sim.structures.species import formula


@dataclass(frozen=True)
class Parity:
    """Labels and predictions of one system (frames of one composition), where the frames have labels.

    Attributes
    ----------
    system
        Its formula.
    frames
        How many there are.
    energy
        (S, 2) eV, total energy: label, prediction.
    atoms
        (S,) number of atoms in those frames.
    forces
        (K, 2) eV/Angstrom, components: label, prediction.
    virial
        (L, 2) eV/atom, components: label, prediction.
    """

    system: str
    frames: int
    energy: np.ndarray
    atoms: np.ndarray
    forces: np.ndarray
    virial: np.ndarray


@dataclass(frozen=True)
class ErrorPair:
    """Mean absolute and root mean square error; None without labels."""

    mae: float | None
    rmse: float | None


@dataclass(frozen=True)
class SystemErrors:
    """Errors of one system: energy in eV/atom, forces in eV/Angstrom, virial in eV/atom."""

    system: str
    frames: int
    energy: ErrorPair
    forces: ErrorPair
    virial: ErrorPair


def compare(
    model: Model, frames: Sequence[Frame], on_frame: Callable[[int], None] = lambda count: None
) -> list[Parity]:
    """Evaluate every frame and sort the results by composition.

    Parameters
    ----------
    model
        The model.
    frames
        Labelled frames.
    on_frame
        Called with 1 after each frame.

    Returns
    -------
    list of Parity
        One per composition, in the order in which they first appear.

    Raises
    ------
    InputError
        A frame that `Model.evaluate` refuses.
    """
    rows: dict[str, list[tuple[Frame, float, np.ndarray, np.ndarray | None]]] = {}
    with_virial = any(frame.virial is not None for frame in frames)
    outputs = model.evaluate_each(frames, virial=with_virial, names=[frame.name for frame in frames])
    for frame, output in zip(frames, outputs, strict=True):
        assert output.forces is not None
        virial = None if output.virial is None else output.virial[0].cpu().numpy()
        entry = (frame, float(output.energy[0]), output.forces.cpu().numpy(), virial)
        rows.setdefault(formula(frame.numbers), []).append(entry)
        on_frame(1)
    return [_parity(system, entries) for system, entries in rows.items()]


def _parity(system: str, entries: list[tuple[Frame, float, np.ndarray, np.ndarray | None]]) -> Parity:
    energy = [(f.energy, e) for f, e, _, _ in entries if f.energy is not None]
    atoms = [len(f.numbers) for f, _, _, _ in entries if f.energy is not None]
    forces = [np.stack([f.forces.ravel(), p.ravel()], axis=1) for f, _, p, _ in entries if f.forces is not None]
    virial = [
        np.stack([f.virial.ravel(), v.ravel()], axis=1) / len(f.numbers)
        for f, _, _, v in entries
        if f.virial is not None and v is not None
    ]
    return Parity(
        system,
        len(entries),
        np.array(energy, dtype=float).reshape(-1, 2),
        np.array(atoms, dtype=float),
        np.concatenate([np.empty((0, 2)), *forces]),
        np.concatenate([np.empty((0, 2)), *virial]),
    )


def _errors(pairs: np.ndarray) -> ErrorPair:
    if len(pairs) == 0:
        return ErrorPair(None, None)
    difference = pairs[:, 1] - pairs[:, 0]
    return ErrorPair(float(np.abs(difference).mean()), float(np.sqrt(np.square(difference).mean())))


def system_errors(parity: Parity) -> SystemErrors:
    """Compute the errors of one system: over frames for the energy, over components for forces and virial."""
    return SystemErrors(
        parity.system,
        parity.frames,
        _errors(parity.energy / parity.atoms[:, None]),
        _errors(parity.forces),
        _errors(parity.virial),
    )


def pool(parities: Iterable[Parity]) -> Parity:
    """Combine all systems into one."""
    parts = list(parities)
    return Parity(
        "all",
        sum(p.frames for p in parts),
        np.concatenate([p.energy for p in parts]),
        np.concatenate([p.atoms for p in parts]),
        np.concatenate([p.forces for p in parts]),
        np.concatenate([p.virial for p in parts]),
    )
