"""DPA-1 without attention, where se_e2_a does not cover it: a factor on its net, a mean, or excluded pairs.

    T_i = sum over neighbours of R~_ij (x) G_cb(s_ij),     G_cb = N_cb(s) (1 + u g_cb),     u = 1, or the switch w(r)

with c the species of the centre and b of the neighbour. An atom has n slots for neighbours of all species together.
Where rows of R~ are shifted by a mean, each empty slot adds R~_c(0) (x) G_cp(0). There p is the species of the first
atom of the structure, because DeePMD-kit finds that one in an empty slot. So with a mean, unless u is the switch, the
energy depends on which atom comes first; dp-sim says so at import and gives the same number.

Pairs that the descriptor excludes take a slot and add nothing; those that a whole model excludes leave it empty.
"""

import torch
from torch import Tensor

from dp_sim.config.model import DeepmdPart
from dp_sim.descriptors.deeppot_se import DeepPotSE
from dp_sim.descriptors.descriptor import Descriptor
from dp_sim.descriptors.embedding import sum_over_neighbors
from dp_sim.descriptors.environment import Environment
from dp_sim.neighbors.pairs import pair_vectors
from dp_sim.networks.dense import Network
from dp_sim.structures.batch import AtomicBatch, NeighborList


class GatedEmbedding(torch.nn.Module):
    """G (P, M1) of pairs: one net for all species, for each b, or for each pair c, b, times the factors 1 + u g.

    Attributes
    ----------
    gates
        (T, T, M1) g, centre by neighbour.
    """

    gates: Tensor

    def __init__(self, part: DeepmdPart, n_species: int) -> None:
        super().__init__()
        self.n_species, self.smooth = n_species, part.gates == "smooth"
        self.by_neighbor, self.by_pair = part.gates == "none" and part.one_side, False
        self.by_pair = part.gates == "none" and not part.one_side
        n_nets = n_species**2 if self.by_pair else n_species if self.by_neighbor else 1
        self.nets = torch.nn.ModuleList(
            [
                Network(1, part.embedding, part.activation, timestep=part.residual_timestep, bias_deviation=1.0)
                for _ in range(n_nets)
            ]
        )
        self.register_buffer("gates", torch.zeros(n_species, n_species, part.embedding[-1]))

    def net_index(self, center_species: Tensor, neighbor_species: Tensor) -> Tensor:
        """Give the index (P,) of the net that each pair goes through, from the species (P,) of its atoms."""
        if self.by_pair:
            return center_species * self.n_species + neighbor_species
        return neighbor_species if self.by_neighbor else torch.zeros_like(neighbor_species)

    def forward(self, net_input: Tensor, switch: Tensor, center_species: Tensor, neighbor_species: Tensor) -> Tensor:
        """Compute G (P, M1).

        Parameters
        ----------
        net_input
            (P, 1) input of the nets.
        switch
            (P,) w(r).
        center_species, neighbor_species
            (P,) species of the atoms of each pair.
        """
        gates = self.gates[center_species, neighbor_species]
        factors = 1.0 + (switch[:, None] * gates if self.smooth else gates)
        which = self.net_index(center_species, neighbor_species)
        values = torch.zeros_like(gates)
        for index, net in enumerate(self.nets):
            pairs = torch.nonzero(which == index)[:, 0]
            values = values.index_add(0, pairs, net(net_input[pairs]))
        return values * factors


class SharedSlots(Descriptor):
    """D (N, M1 M2) of DPA-1 without attention.

    Parameters
    ----------
    environment
        Switch, mean and scale of R~.
    part
        The settings.
    allowed
        (T, T) centre by neighbour: False for pairs that are excluded.
    taking
        (T, T) True for the excluded pairs that take a slot nevertheless.
    reach
        Cutoff of the model, Angstrom: a neighbour inside it takes a slot.
    """

    allowed: Tensor
    taking: Tensor

    def __init__(
        self,
        environment: Environment,
        part: DeepmdPart,
        *,
        allowed: list[list[bool]],
        taking: list[list[bool]],
        reach: float,
    ) -> None:
        super().__init__()
        self.environment, self.embedding = environment, GatedEmbedding(part, len(allowed))
        self.contraction = DeepPotSE(part.embedding[-1], part.axis_width)
        self.n_features, self.n_species = self.contraction.n_features, len(allowed)
        self.n_slots, self.protection, self.reach = part.sel[0], part.protection, reach
        self.register_buffer("allowed", torch.tensor(allowed))
        self.register_buffer("taking", torch.tensor(taking))

    def is_sum_over_neighbors(self) -> bool:
        """Whether T is a sum of functions of s alone: no mean, no excluded pairs, no protection, no switch in G."""
        plain = not self.environment.mean.any() and bool(self.allowed.all()) and self.protection == 0.0
        return plain and not self.embedding.smooth

    def rows(self, unit_vectors: Tensor, s: Tensor, center_species: Tensor) -> Tensor:
        """Compute R~ (P, 4), shifted by the mean and scaled; see `Environment.rows`."""
        shifted = s - self.environment.mean[center_species]
        return torch.cat([shifted[:, None], s[:, None] * unit_vectors], dim=1) / self.environment.scale[center_species]

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        """Compute D (N, M1 M2)."""
        vectors = pair_vectors(batch, pairs).to(self.environment.mean.dtype)
        species, n_atoms = batch.species, batch.species.shape[0]
        distances = torch.linalg.vector_norm(vectors, dim=1)
        inside = distances < self.reach
        allowed = self.allowed[species[pairs.center], species[pairs.neighbor]]
        taking = self.taking[species[pairs.center], species[pairs.neighbor]]
        taken = torch.bincount(pairs.center[inside & (allowed | taking)], minlength=n_atoms)
        kept = torch.nonzero(inside & allowed)[:, 0]
        center, neighbor, vectors, distances = pairs.center[kept], pairs.neighbor[kept], vectors[kept], distances[kept]
        guarded = distances + self.protection
        s = self.environment.switch(distances) * (distances / guarded)
        rows = self.rows(vectors / guarded[:, None], s, species[center])
        switch = self.environment.switch(distances) * distances
        net_input = self.environment.net_input(s, species[center])
        embedded = self.embedding(net_input, switch, species[center], species[neighbor])
        total = sum_over_neighbors(rows, embedded, center, n_atoms)
        first = torch.searchsorted(batch.system, batch.system)  # of the structure that an atom is in
        free = self.n_slots - taken.to(total.dtype)
        return self.contraction(total + free[:, None, None] * self.padding()[species, species[first]])

    def padding(self) -> Tensor:
        """Compute the term of an empty slot, by centre and by species in the slot (T, T, 4, M1)."""
        each = torch.arange(self.n_species, device=self.allowed.device)
        center = each.repeat_interleave(self.n_species)
        zero = torch.zeros_like(self.environment.mean)[center]
        rows = self.rows(zero[:, None].expand(-1, 3), zero, center)
        embedded = self.embedding(self.environment.net_input(zero, center), zero, center, each.repeat(self.n_species))
        return (rows[:, :, None] * embedded[:, None, :]).view(self.n_species, self.n_species, 4, -1)
