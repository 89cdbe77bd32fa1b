"""What a run on the fly is given: members or the settings to make them with, the label calculator, earlier data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ase import Atoms

from dp_sim.config.recipe import RecipeSettings
from dp_sim.config.safe_yaml import load_yaml
from dp_sim.config.training import DataConfig, TrainConfig
from dp_sim.config.training_input import parse_config, read_config
from dp_sim.datasets.file_hash import hash_sources
from dp_sim.datasets.frames import Frame
from dp_sim.datasets.reading import read_all
from dp_sim.errors import InputError
from dp_sim.model.evaluator import Model
from dp_sim.recipes.dynamics.engines.protocol import Conditions
from dp_sim.recipes.inputs.calculators import (
    as_calculator,
    calculator_from_spec,
    calculator_settings,
    only_model,
)
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.learning.members.retraining import Recipe, recipe_of_members
from dp_sim.recipes.learning.settings import LearnSettings
from dp_sim.recipes.learning.starts import read_starts


@dataclass(frozen=True)
class Inputs:
    """All that a run is given, checked.

    Attributes
    ----------
    starts, conditions, own
        As of `Starts`.
    calculator
        Of the members; None: they are made here.
    model
        The committee, without its calibration; None: it is made here.
    factor
        What its spread is worth: that of its calibration for the forces on atoms, else 1.
    label
        The label calculator.
    recipe
        How members are trained.
    frames
        Earlier data.
    data_sha256
        Their sources, with hashes.
    """

    starts: tuple[Atoms, ...]
    conditions: Conditions
    own: RecipeSettings | None
    calculator: Any
    model: Model | None
    factor: float
    label: Any
    recipe: Recipe
    frames: tuple[Frame, ...]
    data_sha256: dict[str, str]

    @property
    def members(self) -> int:
        """Number of members."""
        return len(self.recipe.settings)

    @property
    def label_settings(self) -> Mapping[str, Any]:
        """What config.yaml says of the label calculator."""
        named = calculator_settings(self.label)
        return {"label": named["calculator"], "label_arg": named.get("calculator_arg", {})}


def read_inputs(atoms: Any, calc: Any, label: Any, settings: LearnSettings) -> Inputs:
    """Check and read what a run is given.

    Raises
    ------
    InputError
        Neither members nor settings to make them with, or both; a calculator in place of members, or a single model;
        members that cannot be trained on; a structure that they cannot evaluate; data that cannot be read; an unknown
        label calculator, or a model in its place.
    """
    reference = _label_calculator(label)
    if (calc is None) == (settings.train is None):
        raise InputError(
            "members-missing",
            "give a committee (-m DIR), or settings to make one with (--train FILE.yaml); got "
            + ("neither" if calc is None else "both"),
        )
    calculator = None if calc is None else as_calculator(calc)
    model = None if calculator is None else _committee(calculator)
    made_with = None if settings.train is None else _training_settings(Path(settings.train))
    if model is None and settings.first >= settings.max_labels:
        raise InputError(
            "setting-out-of-range",
            f"max_labels must be above first ({settings.first}), the labels that come before all dynamics, got "
            f"{settings.max_labels}",
        )
    starts = read_starts(atoms, calculator or reference, settings)
    if calculator is not None:
        for one in starts.structures:
            prepare_atoms(one, calculator)
    recipe = _recipe(model, made_with, settings)
    recipe.config(0, 1, recipe.model if model is None else model.members[0].config)  # refuses before anything is done
    sources = (*settings.data, *(() if made_with is None else made_with.data.train))
    keys = None if made_with is None else made_with.data.keys
    calibration = None if model is None else model.calibration
    return Inputs(
        starts.structures,
        starts.conditions,
        starts.own,
        calculator,
        None if model is None else Model(model.modules, model.members, str(model.device), model.files, model.folder),
        1.0 if calibration is None else calibration.atoms.factor,
        reference,
        recipe,
        tuple(read_all(sources, keys=keys)) if sources else (),
        hash_sources(sources)[1],
    )


def _label_calculator(label: Any) -> Any:
    calculator = calculator_from_spec(label) if isinstance(label, str) else as_calculator(label)
    if "calculator" not in calculator_settings(calculator):
        raise InputError(
            "label-kind", "the labels must come from a reference calculator, got a Deep Potential; give another one"
        )
    return calculator


def _committee(calculator: Any) -> Model:
    model = only_model(calculator)
    if model is None:
        raise InputError(
            "members-missing", f"learning needs a committee of models, got the calculator {type(calculator).__name__}"
        )
    if len(model.members) < 2:
        raise InputError(
            "members-too-few",
            f"learning needs a committee of two or more members, got one ({', '.join(model.files)}): a single model "
            "does not know where it is unsure; train others with other seeds (dp-sim train --members 4)",
        )
    return model


def _training_settings(file: Path) -> TrainConfig:
    """Read a training input, in which the data may be left out; what learning does not honour is refused."""
    config = _read_training_input(file)
    usual = TrainConfig(data=DataConfig(train=config.data.train, keys=config.data.keys))
    others = [f"data.{key}" for key in DataConfig.model_fields if getattr(config.data, key) != getattr(usual.data, key)]
    others += [key for key in ("members", "start_from") if getattr(config, key) is not None]
    if others:
        raise InputError(
            "setting-not-for-learn",
            f"{file}: {', '.join(others)}: not for members that learn on the fly, which train on all labels there "
            "are; leave out (--members says how many)",
        )
    return config


def _read_training_input(file: Path) -> TrainConfig:
    try:
        content = load_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return read_config(file)  # says what is wrong
    if isinstance(content, dict) and "data" not in content:
        return parse_config({**content, "data": {"train": []}}, str(file))
    return read_config(file)


def _recipe(model: Model | None, made_with: TrainConfig | None, settings: LearnSettings) -> Recipe:
    again: dict[str, Any] = {
        "steps": settings.train_steps,
        "learning_rate": settings.learning_rate,
        "seed": settings.seed,
    }
    if model is not None:
        return recipe_of_members(model, **again)
    assert made_with is not None
    sections = made_with.model_dump(mode="json")
    own = {"loss": sections["loss"], "training": sections["training"]}
    return Recipe((own,) * settings.members, sections["model"], **again)
