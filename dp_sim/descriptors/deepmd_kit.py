"""DeePMD-kit's se_e2_a and se_e2_r with all that its files may hold: a mean, excluded pairs, a protected 1/r.

There every atom has sel_b places for neighbours of species b; places without a neighbour are padded with s = 0. Rows of
R~ are shifted by the mean, so a padded place adds a term of its own, P_cb = R~_c(0) (x) G_b(-mean_c/deviation_c), c the
centre's species. No places are needed to get the same number:

    T_i = (sum over neighbours of R~_ij (x) G_ij) + sum_b (sel_b - n_ib) P_cb,     n_ib neighbours of species b

Where DeePMD-kit finds more than sel_b neighbours it drops the farthest. Here all are kept: a term and the P_cb that it
replaces are equal at the cutoff, so the energy is as smooth with n_ib > sel_b as below.

Excluded pairs are an exception: there their place holds a zero row, not the padded one, so with a mean the energy jumps
as such a neighbour crosses the cutoff. That jump is kept: it is part of the model. Pairs that a whole model excludes
(`pair_exclude_types`) leave their place to padding, and nothing jumps.
"""

import torch
from torch import Tensor

from dp_sim.config.model import DeepmdPart, ModelConfig
from dp_sim.descriptors.deeppot_se import DeepPotSE
from dp_sim.descriptors.descriptor import Descriptor
from dp_sim.descriptors.embedding import EmbeddingSum
from dp_sim.descriptors.environment import Environment
from dp_sim.descriptors.radial import Radial
from dp_sim.descriptors.shared_places import SharedPlaces
from dp_sim.descriptors.smooth import SmoothDescriptor
from dp_sim.descriptors.three_body import ThreeBody
from dp_sim.neighbors.pairs import pair_vectors
from dp_sim.structures.batch import AtomicBatch, NeighborList


class DeepmdKitDescriptor(Descriptor):
    """D (N, n_features) as DeePMD-kit has it, without its limit on neighbours.

    environment   switch, mean and deviation of s; scale: deviation of the columns times sum(sel), of which `angular`
                  descriptors (se_e2_a) use four, and radial ones (se_e2_r: D = sum_j G_ij / scale) the first
    places        sel_b (T,)
    allowed       (T, T) bool, centre by neighbour: False for pairs that do not see each other
    taking        (T, T) bool: True for those among them that take a place nevertheless
    protection    added to r in 1/r, Angstrom
    reach         cutoff of the model, Angstrom: an excluded neighbour inside it takes a place away
    """

    places: Tensor
    allowed: Tensor
    taking: Tensor

    def __init__(
        self,
        environment: Environment,
        embedding: EmbeddingSum,
        contraction: DeepPotSE | Radial,
        *,
        places: list[int],
        allowed: list[list[bool]],
        taking: list[list[bool]],
        protection: float,
        reach: float,
    ) -> None:
        super().__init__()
        self.environment, self.embedding, self.contraction = environment, embedding, contraction
        self.angular = isinstance(contraction, DeepPotSE)
        self.n_features, self.n_species = contraction.n_features, len(places)
        self.protection, self.reach = protection, reach
        self.excludes = not all(all(row) for row in allowed)
        self.register_buffer("places", torch.tensor(places, dtype=torch.float64))
        self.register_buffer("allowed", torch.tensor(allowed))
        self.register_buffer("taking", torch.tensor(taking))

    def rows(self, unit_vectors: Tensor, s: Tensor, center_species: Tensor) -> Tensor:
        """R~, shifted and scaled (P, 4); 1/scale (P, 1) of a radial descriptor."""
        scale = self.environment.scale[center_species]
        if not self.angular:
            return 1.0 / scale[:, :1]
        shifted = s - self.environment.mean[center_species]
        return torch.cat([shifted[:, None], s[:, None] * unit_vectors], dim=1) / scale

    def padding(self, center_species: Tensor, net_input: Tensor) -> Tensor:
        """Row of a padded place (x) G(net_input) of every pair of species: (T, A), (T, 1) -> (T, T, A, M1)."""
        zero = torch.zeros_like(net_input[:, 0])
        rows = self.rows(torch.zeros_like(zero)[:, None].expand(-1, 3), zero, center_species)
        embedded = []
        for index, net in enumerate(self.embedding.nets):
            center = index // self.n_species
            embedded.append(net(net_input) if self.embedding.one_side else net(net_input[center : center + 1]))
        values = torch.stack(embedded)  # one net per neighbour: (T, T, M1), neighbour first; per pair: (T T, 1, M1)
        values = values.transpose(0, 1) if self.embedding.one_side else values.view(self.n_species, self.n_species, -1)
        return rows[:, None, :, None] * values[:, :, None, :]

    def counts(self, center: Tensor, neighbor_species: Tensor, n_atoms: int) -> Tensor:
        """Neighbours of each species (N, T), in the precision of the weights."""
        found = torch.bincount(center * self.n_species + neighbor_species, minlength=n_atoms * self.n_species)
        return found.view(n_atoms, self.n_species).to(self.environment.mean.dtype)

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        vectors = pair_vectors(batch, pairs).to(self.environment.mean.dtype)
        center, neighbor, species = pairs.center, pairs.neighbor, batch.species
        n_atoms = species.shape[0]
        distances = torch.linalg.vector_norm(vectors, dim=1)
        blocked = torch.zeros(n_atoms, self.n_species, dtype=vectors.dtype, device=vectors.device)
        if self.excludes:
            taking = self.taking[species[center], species[neighbor]]
            inside = torch.nonzero(taking & (distances < self.reach))[:, 0]
            blocked = self.counts(center[inside], species[neighbor[inside]], n_atoms)
            kept = torch.nonzero(self.allowed[species[center], species[neighbor]])[:, 0]
            center, neighbor, vectors, distances = center[kept], neighbor[kept], vectors[kept], distances[kept]
        guarded = distances + self.protection
        s = self.environment.switch(distances) * (distances / guarded)
        rows = self.rows(vectors / guarded[:, None], s, species[center])
        net_input = self.environment.net_input(s, species[center])
        total = self.embedding(rows, net_input, center, neighbor, species)
        free = self.places.to(vectors.dtype) - self.counts(center, species[neighbor], n_atoms) - blocked
        return self.contraction(self.add_padding(total, free, blocked, species))

    def add_padding(self, total: Tensor, free: Tensor, blocked: Tensor, species: Tensor) -> Tensor:
        """T (N, A, M1) with the terms of free and of blocked places, (N, T) of each neighbour species."""
        each = torch.arange(self.n_species, device=species.device)
        empty = torch.zeros_like(self.environment.mean)
        padded = self.padding(each, self.environment.net_input(empty, each))
        # a blocked place holds a zero row; where D sums G alone that is no zero term, for G(0) is not zero
        zero_row = self.padding(each, empty[:, None])
        for center in range(self.n_species):
            atoms = torch.nonzero(species == center)[:, 0]
            term = torch.einsum("nb,bam->nam", free[atoms], padded[center])
            if self.excludes and not self.angular:
                term = term + torch.einsum("nb,bam->nam", blocked[atoms], zero_row[center])
            total = total.index_add(0, atoms, term)
        return total


