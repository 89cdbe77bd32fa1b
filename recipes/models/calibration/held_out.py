"""Errors and raw spreads on held-out frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dp_sim.datasets.frames import Frame
from dp_sim.errors import InputError
from dp_sim.structures.batch import ModelOutput
from dp_sim.uncertainty.points import Points

#: Fewer frames of a kind than this say nothing of intervals.
FEWEST_FRAMES = 10


class HeldOut(NamedTuple):
    """Points of each kind (dp_sim.uncertainty.calibration.SCALES), those without spread left out.

    Attributes
    ----------
    energy
        An energy for each frame, eV/atom.
    forces
        Each component, eV/Angstrom.
    atoms
        Each atom: lengths of vectors, eV/Angstrom.
    """

    energy: Points
    forces: Points
    atoms: Points


def blocks_of(sources: Sequence[Sequence[Frame]], parts: int) -> NDArray[np.int64]:
    """Give each frame the number of its block; blocks are left out in turn.

    Frames of one trajectory are alike, so that a split by frame would test on what it has fitted. Of several sources
    each is a block; a single one is cut into parts of consecutive frames.

    Parameters
    ----------
    sources
        Frames of each source.
    parts
        Blocks of a single source.
    """
    if len(sources) > 1:
        return np.repeat(np.arange(len(sources)), [len(frames) for frames in sources])
    count = len(sources[0])
    return np.arange(count) * min(parts, count) // count


def evaluated(
    outputs: Iterable[ModelOutput],
    frames: Sequence[Frame],
    block: NDArray[np.int64],
    on_frame: Callable[[int], None],
) -> HeldOut:
    """Evaluate the frames that have labels.

    Parameters
    ----------
    outputs
        Of each frame, with raw spreads.
    frames
        Labelled frames.
    block
        (S,) which block each is of.
    on_frame
        Called with 1 after each frame.

    Raises
    ------
    InputError
        Fewer frames with energies or with forces than can be calibrated on, or all of them in one block; a committee
        whose members agree in everything.
    """
    check_labels(frames, block)
    energy, forces, atoms = [], [], []
    for number, (frame, output) in enumerate(zip(frames, outputs, strict=True)):
        assert output.forces is not None
        assert output.energy_std is not None
        assert output.forces_std is not None
        size, place = len(frame.numbers), (number, int(block[number]))
        if frame.energy is not None:
            error = abs(output.energy.item() - frame.energy) / size
            energy.append(_rows([error], [output.energy_std.item() / size], place, [0]))
        if frame.forces is not None:
            error = output.forces.cpu().numpy() - frame.forces
            spread = output.forces_std.cpu().numpy()
            forces.append(_rows(np.abs(error).ravel(), spread.ravel(), place, np.repeat(frame.numbers, 3)))
            atoms.append(_rows(np.linalg.norm(error, axis=1), np.linalg.norm(spread, axis=1), place, frame.numbers))
        on_frame(1)
    return HeldOut(_points(energy, 1, "energies"), _points(forces, 1, "forces"), _points(atoms, 3, "forces"))


def check_labels(frames: Sequence[Frame], block: NDArray[np.int64]) -> None:
    """Refuse frames that are too few to calibrate on; errors as of `evaluated`."""
    for label in ("energy", "forces"):
        numbers = [number for number, frame in enumerate(frames) if getattr(frame, label) is not None]
        if len(numbers) < FEWEST_FRAMES or len(set(block[numbers])) < 2:
            raise InputError(
                "labels-too-few",
                f"calibration needs {FEWEST_FRAMES} or more held-out frames with {label}, in two or more blocks; got "
                f"{len(numbers)} in {len(set(block[numbers]))}; give more frames with energies and forces",
            )


def _rows(error: object, spread: object, place: tuple[int, int], elements: object) -> NDArray[np.float64]:
    error = np.asarray(error, dtype=np.float64)
    where = np.broadcast_to(np.array(place, dtype=np.float64), (len(error), 2))
    return np.column_stack([error, np.asarray(spread), where, np.asarray(elements)])


def _points(rows: list[NDArray[np.float64]], components: int, what: str) -> Points:
    error, spread, frame, block, element = np.concatenate(rows).T
    points = Points(error, spread, frame.astype(int), block.astype(int), components, element.astype(int)).with_spread()
    if points.frames < FEWEST_FRAMES or len(np.unique(points.block)) < 2:
        raise InputError(
            "spread-missing",
            f"the members agree in the {what} of all but {points.frames} of {len(rows)} frames, so that there is no "
            "spread to calibrate; give members that were trained from other random numbers",
        )
    return points
