"""What the data says before training: the energy per species, and the statistics that the descriptor asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dp_sim.datasets.frames import Frame
from dp_sim.model.potential import DeepPotential
from dp_sim.neighbors.pairs import StructurePairs


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


def initialise(model: DeepPotential, frames: Sequence[Frame], pairs: Sequence[StructurePairs]) -> None:
    """Write the statistics of the training frames into the model's buffers."""
    model.descriptor.set_statistics(pairs)
    model.fitting.bias.copy_(energy_bias(frames, [p.species for p in pairs], len(model.fitting.bias)))
