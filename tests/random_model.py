"""A model that was never trained: every weight is random, so every term of the energy is there."""

from __future__ import annotations

from pathlib import Path

import torch

from dp_sim.config import ModelConfig
from dp_sim.export import save_model
from dp_sim.model import DeepPotential


def write_random_model(path: Path, *, seed: int = 1, species: tuple[str, ...] = ("H", "C", "N", "O")) -> Path:
    """A small float64 model at `path`."""
    config = ModelConfig(
        species=species,
        cutoff=4.0,
        embedding=(8, 16),
        axis_width=4,
        fitting=(16, 16),
        precision="float64",
    )
    torch.manual_seed(seed)
    save_model(path, DeepPotential(config), config)
    return path
