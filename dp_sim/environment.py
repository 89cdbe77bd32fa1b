"""The generalised local environment matrix R~ of eq. 8 (Zhang et al., NeurIPS 2018) and its normalisation."""

import torch
from torch import Tensor

from dp_sim.switch import Switch


class Environment(torch.nn.Module):
    """Pair vectors -> rows of R~ and the input of the embedding nets.

    Row of R~ (eq. 8): (s, s x/r, s y/r, s z/r), each divided by `scale`: the deviation of that column over the training
    data times the mean number of neighbours, per species of the centre. A row is only scaled, never shifted, so that it
    still vanishes at the cutoff and no padding is needed. The nets see (s - mean)/deviation.
    """

    mean: Tensor
    deviation: Tensor
    scale: Tensor

    def __init__(self, cutoff: float, switch_start: float, switch: str, n_species: int) -> None:
        super().__init__()
        self.switch = Switch(switch_start, cutoff, switch)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("scale", torch.ones(n_species, 4))

    def weights(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """(P, 3) Angstrom -> unit vectors (P, 3) and s (P,) in 1/Angstrom."""
        distances = torch.linalg.vector_norm(vectors, dim=1)
        return vectors / distances[:, None], self.switch(distances)

    def rows(self, unit_vectors: Tensor, s: Tensor, center_species: Tensor) -> Tensor:
        """R~, eq. 8, scaled: (P, 4)."""
        plain = torch.cat([s[:, None], s[:, None] * unit_vectors], dim=1)
        return plain / self.scale[center_species]

    def net_input(self, s: Tensor) -> Tensor:
        """s (P,) -> what the embedding nets see (P, 1)."""
        return ((s - self.mean) / self.deviation)[:, None]
