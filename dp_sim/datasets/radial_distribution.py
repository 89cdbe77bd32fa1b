"""Radial distribution of training data, which a model file keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dp_sim.config.model import ModelConfig
from dp_sim.neighbors.pairs import StructurePairs


def radial_distribution(
    pairs: Sequence[StructurePairs], config: ModelConfig, bins: int = 200
) -> dict[str, list[float]]:
    """Compute the density of neighbours (1/Angstrom^3) at distance r (Angstrom) from an atom, per pair of species.

    This is g(r) times the mean density, which a molecule does not have.

    Parameters
    ----------
    pairs
        Pairs of each frame.
    config
        Settings of the model, for cutoff and species.
    bins
        Number of bins up to the cutoff.

    Returns
    -------
    dict
        "r": centres of the bins, and "A-B" for each pair of species: densities.
    """
    edges = np.linspace(0.0, config.cutoff, bins + 1)
    centers = 0.5 * (edges[1:] + edges[:-1])
    shell = 4 * np.pi / 3 * np.diff(edges**3)
    distances = np.concatenate([torch.linalg.vector_norm(p.vectors, dim=1).numpy() for p in pairs])
    first = np.concatenate([p.species[p.center].numpy() for p in pairs])
    second = np.concatenate([p.species[p.neighbor].numpy() for p in pairs])
    atoms = np.bincount(np.concatenate([p.species.numpy() for p in pairs]), minlength=len(config.species))
    result = {"r": centers.tolist()}
    for i, a in enumerate(config.species):
        for j, b in enumerate(config.species[i:], start=i):
            counts = np.histogram(distances[(first == i) & (second == j)], edges)[0]
            result[f"{a}-{b}"] = (counts / (max(int(atoms[i]), 1) * shell)).round(6).tolist()
    return result
