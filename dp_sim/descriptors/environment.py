"""The generalised local environment matrix R~ of eq. 8 (Zhang et al., NeurIPS 2018) and its normalisation."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dp_sim.compiled.part_layout import Geometry
from dp_sim.descriptors.switch import Switch
from dp_sim.neighbors.pairs import StructurePairs, pair_vectors
from dp_sim.structures.batch import AtomicBatch, NeighborList


class Environment(torch.nn.Module):
    """The rows of R~ and the input of the embedding nets, from pair vectors.

    Row of R~ (eq. 8): (s, s x/r, s y/r, s z/r), each divided by `scale`: the deviation of that column over the training
    data times the mean number of neighbours, per species of the centre. A row is only scaled, never shifted, so that it
    still vanishes at the cutoff and no padding is needed. The nets see (s - mean)/deviation, per species of the centre
    as well.

    Parameters
    ----------
    cutoff, switch_start
        r_c and r_cs, Angstrom.
    switch
        Kind of the switch (dp_sim.descriptors.switch).
    n_species
        T.
    angular_weight
        Multiplies the columns x, y, z, relative to s, when the scale is taken from data.
    """

    mean: Tensor
    deviation: Tensor
    scale: Tensor

    def __init__(
        self, cutoff: float, switch_start: float, switch: str, n_species: int, angular_weight: float = 1.0
    ) -> None:
        super().__init__()
        self.angular_weight = angular_weight
        self.switch = Switch(switch_start, cutoff, switch)
        self.register_buffer("mean", torch.zeros(n_species))
        self.register_buffer("deviation", torch.ones(n_species))
        self.register_buffer("scale", torch.ones(n_species, 4))

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> tuple[Tensor, Tensor]:
        """Compute the rows of R~ (P, 4) and s (P,), 1/Angstrom, of all pairs, in the precision of the weights."""
        unit_vectors, s = self.weights(pair_vectors(batch, pairs).to(self.mean.dtype))
        return self.rows(unit_vectors, s, batch.species[pairs.center]), s

    def weights(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Compute unit vectors (P, 3) and s (P,), 1/Angstrom, from pair vectors (P, 3), Angstrom."""
        distances = torch.linalg.vector_norm(vectors, dim=1)
        return vectors / distances[:, None], self.switch(distances)

    def rows(self, unit_vectors: Tensor, s: Tensor, center_species: Tensor) -> Tensor:
        """Compute the scaled rows of R~ (P, 4), eq. 8, from unit vectors (P, 3), s (P,) and species (P,) of centres."""
        plain = torch.cat([s[:, None], s[:, None] * unit_vectors], dim=1)
        return plain / self.scale[center_species]

    def net_input(self, s: Tensor, center_species: Tensor) -> Tensor:
        """Compute the input of the embedding nets (P, 1) from s (P,) and the species of the centres (P,)."""
        return ((s - self.mean[center_species]) / self.deviation[center_species])[:, None]

    def set_statistics(self, frames: Sequence[StructurePairs]) -> None:
        """Set mean and deviation of s over all pairs, and the scale of the rows of R~ per species of the centre.

        The scale is the deviation of a column over the pairs times the mean number of neighbours, so that T = G^T R~ is
        an average over neighbours, of order one.
        """
        n_species = self.scale.shape[0]
        s = torch.cat([self.switch(torch.linalg.vector_norm(f.vectors, dim=1)) for f in frames])
        centers = torch.cat([f.species[f.center] for f in frames])
        atoms = torch.bincount(torch.cat([f.species for f in frames]), minlength=n_species).double()
        if len(s) == 0:
            return
        self.mean.fill_(s.mean())
        self.deviation.fill_(s.std(correction=0).clamp_min(1e-2))
        for index in range(n_species):
            chosen = s[centers == index]
            if len(chosen) == 0:
                continue
            neighbors = len(chosen) / atoms[index]
            radial = chosen.std(correction=0).clamp_min(1e-2)
            # <(s x/r)^2> where no direction is preferred
            angular = (chosen.square().mean() / 3).sqrt().clamp_min(1e-2)
            self.scale[index] = neighbors * torch.stack([radial, *[angular / self.angular_weight] * 3])


def geometry(environment: Any) -> Geometry:
    """Lay out the rows of R~ of an Environment, scripted or not, for the compiled path: scaled, and not shifted."""
    scale = 1.0 / environment.scale.to(torch.float64)
    switch = environment.switch
    return Geometry(bool(switch.cosine), float(switch.start), float(switch.cutoff), scale, torch.zeros(len(scale)))
