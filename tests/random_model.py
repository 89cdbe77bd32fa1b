"""A model that was never trained: every weight is random, so every term of the energy is there."""

from __future__ import annotations

from pathlib import Path

import torch

from dp_sim.config import ModelConfig
from dp_sim.export import save_model
from dp_sim.model import DeepPotential


def write_random_model(path: Path, *, seed: int = 1, cutoff: float = 4.0) -> Path:
    """A small float64 model of H, C, N and O at `path`."""
    config = ModelConfig(
        species=("H", "C", "N", "O"),
        cutoff=cutoff,
        embedding=(8, 16),
        axis_width=4,
        fitting=(16, 16),
        precision="float64",
    )
    torch.manual_seed(seed)
    save_model(path, DeepPotential(config), config)
    return path
