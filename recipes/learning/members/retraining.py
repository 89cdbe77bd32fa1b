"""Training of the members: from random weights, or on from where they are, on all labels there are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dp_sim.config.training import TrainConfig
from dp_sim.config.training_input import parse_config
from dp_sim.datasets.frames import Frame
from dp_sim.errors import InputError
from dp_sim.model.evaluator import Model
from dp_sim.model.metadata import ModelMetadata
from dp_sim.model.model_file import save_model
from dp_sim.model.potential import DeepPotential
from dp_sim.model.rebuilding import rebuilt_network
from dp_sim.recipes.models.training_run import summary
from dp_sim.training.data import Datasets
from dp_sim.training.loop import CurvePoint, fit
from dp_sim.training.trainer import Trainer

#: Share of the members' own first learning rate at which a retraining begins, where none is given.
_RATE_SHARE = 0.1
#: Frames of the first data on which forgetting is watched, at most.
WATCHED = 50


@dataclass(frozen=True)
class Recipe:
    """How members are trained.

    Attributes
    ----------
    settings
        Loss and training sections of each member's settings.
    model
        Its section `model`, where members are made from random weights.
    steps, learning_rate
        Of a retraining; None: a tenth of the members' own learning rate.
    seed
        Of the run.
    """

    settings: tuple[dict[str, Any], ...]
    model: dict[str, Any] | None
    steps: int
    learning_rate: float | None
    seed: int

    def config(self, member: int, training: int, model: dict[str, Any] | None) -> TrainConfig:
        """Return the settings of a training.

        Parameters
        ----------
        member, training
            Their numbers; both enter the seed.
        model
            Settings of the model that goes on; None for random weights.
        """
        own = self.settings[member]
        changed: dict[str, Any] = {"seed": self.seed + len(self.settings) * training + member}
        if model is not None:
            changed |= {"steps": self.steps, **self._rates(own["training"])}
        sections = {**own, "training": {**own["training"], **changed}}
        return parse_config({"model": model or self.model or {}, "data": {"train": []}, **sections})

    def _rates(self, training: dict[str, Any]) -> dict[str, float]:
        if "learning_rate" not in training:  # an optimiser without one
            if self.learning_rate is not None:
                raise InputError(
                    "option-not-for-optimizer",
                    f"learning_rate does not apply to optimizer {training['optimizer']} of the members; leave it out",
                )
            return {}
        rate = self.learning_rate or _RATE_SHARE * training["learning_rate"]
        return {"learning_rate": rate, "learning_rate_end": min(rate, training["learning_rate_end"])}


def recipe_of_members(model: Model, *, steps: int, learning_rate: float | None, seed: int) -> Recipe:
    """Take from the members how they were trained.

    Raises
    ------
    InputError
        A member that was imported, compressed, or not trained: it cannot be trained on.
    """
    settings = []
    for file, member in zip(model.files, model.members, strict=True):
        own = member.training.get("settings")
        if member.compression or member.config.get("descriptor") == "deepmd-kit" or not own:
            raise InputError(
                "members-untrainable",
                f"{file} cannot be trained further: it was imported from DeePMD-kit, compressed, or never trained; "
                "give members as `dp-sim train` makes them",
            )
        settings.append({"loss": own["loss"], "training": own["training"]})
    return Recipe(tuple(settings), None, steps, learning_rate, seed)


def train_member(
    config: TrainConfig,
    own: dict[str, Any],
    frames: Sequence[Frame],
    start: tuple[DeepPotential, ModelMetadata] | None,
    target: Path,
    checkpoint: Path,
    *,
    whole_steps: Callable[[], Any],
    on_step: Callable[[int], None],
) -> None:
    """Train one member into `target`; one that was interrupted goes on from its checkpoint.

    Parameters
    ----------
    config
        Settings of this training.
    own
        Loss and training sections that the file keeps: those that the member was first made with.
    frames
        All labels.
    start
        Network to go on from, and what its file says; None: random weights.
    target, checkpoint
        The model file, and the state meanwhile.
    whole_steps, on_step
        As for `fit`.
    """
    network, before = (None, None) if start is None else start
    trainer = Trainer(config, Datasets(list(frames), []), network)
    curve = fit(trainer, checkpoint=checkpoint, on_step=on_step, whole_steps=whole_steps)
    known = () if before is None else tuple(before.training.get("trained_species", before.species))
    save_model(target, trainer.result, trainer.config.model, _summary(trainer, curve, own, known))
    checkpoint.unlink(missing_ok=True)


def _summary(
    trainer: Trainer, curve: Sequence[CurvePoint], own: dict[str, Any], known: Sequence[str]
) -> dict[str, Any]:
    """Collect what the model file keeps of its training; what the member knew before it knows still."""
    trained = {*known, *trainer.trained_species}
    return {
        **summary(trainer, curve),
        "settings": own,
        "trained_species": [one for one in trainer.config.model.species if one in trained],
        "lonely_species": [one for one in trainer.lonely_species if one not in known],
    }


def weights_sha256(model: Model) -> list[str]:
    """Hash weights and statistics of each member; the names of classes inside a file differ from time to time."""
    hashes = []
    for module in model.modules:
        digest = hashlib.sha256()
        for name, values in sorted(module.state_dict().items()):
            digest.update(name.encode())
            digest.update(values.cpu().contiguous().numpy().tobytes())
        hashes.append(digest.hexdigest())
    return hashes


def network_of(model: Model, number: int) -> tuple[DeepPotential, ModelMetadata]:
    """Give a member to go on from."""
    return rebuilt_network(model.modules[number], model.members[number]), model.members[number]


def force_errors(model: Model, frames: Sequence[Frame]) -> list[float]:
    """Return the largest error of the mean force on an atom of each frame (eV/Angstrom)."""
    return [float(np.linalg.norm(error, axis=1).max()) for error in _differences(model, frames)]


def force_rmse(model: Model, frames: Sequence[Frame]) -> float | None:
    """Return the RMSE of force components over frames (eV/Angstrom); None without any."""
    differences = _differences(model, frames)
    return float(np.sqrt(np.mean(np.concatenate(differences) ** 2))) if differences else None


def _differences(model: Model, frames: Sequence[Frame]) -> list[np.ndarray]:
    if not frames:
        return []
    with_forces = [frame for frame in frames if frame.forces is not None]
    outputs = model.evaluate_each(with_forces, names=[frame.name for frame in with_forces])
    return [
        output.forces.cpu().numpy() - frame.forces  # type: ignore[union-attr]
        for frame, output in zip(with_forces, outputs, strict=True)
    ]


def watched(frames: Sequence[Frame]) -> list[Frame]:
    """Choose frames, evenly spread over those given, on which forgetting is watched."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), WATCHED)).round().astype(int))
    return [frames[i] for i in chosen] if frames else []
