"""Smooth descriptors whose embedding nets have been replaced by tables: what `dp-sim compress` makes.

G(s) is a smooth function of one number. At knots s_k the table holds G, dG/ds and d2G/ds2; in between, the polynomial
of fifth degree that has these values at both ends (quintic Hermite interpolation) is G to O(h^6), with two continuous
derivatives: energies, forces and Hessians stay continuous. The table begins at s = 0, the cutoff, and ends at the
distance below which dp-sim refuses two atoms as one written twice, so that nothing lies outside of it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dp_sim.descriptors.deeppot_se import DeepPotSE
from dp_sim.descriptors.descriptor import Descriptor
from dp_sim.descriptors.embedding import sum_over_neighbors
from dp_sim.descriptors.environment import Environment
from dp_sim.descriptors.radial import Radial
from dp_sim.descriptors.smooth import SmoothDescriptor
from dp_sim.errors import InputError
from dp_sim.neighbors.pairs import StructurePairs, pair_vectors
from dp_sim.structures.batch import AtomicBatch, NeighborList


class HermiteTable(torch.nn.Module):
    """Functions G(s) (M1 columns each) on common knots: `places` (K,), 1/Angstrom, ascending from zero.

    values (tables, K, 3, M1)    G, dG/ds, d2G/ds2 at the knots
    """

    places: Tensor
    values: Tensor

    def __init__(self, places: Tensor, values: Tensor) -> None:
        super().__init__()
        self.width = values.shape[3]
        self.register_buffer("places", places)
        self.register_buffer("values", values)

    def forward(self, s: Tensor, table: Tensor) -> Tensor:
        """s (P,) in 1/Angstrom and the number of each pair's table (P,) -> G (P, M1), twice differentiable in s."""
        knots = self.places.shape[0]
        segment = (torch.searchsorted(self.places, s.detach(), right=True) - 1).clamp(0, knots - 2)
        left = self.places[segment]
        weights = hermite_weights(s - left, self.places[segment + 1] - left)
        rows = self.values.view(-1, self.width)
        first = 3 * (table * knots + segment)
        g = weights[0][:, None] * rows[first]
        for k in range(1, 6):
            g = g + weights[k][:, None] * rows[first + k]
        return g


def hermite_weights(x: Tensor, h: Tensor) -> list[Tensor]:
    """Six weights at x = s - s_k in a segment of width h: of G, G', G'' at its left end, then at its right end."""
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
    """A SmoothDescriptor with tables for nets; `table_of` (T, T) says which one serves a centre and a neighbour."""

    table_of: Tensor

    def __init__(
        self, environment: Environment, table: HermiteTable, table_of: Tensor, contraction: DeepPotSE | Radial
    ) -> None:
        super().__init__()
        self.environment, self.table, self.contraction = environment, table, contraction
        self.register_buffer("table_of", table_of)
        self.n_features = contraction.n_features

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        vectors = pair_vectors(batch, pairs).to(self.environment.mean.dtype)
        unit_vectors, s = self.environment.weights(vectors)
        center_species = batch.species[pairs.center]
        rows = self.environment.rows(unit_vectors, s, center_species)
        embedded = self.table(s, self.table_of[center_species, batch.species[pairs.neighbor]])
        return self.contraction(sum_over_neighbors(rows, embedded, pairs.center, batch.species.shape[0]))

    def set_statistics(self, frames: Sequence[StructurePairs]) -> None:
        raise InputError(
            "model-not-trainable", "a compressed model cannot be trained; train the model that it was made from"
        )


def tabulated_like(descriptor: SmoothDescriptor, state: dict[str, Tensor]) -> TabulatedDescriptor:
    """`descriptor` with tables of the shapes that `state` (of a compressed model) has, to load it into."""
    table = HermiteTable(*(torch.zeros_like(state[f"descriptor.table.{name}"]) for name in ("places", "values")))
    table_of = torch.zeros_like(state["descriptor.table_of"])
    return TabulatedDescriptor(descriptor.environment, table, table_of, descriptor.contraction)
