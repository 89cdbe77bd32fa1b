"""The data of a training run: read, and split into frames to train on and frames held out."""

from __future__ import annotations

from dataclasses import dataclass

from dp_sim.config.training import TrainConfig
from dp_sim.datasets.frames import Frame, split
from dp_sim.datasets.reading import read_all
from dp_sim.errors import InputError


@dataclass(frozen=True)
class Datasets:
    """Frames for training and held out."""

    train: list[Frame]
    valid: list[Frame]


def read_datasets(config: TrainConfig) -> Datasets:
    """Read and split what `config.data` names."""
    frames = read_all(config.data.train)
    if config.data.valid:
        return Datasets(frames, read_all(config.data.valid))
    train, valid = split(frames, config.data.valid_fraction, config.training.seed)
    if not train:
        raise InputError(
            "frames-missing",
            f"data.valid_fraction = {config.data.valid_fraction} leaves none of {len(frames)} frames to train on",
        )
    return Datasets(train, valid)
