"""Configuration: every setting's type, default and meaning in one place. Frozen; unknown keys are refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from dp_sim.errors import InputError, nearest_name


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _refuse_keys_of_others(section: Section, choice: str, own: Mapping[str, tuple[str, ...]]) -> None:
    """ValueError for a key that was given and that the chosen descriptor or optimiser does not have."""
    chosen = getattr(section, choice)
    for key in sorted(section.model_fields_set):
        owners = [name for name, keys in own.items() if key in keys]
        if owners and key not in own[chosen]:
            raise ValueError(
                f"{key} belongs to the {choice} {' and '.join(owners)}, not to {chosen}, which has "
                f"{', '.join(own[chosen])}; leave it out"
            )


def _without_keys_of_others(
    settings: dict[str, Any], chosen: str, own: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    others = {key for keys in own.values() for key in keys} - set(own[chosen])
    return {key: value for key, value in settings.items() if key not in others}


#: The descriptors in local frames (dp_sim.descriptors.local_frame); the others are smooth.
FRAME_DESCRIPTORS = ("local-frame", "deep-potential")
#: Keys of ModelConfig that only some descriptors have.
_SMOOTH_KEYS = ("switch_start", "switch", "embedding", "axis_width", "one_side", "angular_weight")
_OWN_KEYS = {
    "deeppot-se": _SMOOTH_KEYS,
    "radial": _SMOOTH_KEYS,
    "local-frame": ("angular_neighbors", "radial_neighbors", "axes"),
    "deep-potential": ("angular_neighbors", "axes"),
    "deepmd-kit": ("parts",),
}
_DESCENT_KEYS = ("learning_rate", "learning_rate_end", "weight_decay", "gradient_norm")
#: Keys of TrainingConfig that only some optimisers have.
_OPTIMIZER_KEYS = {
    "adam": _DESCENT_KEYS,
    "soap": _DESCENT_KEYS,
    "rlekf": ("block_size", "force_groups", "forgetting", "forgetting_rate"),
}
#: The network of the DeePMD paper.
FRAME_FITTING = (240, 120, 60, 30, 10)
Places = Annotated[int, Field(ge=0)]


#: Twice differentiable ones, so that training has smooth forces; imported models may have others (dp_sim.networks).
SMOOTH_ACTIVATIONS = ("tanh", "gelu", "silu", "softplus", "sigmoid")


class DeepmdPart(Section):
    """One descriptor of an imported DeePMD-kit model (dp_sim.deepmd); pairs are indices of species, centre first."""

    kind: Literal["se_e2_a", "se_e2_r", "se_e3"]
    cutoff: PositiveFloat
    switch_start: float = Field(ge=0)
    embedding: tuple[PositiveInt, ...]
    axis_width: PositiveInt = 1
    one_side: bool = True
    residual_timestep: bool = Field(False, description="in the embedding nets")
    activation: str = "tanh"
    places: tuple[int, ...] = Field(description="DeePMD-kit's sel: neighbours of each species that padding counts with")
    excluded: tuple[tuple[int, int], ...] = Field((), description="pairs that see nothing, but take a place")
    dropped: tuple[tuple[int, int], ...] = Field((), description="pairs that are no neighbours")
    protection: float = Field(0.0, ge=0, description="added to r in 1/r, Angstrom")
    shifted: bool = Field(False, description="rows of R~ are shifted by a mean, so padding contributes")


class ModelConfig(Section):
    """Keys that the chosen descriptor does not have are refused, and left out of what is saved."""

    descriptor: Literal["deeppot-se", "radial", "local-frame", "deep-potential", "deepmd-kit"] = Field(
        "deeppot-se", description="what an atom sees of its neighbours; deepmd-kit: of an imported model"
    )
    species: tuple[str, ...] = Field(
        (), description="element symbols; empty: all elements of the data, by atomic number"
    )
    cutoff: PositiveFloat = Field(6.0, description="cutoff radius r_c, Angstrom")
    switch_start: float = Field(0.5, ge=0, description="where s(r) leaves 1/r, r_cs, Angstrom")
    switch: Literal["polynomial", "cosine"] = Field("polynomial", description="cosine: eq. 9; polynomial: DeePMD-kit's")
    embedding: tuple[PositiveInt, ...] = Field(
        (25, 50, 100), description="widths of the embedding nets; the last is M1"
    )
    axis_width: PositiveInt = Field(16, description="M2, the columns of G that form the axis filters")
    one_side: bool = Field(
        True, description="one embedding net per neighbour species instead of one per pair of species"
    )
    angular_neighbors: Places | dict[str, Places] = Field(
        16, description="local frames: nearest neighbours of each species that have all four inputs"
    )
    radial_neighbors: Places | dict[str, Places] = Field(
        16, description="local-frame: neighbours of each species farther out that have 1/R alone"
    )
    axes: dict[str, tuple[str, str]] = Field(
        {}, description="local frames: species of the neighbours a and b, by that of the atom; else the two nearest"
    )
    fitting: tuple[PositiveInt, ...] = Field(
        (240, 240, 240), description="widths of the fitting nets; with local frames by default 240 120 60 30 10"
    )
    angular_weight: PositiveFloat = Field(1.0, description="of the columns x, y, z of R~ against s; molecules like 2")
    residual_timestep: bool = Field(False, description="a trained step on the skip connections of the fitting nets")
    activation: str = Field("tanh", description="in all hidden layers")
    parts: tuple[DeepmdPart, ...] = Field((), description="of the descriptor deepmd-kit, side by side")
    precision: Literal["float32", "float64"] = Field(
        "float32", description="of weights and training; energies sum in float64"
    )

    @field_validator("species")
    @classmethod
    def _elements(cls, species: tuple[str, ...]) -> tuple[str, ...]:
        from ase.data import chemical_symbols

        for symbol in species:
            if symbol not in chemical_symbols[1:]:
                raise ValueError(f"'{symbol}' is no element symbol{nearest_name(symbol, chemical_symbols[1:])}")
        if len(set(species)) < len(species):
            raise ValueError("every element must be named once only")
        return species

    @field_validator("activation")
    @classmethod
    def _smooth_activation(cls, name: str, info: ValidationInfo) -> str:
        if info.data.get("descriptor") != "deepmd-kit" and name not in SMOOTH_ACTIVATIONS:
            known = ", ".join(f"'{known}'" for known in SMOOTH_ACTIVATIONS)
            raise ValueError(f"expected one of {known}{nearest_name(name, SMOOTH_ACTIVATIONS)}")
        return name

    @field_validator("angular_neighbors", "radial_neighbors", mode="before")
    @classmethod
    def _one_number_or_one_each(cls, numbers: Any) -> Any:
        each = numbers.values() if isinstance(numbers, dict) else [numbers]
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in each):
            raise ValueError("expected a whole number, or one for each species like {H: 4, O: 2}")
        return numbers

    @field_validator("axes", mode="before")
    @classmethod
    def _two_for_each(cls, axes: Any) -> Any:
        pairs = axes.values() if isinstance(axes, dict) else [axes]
        if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
            raise ValueError("expected two species for each, like {O: [H, H], H: [O, H]}")
        return axes

    @model_validator(mode="before")
    @classmethod
    def _network_of_the_paper(cls, settings: Any) -> Any:
        frames = isinstance(settings, dict) and settings.get("descriptor") in FRAME_DESCRIPTORS
        return {"fitting": FRAME_FITTING, **settings} if frames else settings

    @model_validator(mode="after")
    def _keys_of_the_descriptor(self) -> ModelConfig:
        _refuse_keys_of_others(self, "descriptor", _OWN_KEYS)
        return self

    @model_validator(mode="after")
    def _species_of_the_frames(self) -> ModelConfig:
        for key in ("angular_neighbors", "radial_neighbors"):
            numbers = getattr(self, key)
            if isinstance(numbers, dict) and set(numbers) != set(self.species):
                raise ValueError(
                    f"{key} names {', '.join(numbers) or 'no species'}; it must name each of species, which is "
                    f"{', '.join(self.species) or 'empty'}, or be one number for all"
                )
        named = {symbol for center, pair in self.axes.items() for symbol in (center, *pair)}
        if not named <= set(self.species):
            raise ValueError(
                f"axes names {', '.join(sorted(named - set(self.species)))}, which is not in species "
                f"({', '.join(self.species) or 'empty'}); add it there"
            )
        return self

    @model_serializer(mode="wrap")
    def _only_own_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_keys_of_others(handler(self), self.descriptor, _OWN_KEYS)

    @model_validator(mode="after")
    def _consistent(self) -> ModelConfig:
        if (self.descriptor == "deepmd-kit") != bool(self.parts):
            raise ValueError("parts and descriptor deepmd-kit belong together; dp-sim import writes both")
        if self.descriptor in (*FRAME_DESCRIPTORS, "deepmd-kit"):
            if not self.fitting:
                raise ValueError("fitting needs at least one width")
            return self
        if self.switch_start >= self.cutoff:
            raise ValueError(f"switch_start ({self.switch_start}) must be smaller than cutoff ({self.cutoff})")
        if not self.embedding or not self.fitting:
            raise ValueError("embedding and fitting need at least one width each")
        if self.descriptor == "deeppot-se" and self.axis_width > self.embedding[-1]:
            raise ValueError(
                f"axis_width ({self.axis_width}) must not exceed the last embedding width ({self.embedding[-1]})"
            )
        return self


class DataConfig(Section):
    train: tuple[str, ...] = Field(
        description="files that ASE reads (with labels) or DeePMD-kit folders; relative to this file"
    )
    valid: tuple[str, ...] = Field((), description="held-out files of the same kinds")
    valid_fraction: float = Field(
        0.0, ge=0, lt=1, description="share of the training frames held out, where `valid` is empty"
    )


class LossConfig(Section):
    """Prefactors (start, end) of eq. 12; they move with the learning rate from the first to the second."""

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
    """Keys that the chosen optimiser does not have are refused, and left out of what is saved."""

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
    cache_gb: float = Field(6.0, ge=0, description="memory for geometry that is kept between steps")
    device: str = Field("cpu", description="cpu, cuda, cuda:1, ...")

    @model_validator(mode="after")
    def _keys_of_the_optimizer(self) -> TrainingConfig:
        _refuse_keys_of_others(self, "optimizer", _OPTIMIZER_KEYS)
        return self

    @model_serializer(mode="wrap")
    def _only_own_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_keys_of_others(handler(self), self.optimizer, _OPTIMIZER_KEYS)

    @model_validator(mode="after")
    def _decays(self) -> TrainingConfig:
        if self.learning_rate_end > self.learning_rate:
            raise ValueError(
                f"learning_rate_end ({self.learning_rate_end}) must not exceed learning_rate ({self.learning_rate})"
            )
        return self


class TrainConfig(Section):
    model: ModelConfig = ModelConfig()
    data: DataConfig
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()

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


def _message(error: ValidationError, config: type[BaseModel], origin: str) -> str:
    # A misspelt key that leaves a required one missing: the misspelt one is the cause.
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        got = f"; got {first['input']!r}" if first["type"] != "missing" else ""
        return f"{origin}: {key or 'settings'}: {first['msg'].removeprefix('Value error, ')}{got}"
    section: Any = config
    for part in first["loc"][:-1]:
        section = section.model_fields[part].annotation
    known = tuple(section.model_fields)
    return f"{origin}: unknown key '{key}'{nearest_name(str(first['loc'][-1]), known)} (known here: {', '.join(known)})"


def parse_config(settings: Any, origin: str = "settings") -> TrainConfig:
    """A mapping -> TrainConfig.

    Raises
    ------
    InputError
        Names the key, what was expected and what was got; for an unknown key the nearest known one.
    """
    if not isinstance(settings, dict):
        raise InputError(f"{origin}: expected a mapping with the keys {', '.join(TrainConfig.model_fields)}")
    try:
        return TrainConfig.model_validate(settings)
    except ValidationError as error:
        raise InputError(_message(error, TrainConfig, origin)) from None


def read_config(path: str | os.PathLike[str]) -> TrainConfig:
    """A YAML file -> TrainConfig; data paths are taken relative to the file's folder.

    Raises
    ------
    InputError
        The file is absent, is no YAML, or does not hold a valid configuration.
    """
    path = Path(path)
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give the training input as a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no valid YAML: {error}") from None
    if isinstance(settings, dict) and settings.get("recipe") == "train":
        settings = {
            key: value for key, value in settings.items() if key not in ("recipe", "seed")
        }  # a run's config.yaml
    config = parse_config(settings, str(path))
    folder = path.absolute().parent  # absolute, because the run keeps these settings in a folder of its own
    absolute = {key: tuple(str(folder / name) for name in getattr(config.data, key)) for key in ("train", "valid")}
    return config.model_copy(update={"data": config.data.model_copy(update=absolute)})