class Hybrid(Descriptor):
    """Several descriptors side by side: (N, sum of their n_features)."""

    def __init__(self, parts: list[Descriptor]) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(parts)
        self.n_features = sum(part.n_features for part in parts)

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        described = []
        for part in self.parts:
            described.append(part(batch, pairs))
        return torch.cat(described, dim=1)


def deepmd_kit(config: ModelConfig) -> Descriptor:
    """The parts that the settings list; one alone as it is, several side by side."""
    parts = [_part(part, len(config.species), config.cutoff) for part in config.parts]
    return parts[0] if len(parts) == 1 else Hybrid(parts)


def _part(part: DeepmdPart, n_species: int, reach: float) -> Descriptor:
    environment = Environment(part.cutoff, part.switch_start, "polynomial", n_species)
    every, unseen = range(n_species), {pair for a, b in (*part.excluded, *part.dropped) for pair in ((a, b), (b, a))}
    allowed = [[(a, b) not in unseen for b in every] for a in every]
    if part.kind == "se_e3":
        return ThreeBody(
            environment,
            part.embedding,
            part.activation,
            timestep=part.residual_timestep,
            places=list(part.places),
            allowed=allowed,
            protection=part.protection,
        )
    dropped = {pair for a, b in part.dropped for pair in ((a, b), (b, a))}
    taking = [[(a, b) in unseen and (a, b) not in dropped for b in every] for a in every]
    if part.gates != "none" or (part.shared_places and (part.shifted or unseen or part.protection)):
        return SharedPlaces(environment, part, allowed=allowed, taking=taking, reach=reach)
    embedding = EmbeddingSum(n_species, part.embedding, part.activation, part.one_side, part.residual_timestep)
    angular = part.kind == "se_e2_a"
    width = part.embedding[-1]
    contraction = DeepPotSE(width, part.axis_width) if angular else Radial(width)
    if angular and not (part.shifted or unseen or part.protection):
        return SmoothDescriptor(environment, embedding, contraction)
    return DeepmdKitDescriptor(
        environment,
        embedding,
        contraction,
        places=list(part.places),
        allowed=allowed,
        taking=taking,
        protection=part.protection,
        reach=reach,
    )
