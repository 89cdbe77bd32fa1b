"""The matrix of a single model's last layer, from frames that it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
from torch import Tensor

from dp_sim.datasets.frames import Frame
from dp_sim.errors import InputError
from dp_sim.model.evaluator import Model
from dp_sim.structures.batch import ModelOutput, separate
from dp_sim.structures.grouping import groups
from dp_sim.uncertainty.last_layer import LastLayer, Precision

#: Training frames that count, at most, evenly spaced: each costs a backward pass for every feature.
MOST_FRAMES = 400
#: Residuals are taken as no smaller than this, eV/atom and eV/Angstrom: rounding of labels.
LEAST_RESIDUAL = 1e-6


def evenly(frames: Sequence[Frame]) -> list[Frame]:
    """Take frames evenly spaced, no more than `MOST_FRAMES`."""
    every = max(1, -(-len(frames) // MOST_FRAMES))
    return list(frames[::every])


def fitted_last_layer(model: Model, frames: Sequence[Frame], on_frame: Callable[[int], None]) -> LastLayer:
    """Sum up eq. 1 of dp_sim.uncertainty.last_layer.

    Parameters
    ----------
    model
        No committee.
    frames
        Labelled frames that it was trained on.
    on_frame
        Called with 1 after each frame.

    Raises
    ------
    InputError
        No frame has energies or forces.
    """
    residuals = _residuals(model, frames)
    theta = model.features.theta
    precision = Precision(len(theta), 1.0 / float(np.sqrt(np.mean(theta**2))))
    for group in _groups(frames):
        prepared = model.prepare(group, [frame.name for frame in group])
        sizes = np.array([len(frame.numbers) for frame in group])
        if (known := np.array([frame.energy is not None for frame in group])).any():
            rows = model.features.of(*prepared) / sizes[:, None]
            precision.add(rows[known], residuals["energy"])
        if (known := np.array([frame.forces is not None for frame in group])).any():
            rows = model.features.derivatives(*prepared)[np.repeat(known, sizes)]
            precision.add(rows.reshape(-1, rows.shape[-1]), residuals["forces"])
        on_frame(len(group))
    return LastLayer(precision.root())


def _groups(frames: Sequence[Frame]) -> Iterator[list[Frame]]:
    """Take frames together: a backward pass for each feature costs little more for many small ones than for one."""
    left = iter(frames)
    for group in groups((frame, frame.name) for frame in frames):
        yield list(islice(left, len(group)))


def _residuals(model: Model, frames: Sequence[Frame]) -> dict[str, float]:
    """Compute root mean squares of the errors of energies per atom, and of force components."""
    energy, forces = [], []
    for frame, output in zip(frames, model.evaluate_each(frames, names=[one.name for one in frames]), strict=True):
        if frame.energy is not None:
            energy.append((output.energy.item() - frame.energy) / len(frame.numbers))
        if frame.forces is not None:
            forces.append((_array(output.forces) - frame.forces).ravel())
    if not energy and not forces:
        raise InputError(
            "labels-too-few",
            "the frames that the model was trained on (train) have neither energies nor forces; give those of its "
            "training",
        )
    parts = {"energy": np.array(energy), "forces": np.concatenate(forces) if forces else np.zeros(0)}
    return {
        name: max(LEAST_RESIDUAL, float(np.sqrt(np.mean(errors**2)))) for name, errors in parts.items() if errors.size
    }


def with_uncertainties(model: Model, last_layer: LastLayer, frames: Sequence[Frame]) -> Iterator[ModelOutput]:
    """Evaluate frames with the uncertainties of eq. 2, alpha left out."""
    known = Model([model.module], model.members, str(model.device), last_layer=last_layer)
    for group in _groups(frames):
        output = known.evaluate(group)._replace(forces_std=known.forces_std(group))
        yield from separate(output, [len(frame.numbers) for frame in group])


def _array(values: Tensor | None) -> np.ndarray:
    assert values is not None
    return values.cpu().numpy()
