"""Models as DeePMD-kit trains them, with random weights and statistics: a mean, excluded pairs, several parts."""

from __future__ import annotations

import torch
from systems import CUTOFF, SPECIES

from dp_sim.config.model import ModelConfig
from dp_sim.model.potential import DeepPotential

ANGULAR = {"kind": "se_e2_a", "axis_width": 3, "embedding": (5, 10)}
RADIAL = {"kind": "se_e2_r", "embedding": (6, 6)}


def part(kind: dict[str, object], **settings: object) -> dict[str, object]:
    """One part of a hybrid, with a mean unless told otherwise."""
    return {"cutoff": CUTOFF, "switch_start": 0.5, "sel": (8, 11, 9), "shifted": True, **kind, **settings}


def deepmd_config(*parts: dict[str, object], precision: str = "float64") -> ModelConfig:
    """The settings of a model of these parts."""
    return ModelConfig.model_validate(
        {
            "descriptor": "deepmd-kit",
            "species": SPECIES,
            "cutoff": CUTOFF,
            "parts": parts,
            "fitting": (12, 12),
            "precision": precision,
        }
    )


def deepmd_model(*parts: dict[str, object], precision: str = "float64", seed: int = 0) -> DeepPotential:
    """A model of these parts; each has a mean of its own for every species of the centre where it is shifted."""
    config = deepmd_config(*parts, precision=precision)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DeepPotential(config)
    children = list(model.descriptor.parts.children()) if len(parts) > 1 else [model.descriptor]
    for child, settings in zip(children, parts, strict=True):
        environment = child.environment
        spread = torch.rand(3, len(SPECIES), generator=generator)
        environment.mean.copy_((0.05 + 0.1 * spread[0]) * float(bool(settings["shifted"])))
        environment.deviation.copy_(0.1 + 0.2 * spread[1])
        environment.scale.copy_((3.0 + spread[2])[:, None].expand(-1, 4) * torch.tensor([1.0, 0.8, 0.8, 0.8]))
    model.fitting.bias.copy_(torch.linspace(-20.0, 3.0, len(SPECIES), dtype=torch.float64))
    return model
