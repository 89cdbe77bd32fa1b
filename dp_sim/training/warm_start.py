"""The model that a training begins with, in place of random weights: `start_from` in the settings."""

from __future__ import annotations

from pathlib import Path

from dp_sim.config.model import ModelConfig
from dp_sim.config.training import TrainConfig
from dp_sim.errors import InputError, shown
from dp_sim.model.committee.folder import read_committee
from dp_sim.model.evaluator import Model, eager_model
from dp_sim.model.model_file import load_model
from dp_sim.model.potential import DTYPES, DeepPotential, set_precision


def members_of(config: TrainConfig) -> list[TrainConfig]:
    """List the settings of each member of a committee; those of a training alone are its own.

    A member begins with the member of the same number where `start_from` names a committee, else all with one model.

    Raises
    ------
    InputError
        `start_from` names a committee with another number of members, or nothing that may be trained further with
        these settings.
    """
    alone = [config] if config.members is None else [config.of_member(number) for number in range(config.members)]
    if config.start_from is None:
        return alone
    start = Path(config.start_from)
    files = read_committee(start).members if start.is_dir() else (start,) * len(alone)
    if len(files) != len(alone):
        wanted = "one model is trained" if config.members is None else f"members is {config.members}"
        raise InputError(
            "start-members",
            f"start_from: {start} is a committee of {len(files)}, and {wanted}; give members: {len(files)}, or one of "
            "its model files",
        )
    return [_completed(one.model_copy(update={"start_from": str(f)})) for one, f in zip(alone, files, strict=True)]


def start_network(config: TrainConfig) -> DeepPotential | None:
    """Open the network that a training begins with, in the precision of the settings; None: random weights."""
    if config.start_from is None:
        return None
    network = eager_model(_opened(config.start_from))
    set_precision(network, DTYPES[config.model.precision])
    return network


def _completed(config: TrainConfig) -> TrainConfig:
    """Take the keys of `model` that were not given from the model to start from; those given must be its own.

    Precision may be another: weights are cast.
    """
    assert config.start_from is not None
    started = ModelConfig.model_validate(_opened(config.start_from).metadata.config)
    given = config.model.model_fields_set - {"precision"} - (set() if config.model.species else {"species"})
    for key in ModelConfig.model_fields:
        now, before = getattr(config.model, key), getattr(started, key)
        if key in given and now != before:
            raise InputError(
                "start-differs",
                f"model.{key} is {shown(now)}, and {config.start_from}, which start_from names, has {shown(before)}; "
                "leave the key out, or start from a model with the same",
            )
    cast = {"precision": config.model.precision} if "precision" in config.model.model_fields_set else {}
    return config.model_copy(update={"model": started.model_copy(update=cast)})


def _opened(file: str) -> Model:
    """Open a model that can be trained further."""
    model = load_model(file)
    imported = model.metadata.config.get("descriptor") == "deepmd-kit"
    if imported or model.metadata.compression:
        kind = "was imported from DeePMD-kit" if imported else "is compressed, and its tables cannot be trained"
        advice = "train a model here" if imported else "start from the model it was compressed from"
        raise InputError("start-untrainable", f"start_from: {file} {kind}; {advice}")
    return model
