"""Embedding nets G(s) and their sum over neighbours T = G^T R~, where every descriptor of this kind begins."""

import torch
from torch import Tensor

from dp_sim.networks.dense import Network


def sum_over_neighbors(rows: Tensor, embedded: Tensor, center: Tensor, n_atoms: int) -> Tensor:
    """Sum T_i = sum_j R~_ij (x) G_ij over neighbours.

    Each atom gets as many slots as the atom with most neighbours needs, so that the sum is one batched matrix product;
    empty slots hold zeros and add nothing.

    Parameters
    ----------
    rows
        (P, 4) of R~, for pairs sorted by centre.
    embedded
        (P, M1) G.
    center
        (P,) ascending.
    n_atoms
        N.

    Returns
    -------
    (N, 4, M1) tensor
    """
    counts = torch.bincount(center, minlength=n_atoms)
    slots = int(counts.max()) if n_atoms > 0 else 0
    first = torch.cumsum(counts, 0) - counts
    slot = center * slots + torch.arange(center.shape[0], device=center.device) - first[center]
    r = torch.zeros(n_atoms * slots, rows.shape[1], dtype=rows.dtype, device=rows.device)
    g = torch.zeros(n_atoms * slots, embedded.shape[1], dtype=rows.dtype, device=rows.device)
    r = r.index_copy(0, slot, rows).view(n_atoms, slots, rows.shape[1])
    g = g.index_copy(0, slot, embedded).view(n_atoms, slots, embedded.shape[1])
    return torch.bmm(r.transpose(1, 2), g)


class EmbeddingSum(torch.nn.Module):
    """T from the pairs, eq. 10: one net for each pair of species, or for each species of the neighbour.

    Parameters
    ----------
    n_species, widths, activation, timestep
        Number of species, and the shape of the nets; the last width is M1.
    one_side
        One net for each species of the neighbour, whatever the centre; else one for each (centre, neighbour).
    """

    def __init__(
        self, n_species: int, widths: tuple[int, ...], activation: str, one_side: bool, timestep: bool = False
    ) -> None:
        super().__init__()
        self.n_species, self.one_side, self.width = n_species, one_side, widths[-1]
        n_nets = n_species if one_side else n_species * n_species
        self.nets = torch.nn.ModuleList(
            [Network(1, widths, activation, timestep=timestep, bias_deviation=1.0) for _ in range(n_nets)]
        )

    def net_index(self, center_species: Tensor, neighbor_species: Tensor) -> Tensor:
        """Give the index (P,) of the net that each pair goes through, from the species (P,) of its atoms."""
        if self.one_side:
            return neighbor_species
        return center_species * self.n_species + neighbor_species

    def forward(self, rows: Tensor, net_input: Tensor, center: Tensor, neighbor: Tensor, species: Tensor) -> Tensor:
        """Compute T (N, 4, M1).

        Parameters
        ----------
        rows
            (P, 4) of R~. Descriptors without angles may have one column in place of four, and T too.
        net_input
            (P, 1).
        center, neighbor
            (P,) the atoms of each pair.
        species
            (N,) of all atoms.
        """
        n_atoms = species.shape[0]
        which = self.net_index(species[center], species[neighbor])
        total = torch.zeros(n_atoms, rows.shape[1], self.width, dtype=rows.dtype, device=rows.device)
        for index, net in enumerate(self.nets):
            pairs = torch.nonzero(which == index)[:, 0]
            total = total + sum_over_neighbors(rows[pairs], net(net_input[pairs]), center[pairs], n_atoms)
        return total

    def projected(self, features: Tensor, sites: Tensor, inverse: Tensor, species: Tensor) -> Tensor:
        """Compute T = A C from projected pairs (dp_sim.training.features.spline_basis).

        Parameters
        ----------
        features
            (N, 4, T K) A.
        sites
            (K, 1) net inputs at the sites of its basis.
        inverse
            (K, K) turns values at the sites into spline coefficients.
        species
            (N,) of all atoms.

        Returns
        -------
        (N, 4, M1) tensor
        """
        tables = [inverse @ net(sites) for net in self.nets]
        if self.one_side:
            return features @ torch.cat(tables)
        total = features.new_zeros(features.shape[0], 4, self.width)
        for index in range(self.n_species):
            atoms = torch.nonzero(species == index)[:, 0]
            coefficients = torch.cat(tables[index * self.n_species : (index + 1) * self.n_species])
            total = total.index_add(0, atoms, features[atoms] @ coefficients)
        return total
