"""Data of a training run: read, and split into training and held-out frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from dp_sim.config.training import TrainConfig
from dp_sim.datasets.frames import Frame, split
from dp_sim.datasets.reading import read_all
from dp_sim.datasets.remarks import Remarks, frames_text
from dp_sim.errors import InputError
from dp_sim.structures.species import find_species

#: Tells the bootstrap's random numbers from those of the split and of the order of frames, which have the same seed.
_BOOTSTRAP = 0xB007


@dataclass(frozen=True)
class Datasets:
    """Training and held-out frames.

    Attributes
    ----------
    train, valid
        The frames; with data.bootstrap a training frame may be there several times.
    species
        Elements of all training frames, drawn or not.
    remarks
        What the readers decided.
    """

    train: list[Frame]
    valid: list[Frame]
    species: tuple[str, ...] = ()
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
        train, valid = _divided(frames, config)
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
    species = find_species(train)
    return Datasets(_drawn(train, config) if config.data.bootstrap else train, valid, species, remarks)


def _divided(frames: Sequence[Frame], config: TrainConfig) -> tuple[list[Frame], list[Frame]]:
    """Hold out a share of the frames; isolated atoms that fix the zero of energy stay."""
    kept, others = _fixed(frames, config)
    seed = config.training.seed if config.data.split_seed is None else config.data.split_seed
    train, valid = split(others, config.data.valid_fraction, seed)
    return [*train, *kept], valid


def _drawn(frames: Sequence[Frame], config: TrainConfig) -> list[Frame]:
    """Draw as many frames with replacement (Efron's bootstrap); isolated atoms that fix the zero of energy stay."""
    kept, others = _fixed(frames, config)
    if not others:
        return kept
    random = np.random.default_rng([config.training.seed, _BOOTSTRAP])
    return [*(others[i] for i in np.sort(random.integers(len(others), size=len(others)))), *kept]


def _fixed(frames: Sequence[Frame], config: TrainConfig) -> tuple[list[Frame], list[Frame]]:
    """Tell isolated atoms that fix the zero of energy from all other frames."""
    if config.data.energy_bias != "isolated-atoms":
        return [], list(frames)
    return [f for f in frames if f.isolated], [f for f in frames if not f.isolated]


def held_out_by_all(config: TrainConfig, on_frame: Callable[[], object] = lambda: None) -> list[Frame]:
    """Read the frames that no member of a committee is trained on.

    Parameters
    ----------
    config
        Settings of the committee.
    on_frame
        Called after each frame.

    Raises
    ------
    InputError
        As `read_datasets`, of any member.
    """
    first = read_datasets(config.of_member(0), on_frame)
    if not config.data.own_splits:
        return first.valid
    frames = read_all(config.data.train, keys=config.data.keys, remarks=Remarks(), on_frame=on_frame)
    shares = [{id(f) for f in _divided(frames, config.of_member(k))[1]} for k in range(config.members or 1)]
    return [f for f in frames if all(id(f) in share for share in shares)]
