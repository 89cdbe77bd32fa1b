"""A model that was never trained: every weight is random, so every term of the energy is there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from dp_sim.config.model import ModelConfig
from dp_sim.model.model_file import save_model
from dp_sim.model.potential import DeepPotential


def write_random_model(
    path: Path,
    *,
    seed: int = 1,
    species: tuple[str, ...] = ("H", "C", "N", "O"),
    descriptor: Literal["deeppot-se", "local-frame", "deep-potential"] = "deeppot-se",
) -> Path:
    """A small float64 model at `path`."""
    own = {"embedding": (8, 16), "axis_width": 4} if descriptor == "deeppot-se" else {"angular_neighbors": 6}
    shared = {"descriptor": descriptor, "species": species, "cutoff": 4.0, "fitting": (16, 16), "precision": "float64"}
    config = ModelConfig.model_validate({**shared, **own})
    torch.manual_seed(seed)
    save_model(path, DeepPotential(config), config)
    return path


def write_random_committee(
    folder: Path, count: int, *, apart: float, species: tuple[str, ...], seed: int = 1
) -> list[Path]:
    """Models that differ little: the same random weights, each then moved by a share `apart` of its size."""
    files = []
    for number in range(count):
        config = ModelConfig.model_validate(
            {
                "species": species,
                "cutoff": 4.0,
                "fitting": (16, 16),
                "precision": "float64",
                "embedding": (8, 16),
                "axis_width": 4,
            }
        )
        torch.manual_seed(seed)
        potential = DeepPotential(config)
        torch.manual_seed(number)
        with torch.no_grad():
            for weight in potential.parameters():
                weight *= 1 + apart * torch.randn_like(weight)
        save_model(folder / f"{number}.pt", potential, config)
        files.append(folder / f"{number}.pt")
    return files
