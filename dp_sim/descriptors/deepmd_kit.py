"""DeePMD-kit's se_e2_a and se_e2_r with all options of its files: a mean, excluded pairs, a protected 1/r.

In DeePMD-kit every atom has sel_b slots for neighbours of species b; slots without a neighbour are padded with s = 0.
Rows of R~ are shifted by the mean, so a padded slot adds a term P_cb = R~_c(0) (x) G_b(-mean_c/deviation_c), with c
the species of the centre. The same energy needs no slots:

    T_i = (sum over neighbours of R~_ij (x) G_ij) + sum_b (sel_b - n_ib) P_cb,     n_ib neighbours of species b

Where DeePMD-kit finds more than sel_b neighbours it drops the farthest. Here all are kept: at the cutoff the term of a
neighbour equals the P_cb that it replaces, so the energy is as smooth with n_ib > sel_b as below.

Excluded pairs are an exception: the slot of such a neighbour holds a zero row, not the padded one. So with a mean, the
energy jumps as such a neighbour crosses the cutoff. The jump is kept, because it is part of the model. Pairs that a
whole model excludes (`pair_exclude_types`) leave their slot to padding, and nothing jumps.
"""

from typing import Any

import torch
from torch import Tensor

from dp_sim.compiled.embedding_layout import EmbeddingLayout, nets_layout
from dp_sim.compiled.part_layout import PaddingLayout, PartLayout
from dp_sim.config.model import DeepmdPart, ModelConfig
from dp_sim.descriptors.deeppot_se import DeepPotSE
from dp_sim.descriptors.descriptor import Descriptor, compiled_layout
from dp_sim.descriptors.embedding import EmbeddingSum
from dp_sim.descriptors.environment import Environment, geometry
from dp_sim.descriptors.radial import Radial
from dp_sim.descriptors.shared_slots import SharedSlots
from dp_sim.descriptors.smooth import SmoothDescriptor, axis_of
from dp_sim.descriptors.three_body import ThreeBody
from dp_sim.neighbors.pairs import pair_vectors
from dp_sim.structures.batch import AtomicBatch, NeighborList


class DeepmdKitDescriptor(Descriptor):
    """D (N, n_features) as in DeePMD-kit, without its limit on neighbours.

    Parameters
    ----------
    environment
        Switch, mean and deviation of s, and scale: the deviation of the columns times sum(sel). Angular descriptors
        (se_e2_a) use four columns, radial ones (se_e2_r: D = sum_j G_ij / scale) the first.
    embedding
        The nets G and the sum over neighbours.
    contraction
        Makes D of T.
    sel
        (T,) slots for neighbours of each species.
    allowed
        (T, T) bool, centre by neighbour: False for pairs that do not see each other.
    taking
        (T, T) bool: True for those among them that take a slot nevertheless.
    protection
        Added to r in 1/r, Angstrom.
    reach
        Cutoff of the model, Angstrom: an excluded neighbour inside it takes a slot.
    """

    sel: Tensor
    allowed: Tensor
    taking: Tensor

    def __init__(
        self,
        environment: Environment,
        embedding: EmbeddingSum,
        contraction: DeepPotSE | Radial,
        *,
        sel: list[int],
        allowed: list[list[bool]],
        taking: list[list[bool]],
        protection: float,
        reach: float,
    ) -> None:
        super().__init__()
        self.environment, self.embedding, self.contraction = environment, embedding, contraction
        self.angular = isinstance(contraction, DeepPotSE)
        self.n_features, self.n_species = contraction.n_features, len(sel)
        self.protection, self.reach = protection, reach
        self.excludes = not all(all(row) for row in allowed)
        self.register_buffer("sel", torch.tensor(sel, dtype=torch.float64))
        self.register_buffer("allowed", torch.tensor(allowed))
        self.register_buffer("taking", torch.tensor(taking))

    def rows(self, unit_vectors: Tensor, s: Tensor, center_species: Tensor) -> Tensor:
        """Compute R~, shifted and scaled (P, 4); 1/scale (P, 1) of a radial descriptor."""
        scale = self.environment.scale[center_species]
        if not self.angular:
            return 1.0 / scale[:, :1]
        shifted = s - self.environment.mean[center_species]
        return torch.cat([shifted[:, None], s[:, None] * unit_vectors], dim=1) / scale

    def padding(self, center_species: Tensor, net_input: Tensor) -> Tensor:
        """Compute the row of a padded slot (x) G(net_input) of every pair of species: (T,), (T, 1) -> (T, T, A, M1)."""
        return self.empty_rows(center_species)[:, None, :, None] * self.values(net_input)[:, :, None, :]

    def values(self, net_input: Tensor) -> Tensor:
        """Compute G of every pair of species (T, T, M1), centre first; nets of each centre take net_input (T, 1)."""
        embedded = []
        for index, net in enumerate(self.embedding.nets):
            center = index // self.n_species
            embedded.append(net(net_input) if self.embedding.one_side else net(net_input[center : center + 1]))
        values = torch.stack(embedded)  # one net per neighbour: (T, T, M1), neighbour first; per pair: (T T, 1, M1)
        return values.transpose(0, 1) if self.embedding.one_side else values.view(self.n_species, self.n_species, -1)

    def empty_rows(self, center_species: Tensor) -> Tensor:
        """Compute the row of R~ of a padded slot, where s = 0: (T,) -> (T, A)."""
        zero = torch.zeros_like(self.environment.mean[center_species])
        return self.rows(torch.zeros_like(zero)[:, None].expand(-1, 3), zero, center_species)

    def free_terms(self) -> Tensor:
        """Compute the term of a free slot, by species of centre and neighbour (T, T, A, M1)."""
        each = torch.arange(self.n_species, device=self.environment.mean.device)
        return self.padding(each, self.environment.net_input(torch.zeros_like(self.environment.mean), each))

    def blocked_terms(self) -> Tensor:
        """Compute the term of a slot that an excluded neighbour takes (T, T, A, M1).

        Its row is zero, but G(0) is not. So there is a term where D sums G alone, and none where a row multiplies G.
        """
        each = torch.arange(self.n_species, device=self.environment.mean.device)
        return self.padding(each, torch.zeros_like(self.environment.mean)[:, None])

    def embed(self, rows: Tensor, s: Tensor, center: Tensor, neighbor: Tensor, species: Tensor) -> Tensor:
        """Compute T (N, A, M1) from rows (P, A), s (P,), center and neighbor (P,) of the pairs, and species (N,)."""
        net_input = self.environment.net_input(s, species[center])
        return self.embedding(rows, net_input, center, neighbor, species)

    def counts(self, center: Tensor, neighbor_species: Tensor, n_atoms: int) -> Tensor:
        """Count the neighbours by species (N, T), in the precision of the weights; species (P,) of the neighbours."""
        found = torch.bincount(center * self.n_species + neighbor_species, minlength=n_atoms * self.n_species)
        return found.view(n_atoms, self.n_species).to(self.environment.mean.dtype)

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        """Compute D (N, n_features)."""
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
        total = self.embed(rows, s, center, neighbor, species)
        free = self.sel.to(vectors.dtype) - self.counts(center, species[neighbor], n_atoms) - blocked
        return self.contraction(self.add_padding(total, free, blocked, species))

    def add_padding(self, total: Tensor, free: Tensor, blocked: Tensor, species: Tensor) -> Tensor:
        """Add the terms of slots without a neighbour.

        Parameters
        ----------
        total
            (N, A, M1) T of the neighbours.
        free, blocked
            (N, T) number of free slots and of slots that excluded neighbours take, by species.
        species
            (N,).
        """
        padded, zero_row = self.free_terms(), self.blocked_terms()
        for center in range(self.n_species):
            atoms = torch.nonzero(species == center)[:, 0]
            term = torch.einsum("nb,bam->nam", free[atoms], padded[center])
            if self.excludes and not self.angular:
                term = term + torch.einsum("nb,bam->nam", blocked[atoms], zero_row[center])
            total = total.index_add(0, atoms, term)
        return total

    def compiled_layout(self) -> tuple[PartLayout, ...]:
        """Lay out one part with embedding nets and padding."""
        # by the class: modules scripted by earlier versions have no methods of these names
        free, blocked = DeepmdKitDescriptor.free_terms(self), DeepmdKitDescriptor.blocked_terms(self)
        return (padded_part(self, nets_layout(self.embedding, self.environment), free, blocked),)


