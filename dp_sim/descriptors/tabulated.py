"""Smooth descriptors with tables in place of embedding nets, as `dp-sim compress` makes them.

G(s) is a smooth function of one variable. At knots s_k the table holds G, dG/ds and d2G/ds2. Between knots, the
polynomial of fifth degree with these values at both ends (quintic Hermite interpolation) approximates G to O(h^6), with
two continuous derivatives, so energies, forces and Hessians are continuous. The table begins at s = 0, the cutoff. It
ends at the distance below which dp-sim refuses two atoms as one atom written twice, so no pair lies outside.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dp_sim.compiled.embedding_layout import tables_layout
from dp_sim.compiled.part_layout import PartLayout
from dp_sim.descriptors.deepmd_kit import DeepmdKitDescriptor, Hybrid, padded_part
from dp_sim.descriptors.deeppot_se import DeepPotSE
from dp_sim.descriptors.descriptor import Descriptor
from dp_sim.descriptors.embedding import sum_over_neighbors
from dp_sim.descriptors.environment import Environment, geometry
from dp_sim.descriptors.radial import Radial
from dp_sim.descriptors.shared_slots import SharedSlots
from dp_sim.descriptors.smooth import SmoothDescriptor, axis_of
from dp_sim.errors import InputError
from dp_sim.neighbors.pairs import StructurePairs
from dp_sim.structures.batch import AtomicBatch, NeighborList


class HermiteTable(torch.nn.Module):
    """Functions G(s), with M1 columns each, on common knots.

    Attributes
    ----------
    knots
        (K,) 1/Angstrom, ascending from zero.
    values
        (tables, K, 3, M1): G, dG/ds, d2G/ds2 at the knots.
    """

    knots: Tensor
    values: Tensor

    def __init__(self, knots: Tensor, values: Tensor) -> None:
        super().__init__()
        self.width = values.shape[3]
        self.register_buffer("knots", knots)
        self.register_buffer("values", values)

    def forward(self, s: Tensor, table: Tensor) -> Tensor:
        """Compute G (P, M1), twice differentiable in s.

        Parameters
        ----------
        s
            (P,) 1/Angstrom.
        table
            (P,) index of each pair's table.
        """
        count = self.knots.shape[0]
        segment = (torch.searchsorted(self.knots, s.detach(), right=True) - 1).clamp(0, count - 2)
        left = self.knots[segment]
        weights = hermite_weights(s - left, self.knots[segment + 1] - left)
        rows = self.values.view(-1, self.width)
        first = 3 * (table * count + segment)
        g = weights[0][:, None] * rows[first]
        for k in range(1, 6):
            g = g + weights[k][:, None] * rows[first + k]
        return g


def hermite_weights(x: Tensor, h: Tensor) -> list[Tensor]:
    """Compute the six weights of quintic Hermite interpolation at x = s - s_k in a segment of width h.

    Returns
    -------
    list of Tensor
        Weights of G, G' and G'' at the left end, then at the right end.
    """
    u = x / h
    u2 = u * u
    u3 = u2 * u
    rise = u3 * (10.0 + u * (6.0 * u - 15.0))
    return [
        1.0 - rise,
        h * (u + u3 * (u * (8.0 - 3.0 * u) - 6.0)),
        0.5 * h * h * (u2 + u3 * (u * (3.0 - u) - 3.0)),
        rise,
        h * u3 * (u * (7.0 - 3.0 * u) - 4.0),
        0.5 * h * h * u3 * (1.0 + u * (u - 2.0)),
    ]


class TabulatedDescriptor(Descriptor):
    """A SmoothDescriptor with tables in place of nets.

    Parameters
    ----------
    environment
        Rows of R~.
    table
        G(s).
    table_of
        (T, T) int64, index of the table for the species of centre and neighbour.
    contraction
        Makes D of T.
    """

    table_of: Tensor

    def __init__(
        self, environment: Environment, table: HermiteTable, table_of: Tensor, contraction: DeepPotSE | Radial
    ) -> None:
        super().__init__()
        self.environment, self.table, self.contraction = environment, table, contraction
        self.register_buffer("table_of", table_of)
        self.n_features = contraction.n_features

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        """Compute D (N, n_features)."""
        rows, s = self.environment(batch, pairs)
        embedded = self.table(s, self.table_of[batch.species[pairs.center], batch.species[pairs.neighbor]])
        return self.contraction(sum_over_neighbors(rows, embedded, pairs.center, batch.species.shape[0]))

    def set_statistics(self, frames: Sequence[StructurePairs]) -> None:
        """Refuse to train a compressed model."""
        raise InputError(
            "model-not-trainable", "a compressed model cannot be trained; train the model that it was made from"
        )

    def compiled_layout(self) -> tuple[PartLayout, ...]:
        """Lay out one part with tables."""
        tables = tables_layout(self.table, self.table_of)
        return (PartLayout(geometry(self.environment), tables, axis_of(self.contraction)),)


class TabulatedDeepmdKit(DeepmdKitDescriptor):
    """A DeepmdKitDescriptor with tables in place of nets.

    Parameters
    ----------
    exact
        The descriptor that the tables were made of.
    table
        G(s).
    table_of
        (T, T) int64, index of the table for the species of centre and neighbour.
    padded, zero
        (T, T, M1): G at s = 0, as in a padded slot, and at a net input of 0, as in the slot of an excluded neighbour.
    """

    table_of: Tensor
    padded: Tensor
    zero: Tensor

    def __init__(
        self, exact: DeepmdKitDescriptor, table: HermiteTable, table_of: Tensor, padded: Tensor, zero: Tensor
    ) -> None:
        super().__init__(
            exact.environment,
            exact.embedding,
            exact.contraction,
            sel=exact.sel.int().tolist(),
            allowed=exact.allowed.tolist(),
            taking=exact.taking.tolist(),
            protection=exact.protection,
            reach=exact.reach,
        )
        del self.embedding
        self.table = table
        self.register_buffer("table_of", table_of)
        self.register_buffer("padded", padded)
        self.register_buffer("zero", zero)

    def free_terms(self) -> Tensor:
        """Compute the term of a free slot, by species of centre and neighbour: (T, T, A, M1)."""
        each = torch.arange(self.n_species, device=self.table_of.device)
        return self.empty_rows(each)[:, None, :, None] * self.padded[:, :, None, :]

    def blocked_terms(self) -> Tensor:
        """Compute the term of a slot that an excluded neighbour takes: (T, T, A, M1)."""
        each = torch.arange(self.n_species, device=self.table_of.device)
        return self.empty_rows(each)[:, None, :, None] * self.zero[:, :, None, :]

    def embed(self, rows: Tensor, s: Tensor, center: Tensor, neighbor: Tensor, species: Tensor) -> Tensor:
        """Compute T (N, A, M1) of the pairs."""
        embedded = self.table(s, self.table_of[species[center], species[neighbor]])
        return sum_over_neighbors(rows, embedded, center, species.shape[0])

    def compiled_layout(self) -> tuple[PartLayout, ...]:
        """Lay out one part with tables and padding."""
        tables = tables_layout(self.table, self.table_of)
        return (padded_part(self, tables, self.free_terms(), self.blocked_terms()),)


def tabulated_like(descriptor: Descriptor, state: dict[str, Tensor], prefix: str = "descriptor") -> Descriptor:
    """Make a descriptor with tables, into which a compressed model can be loaded.

    Parameters
    ----------
    descriptor
        The descriptor of the settings, with nets.
    state
        The state_dict of the compressed model, from which the shapes come.
    prefix
        Prefix of the descriptor's names there.
    """
    if isinstance(descriptor, Hybrid):
        parts = enumerate(descriptor.parts.children())
        return Hybrid([tabulated_like(part, state, f"{prefix}.parts.{index}") for index, part in parts])  # type: ignore[arg-type]

    def empty(name: str) -> Tensor:
        return torch.zeros_like(state[f"{prefix}.{name}"])

    table, table_of = HermiteTable(empty("table.knots"), empty("table.values")), empty("table_of")
    if isinstance(descriptor, DeepmdKitDescriptor):
        return TabulatedDeepmdKit(descriptor, table, table_of, empty("padded"), empty("zero"))
    assert isinstance(descriptor, (SmoothDescriptor, SharedSlots))
    return TabulatedDescriptor(descriptor.environment, table, table_of, descriptor.contraction)
