"""What the data says before training: descriptor mean and deviation, number of neighbours, energy per species."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dp_sim.data import Frame
from dp_sim.environment import Environment
from dp_sim.model import DeepPotential
from dp_sim.projection import FramePairs


def set_environment(environment: Environment, frames: Sequence[FramePairs], angular_weight: float = 1.0) -> None:
    """Mean and deviation of s over all pairs, and the scale of the rows of R~ per species of the centre.

    The scale is the deviation of a column over the pairs times the mean number of neighbours, so that T = G^T R~ is an
    average over neighbours, of order one; `angular_weight` multiplies the columns x, y, z.
    """
    n_species = environment.scale.shape[0]
    s = torch.cat([environment.switch(torch.linalg.vector_norm(f.vectors, dim=1)) for f in frames])
    centers = torch.cat([f.species[f.center] for f in frames])
    atoms = torch.bincount(torch.cat([f.species for f in frames]), minlength=n_species).double()
    if len(s) == 0:
        return
    environment.mean.fill_(s.mean())
    environment.deviation.fill_(s.std(correction=0).clamp_min(1e-2))
    for index in range(n_species):
        chosen = s[centers == index]
        if len(chosen) == 0:
            continue
        neighbors = len(chosen) / atoms[index]
        radial = chosen.std(correction=0).clamp_min(1e-2)
        angular = (chosen.square().mean() / 3).sqrt().clamp_min(1e-2)  # <(s x/r)^2> of directions without preference
        environment.scale[index] = neighbors * torch.stack([radial, *[angular / angular_weight] * 3])


def energy_bias(frames: Sequence[Frame], species: Sequence[Tensor], n_species: int) -> Tensor:
    """Least-squares energy per species (T,), eV, of the labelled frames; of all solutions the one of least norm."""
    counts = [
        np.bincount(s.numpy(), minlength=n_species)
        for f, s in zip(frames, species, strict=True)
        if f.energy is not None
    ]
    energies = [f.energy for f in frames if f.energy is not None]
    if not energies:
        return torch.zeros(n_species, dtype=torch.float64)
    solution = np.linalg.lstsq(np.array(counts, dtype=float), np.array(energies, dtype=float), rcond=None)[0]
    return torch.as_tensor(solution)


def initialise(
    model: DeepPotential, frames: Sequence[Frame], pairs: Sequence[FramePairs], angular_weight: float = 1.0
) -> None:
    """Write the statistics of the training frames into the model's buffers."""
    set_environment(model.environment, pairs, angular_weight)
    model.fitting.bias.copy_(energy_bias(frames, [p.species for p in pairs], len(model.fitting.bias)))