def padded_part(descriptor: Any, embedding: EmbeddingLayout, free: Tensor, blocked: Tensor) -> PartLayout:
    """Lay out a DeepmdKitDescriptor for the compiled path.

    Parameters
    ----------
    descriptor
        Scripted or not.
    embedding
        Its nets or tables, laid out.
    free, blocked
        (T, T, A, M1) terms of a free slot and of one that an excluded neighbour takes, centre first.
    """
    environment, contraction = descriptor.environment, descriptor.contraction
    plain = geometry(environment)
    mean, scale, offset = environment.mean.to(torch.float64), plain.scale.clone(), plain.offset
    if descriptor.angular:
        offset = -mean * scale[:, 0]
    else:  # the first column is 1/scale, whatever s
        offset, scale = scale[:, 0].clone(), torch.zeros_like(scale)
    excluded = ~descriptor.allowed
    shifted = plain._replace(
        scale=scale,
        offset=offset,
        protection=float(descriptor.protection),
        exclusion=excluded.to(torch.int64) + (excluded & descriptor.taking).to(torch.int64),
        reach=float(descriptor.reach),
    )
    if not descriptor.excludes:
        shifted = shifted._replace(exclusion=excluded[:0].flatten())
    no_term = torch.zeros_like(free[:, :, 0])
    padding = PaddingLayout(descriptor.sel, free[:, :, 0], no_term if descriptor.angular else blocked[:, :, 0])
    return PartLayout(shifted, embedding, axis_of(contraction), padding)


class Hybrid(Descriptor):
    """Several descriptors, concatenated: (N, sum of their n_features)."""

    def __init__(self, parts: list[Descriptor]) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(parts)
        self.n_features = sum(part.n_features for part in parts)

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        """Compute D (N, n_features)."""
        described = []
        for part in self.parts:
            described.append(part(batch, pairs))
        return torch.cat(described, dim=1)

    def compiled_layout(self) -> tuple[PartLayout, ...] | None:
        """Lay out the parts of all; None where one of them has no compiled form."""
        layouts = [compiled_layout(part) for part in self.parts.children()]
        known = [layout for layout in layouts if layout is not None]
        return tuple(part for layout in known for part in layout) if len(known) == len(layouts) else None


def deepmd_kit(config: ModelConfig) -> Descriptor:
    """Make the descriptor that the settings list: one part, or several in a hybrid."""
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
            sel=list(part.sel),
            allowed=allowed,
            protection=part.protection,
        )
    dropped = {pair for a, b in part.dropped for pair in ((a, b), (b, a))}
    taking = [[(a, b) in unseen and (a, b) not in dropped for b in every] for a in every]
    if part.gates != "none" or (part.shared_sel and (part.shifted or unseen or part.protection)):
        return SharedSlots(environment, part, allowed=allowed, taking=taking, reach=reach)
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
        sel=list(part.sel),
        allowed=allowed,
        taking=taking,
        protection=part.protection,
        reach=reach,
    )
