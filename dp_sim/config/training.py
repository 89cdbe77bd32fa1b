"""Settings of training: data, loss, optimiser."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from dp_sim.config.label_keys import LabelKeys
from dp_sim.config.model import ModelConfig
from dp_sim.config.section import Section, refuse_keys_of_others, without_defaults, without_keys_of_others

_DESCENT_KEYS = ("learning_rate", "learning_rate_end", "weight_decay", "gradient_norm")
#: Keys of TrainingConfig that only some optimisers have.
_OPTIMIZER_KEYS = {
    "adam": _DESCENT_KEYS,
    "soap": _DESCENT_KEYS,
    "rlekf": ("block_size", "force_groups", "forgetting", "forgetting_rate"),
}


class DataConfig(Section):
    """Labelled data: files, and the share that is held out."""

    train: tuple[str, ...] = Field(
        description="one or several files that ASE reads (with labels), DeePMD-kit folders, or dpdata:FORMAT:FILE; "
        "relative to this file"
    )
    valid: tuple[str, ...] = Field((), description="held-out files of the same kinds")
    valid_fraction: float = Field(
        0.0, ge=0, lt=1, description="share of the training frames held out, where `valid` is empty"
    )
    energy_bias: Literal["least-squares", "isolated-atoms"] = Field(
        "least-squares",
        description="energy of each element that the model adds to: fitted to the data, or that of the training frames "
        "with one atom alone (open, or with config_type IsolatedAtom)",
    )
    keys: LabelKeys = Field(LabelKeys(), description="names of the labels, where they are not found by themselves")
    bootstrap: bool = Field(
        False, description="train on as many frames, drawn with replacement: each member of a committee on others"
    )
    split_seed: int | None = Field(
        None,
        ge=0,
        description="of the choice of the held-out share; by default training.seed, and for all members of a committee "
        "that of the first, so that they hold out the same frames",
    )
    own_splits: bool = Field(False, description="each member of a committee holds out a share of its own")

    @field_validator("train", "valid", mode="before")
    @classmethod
    def _one_or_several(cls, sources: Any) -> Any:
        return (sources,) if isinstance(sources, str) else sources

    @model_validator(mode="after")
    def _one_split(self) -> DataConfig:
        if self.own_splits and self.split_seed is not None:
            raise ValueError("own_splits takes a seed for each member; leave split_seed or own_splits out")
        if self.own_splits and (self.valid or self.valid_fraction == 0):
            raise ValueError("own_splits divides a share of the training frames: it needs valid_fraction, and no valid")
        return self

    @model_serializer(mode="wrap")
    def _later_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, handler(self), ("bootstrap", "split_seed", "own_splits"))


class LossConfig(Section):
    """Prefactors (start, end) of eq. 12, interpolated by the learning rate."""

    energy: tuple[float, float] = Field((0.02, 1.0), description="of |dE|^2 / N")
    forces: tuple[float, float] = Field((1000.0, 1.0), description="of |dF|^2 / 3N")
    virial: tuple[float, float] = Field((0.02, 1.0), description="of |dW|^2 / 9N")

    @model_validator(mode="after")
    def _sane(self) -> LossConfig:
        values = (*self.energy, *self.forces, *self.virial)
        if min(values) < 0 or max(values) == 0:
            raise ValueError("prefactors must not be negative, and one at least must be positive")
        return self


class TrainingConfig(Section):
    """Optimiser and schedule; keys that belong to another optimiser are refused, and are not saved."""

    steps: PositiveInt = Field(100_000, description="optimiser steps")
    batch_size: PositiveInt = Field(1, description="frames a step")
    optimizer: Literal["adam", "soap", "rlekf"] = Field(
        "adam", description="soap: Adam in the eigenbasis of Shampoo; rlekf: the Kalman filter of arXiv:2212.06989"
    )
    learning_rate: PositiveFloat = Field(1e-3, description="at the start")
    learning_rate_end: PositiveFloat = Field(3.5e-8, description="at the end; exponential in between")
    weight_decay: float = Field(0.0, ge=0, description="decoupled (AdamW)")
    gradient_norm: PositiveFloat | None = Field(None, description="longer gradients are scaled down to this norm")
    block_size: PositiveInt = Field(1024, description="rlekf: most weights in a block; memory and time grow with it")
    force_groups: PositiveInt = Field(6, description="rlekf: measurements that the forces of a step make")
    forgetting: float = Field(
        0.98, gt=0, le=1, description="rlekf: factor lambda at the start, which older measurements lose weight by"
    )
    forgetting_rate: float = Field(
        0.9987, ge=0, le=1, description="rlekf: nu, the factor that 1 - lambda falls by in every step"
    )
    average: float = Field(
        0.0, ge=0, lt=1, description="decay of the running mean of the weights that is saved; 0: none"
    )
    seed: int = Field(0, ge=0, description="of weights, order of frames and held-out share")
    report_every: PositiveInt = Field(500, description="steps between lines of the learning curve")
    save_every: PositiveInt = Field(5000, description="steps between checkpoints")
    valid_frames: PositiveInt = Field(100, description="at most this many held-out frames in the learning curve")
    knots: PositiveInt = Field(
        120, ge=8, description="per unit of s (1/Angstrom), in the spline that carries the embedding nets in training"
    )
    cache_gb: float = Field(
        6.0, ge=0, description="memory for geometry that is kept between steps, of all members together"
    )
    device: str = Field("cpu", description="cpu, cuda, cuda:1, ...")

    @model_validator(mode="after")
    def _keys_of_the_optimizer(self) -> TrainingConfig:
        refuse_keys_of_others(self, "optimizer", _OPTIMIZER_KEYS)
        return self

    @model_serializer(mode="wrap")
    def _only_own_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_keys_of_others(handler(self), self.optimizer, _OPTIMIZER_KEYS)

    @model_validator(mode="after")
    def _decays(self) -> TrainingConfig:
        if self.learning_rate_end > self.learning_rate:
            raise ValueError(
                f"learning_rate_end ({self.learning_rate_end}) must not exceed learning_rate ({self.learning_rate})"
            )
        return self


class TrainConfig(Section):
    """All settings of a training."""

    model: ModelConfig = ModelConfig()
    data: DataConfig
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    members: int | None = Field(
        None, ge=2, description="train a committee of so many, with the seeds training.seed, training.seed + 1, ..."
    )
    start_from: str | None = Field(
        None,
        description="begin with the weights of this model file, or of the members of the committee in this folder, in "
        "place of random ones; the keys of `model` that are left out are taken from it",
    )

    @model_serializer(mode="wrap")
    def _later_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, handler(self), ("members", "start_from"))

    @model_validator(mode="after")
    def _splits_of_members(self) -> TrainConfig:
        if self.data.own_splits and self.members is None:
            raise ValueError("data.own_splits is of a committee; give members, or leave it out")
        return self

    def of_member(self, number: int) -> TrainConfig:
        """Return the settings with which a member of the committee trains alone."""
        seed = self.training.seed + number
        split = seed if self.data.own_splits else self.data.split_seed
        if split is None and self.data.valid_fraction > 0 and not self.data.valid:
            split = self.training.seed
        data = self.data.model_copy(update={"split_seed": split, "own_splits": False})
        share = self.training.cache_gb / (self.members or 1)
        training = self.training.model_copy(update={"seed": seed, "cache_gb": share})
        return self.model_copy(update={"members": None, "data": data, "training": training})

    @model_validator(mode="after")
    def _trainable(self) -> TrainConfig:
        if self.model.descriptor == "deepmd-kit":
            raise ValueError("model.descriptor deepmd-kit is for imported models; train deeppot-se")
        if (
            self.training.optimizer == "rlekf"
            and max(self.loss.energy[1], self.loss.forces[1], self.loss.virial[1]) == 0
        ):
            raise ValueError("rlekf weighs errors by the second of the loss's prefactors; one must be positive")
        return self
