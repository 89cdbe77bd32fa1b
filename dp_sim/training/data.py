"""Data of a training run: read, and split into training and held-out frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dp_sim.config.training import TrainConfig
from dp_sim.datasets.frames import Frame, split
from dp_sim.datasets.reading import read_all
from dp_sim.datasets.remarks import Remarks, frames_text
from dp_sim.errors import InputError


@dataclass(frozen=True)
class Datasets:
    """Training and held-out frames.

    Attributes
    ----------
    train, valid
        The frames.
    remarks
        What the readers decided.
    """

    train: list[Frame]
    valid: list[Frame]
    remarks: Remarks = field(default_factory=Remarks)


def read_datasets(config: TrainConfig, on_frame: Callable[[], object] = lambda: None) -> Datasets:
    """Read and split the data that the settings name.

    Parameters
    ----------
    config
        Settings of the run.
    on_frame
        Called after each frame.

    Raises
    ------
    InputError
        Data that cannot be read, or no frame left to train on.
    """
    remarks = Remarks()
    keys = config.data.keys
    frames = read_all(config.data.train, keys=keys, remarks=remarks, on_frame=on_frame)
    if config.data.valid:
        valid = read_all(config.data.valid, keys=keys, remarks=remarks, on_frame=on_frame)
        train = frames
    else:
        # isolated atoms that fix the zero of energy are never held out
        kept = [f for f in frames if f.isolated] if config.data.energy_bias == "isolated-atoms" else []
        others = [f for f in frames if not f.isolated] if kept else frames
        train, valid = split(others, config.data.valid_fraction, config.training.seed)
        train = [*train, *kept]
        if config.data.valid_fraction > 0 and not valid:
            remarks.state(
                f"data.valid_fraction = {config.data.valid_fraction:g} of {frames_text(len(frames))} holds out none: "
                "there will be no errors on held-out data"
            )
    if not train:
        raise InputError(
            "frames-missing",
            f"data.valid_fraction = {config.data.valid_fraction} leaves none of {len(frames)} frames to train on; "
            "lower it"
            if frames
            else f"no frame of {', '.join(config.data.train)} has a label to train on; check weights and labels",
        )
    return Datasets(train, valid, remarks)
