"""DeePMD-kit's se_e3: a function of the angle between two neighbours, summed over all pairs of neighbours.

With h_ij = s(r_ij) r_ij/r_ij / deviation (the last three columns of R~, deviation per species of the centre),

    D_i = sum_(b <= c) 1/(sel_b sel_c) sum_(j of species b, k of species c) x_jk N_bc(x_jk),     x_jk = h_ij . h_ik

j = k is among the pairs, and j, k of one species come in both orders. A padded slot and an excluded pair have h = 0
and add nothing. The mean of s plays no part, because its column is not used.
"""

import torch
from torch import Tensor

from dp_sim.descriptors.descriptor import Descriptor
from dp_sim.descriptors.environment import Environment
from dp_sim.neighbors.pairs import pair_vectors
from dp_sim.networks.dense import Network
from dp_sim.structures.batch import AtomicBatch, NeighborList


def pairs_of_neighbors(center: Tensor, n_atoms: int) -> tuple[Tensor, Tensor]:
    """List all ordered pairs (j, k) of neighbours of each atom.

    Parameters
    ----------
    center
        (P,) ascending, centre of each pair of atoms.
    n_atoms
        N.

    Returns
    -------
    j, k
        (sum_i n_i^2,) indices into the P pairs, with n_i the number of neighbours of atom i.
    """
    counts = torch.bincount(center, minlength=n_atoms)
    first = torch.cumsum(counts, 0) - counts
    repeats = counts[center]
    j = torch.repeat_interleave(torch.arange(center.shape[0], device=center.device), repeats)
    slot = torch.arange(j.shape[0], device=center.device) - (torch.cumsum(repeats, 0) - repeats)[j]
    return j, first[center[j]] + slot


class ThreeBody(Descriptor):
    """D (N, M1); memory and time grow with the square of the number of neighbours.

    The nets N_bc stand in the order (0, 0), (0, 1), ..., (1, 1), (1, 2), ...

    Parameters
    ----------
    environment
        Switch and scale: the deviations, of which the last three columns are used.
    widths, activation, timestep
        Shape of the nets; the last width is M1.
    sel
        (T,) sel_b.
    allowed
        (T, T) centre by neighbour: False for pairs that are excluded.
    protection
        Added to r in 1/r, Angstrom.
    """

    sel: Tensor
    allowed: Tensor

    def __init__(
        self,
        environment: Environment,
        widths: tuple[int, ...],
        activation: str,
        *,
        timestep: bool,
        sel: list[int],
        allowed: list[list[bool]],
        protection: float,
    ) -> None:
        super().__init__()
        self.environment, self.protection = environment, protection
        self.n_species, self.n_features = len(sel), widths[-1]
        n_nets = self.n_species * (self.n_species + 1) // 2
        self.nets = torch.nn.ModuleList(
            [Network(1, widths, activation, timestep=timestep, bias_deviation=1.0) for _ in range(n_nets)]
        )
        self.register_buffer("sel", torch.tensor(sel, dtype=torch.float64))
        self.register_buffer("allowed", torch.tensor(allowed))

    def directions(self, vectors: Tensor, center_species: Tensor) -> Tensor:
        """Compute h (P, 3) from pair vectors (P, 3), Angstrom, and the species of their centres (P,)."""
        distances = torch.linalg.vector_norm(vectors, dim=1)
        guarded = distances + self.protection
        s = self.environment.switch(distances) * (distances / guarded)
        return (s / guarded)[:, None] * vectors / self.environment.scale[center_species][:, 1:]

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        """Compute D (N, M1)."""
        species = batch.species
        kept = torch.nonzero(self.allowed[species[pairs.center], species[pairs.neighbor]])[:, 0]
        center, kind = pairs.center[kept], species[pairs.neighbor[kept]]
        vectors = pair_vectors(batch, pairs)[kept].to(self.environment.scale.dtype)
        h = self.directions(vectors, species[center])
        j, k = pairs_of_neighbors(center, species.shape[0])
        # (j, k) and (k, j) are equal: one of them, twice
        once = torch.nonzero((kind[j] < kind[k]) | ((kind[j] == kind[k]) & (j <= k)))[:, 0]
        j, k = j[once], k[once]
        weight = (1 + ((kind[j] == kind[k]) & (j < k)).to(h.dtype)) / (self.sel[kind[j]] * self.sel[kind[k]])
        weight, x = weight.to(h.dtype), (h[j] * h[k]).sum(dim=1)
        total = torch.zeros(species.shape[0], self.n_features, dtype=h.dtype, device=h.device)
        # where the row of b begins in the list of nets, less b
        row = kind[j] * (2 * self.n_species - kind[j] - 1) // 2
        for index, net in enumerate(self.nets):
            chosen = torch.nonzero(row + kind[k] == index)[:, 0]
            values = (weight * x)[chosen, None] * net(x[chosen, None])
            total = total.index_add(0, center[j[chosen]], values)
        return total
