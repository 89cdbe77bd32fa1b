"""Descriptors that change smoothly as neighbours come and go: R~ (eq. 8), embedding nets (eq. 10), a contraction."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from dp_sim.compiled.embedding_layout import nets_layout
from dp_sim.compiled.part_layout import PartLayout
from dp_sim.config.model import ModelConfig
from dp_sim.descriptors.deeppot_se import DeepPotSE
from dp_sim.descriptors.descriptor import Descriptor
from dp_sim.descriptors.embedding import EmbeddingSum
from dp_sim.descriptors.environment import Environment, geometry
from dp_sim.descriptors.radial import Radial
from dp_sim.neighbors.pairs import StructurePairs
from dp_sim.structures.batch import AtomicBatch, NeighborList


class SmoothDescriptor(Descriptor):
    """T = G^T R~ (N, 4, M1) from environment and embedding nets, and D (N, n_features) from T.

    Parameters
    ----------
    environment
        Rows of R~ and the input of the nets.
    embedding
        The nets G and the sum over neighbours.
    contraction
        Makes D of T.
    """

    def __init__(self, environment: Environment, embedding: EmbeddingSum, contraction: DeepPotSE | Radial) -> None:
        super().__init__()
        self.environment, self.embedding, self.contraction = environment, embedding, contraction
        self.n_features = contraction.n_features

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        """Compute D (N, n_features)."""
        rows, s = self.environment(batch, pairs)
        net_input = self.environment.net_input(s, batch.species[pairs.center])
        total = self.embedding(rows, net_input, pairs.center, pairs.neighbor, batch.species)
        return self.contraction(total)

    def set_statistics(self, frames: Sequence[StructurePairs]) -> None:
        """Set the statistics of the environment."""
        self.environment.set_statistics(frames)

    def compiled_layout(self) -> tuple[PartLayout, ...]:
        """Lay out one part with embedding nets."""
        nets = nets_layout(self.embedding, self.environment)
        return (PartLayout(geometry(self.environment), nets, axis_of(self.contraction)),)


def axis_of(contraction: Any) -> int:
    """Return M2 of a contraction, scripted or not; 0 for the radial one."""
    return int(getattr(contraction, "axis_width", 0))


def smooth_descriptor(config: ModelConfig) -> SmoothDescriptor:
    """Make DeepPot-SE or its radial variant, with fresh weights."""
    n_species, width = len(config.species), config.embedding[-1]
    return SmoothDescriptor(
        Environment(config.cutoff, config.switch_start, config.switch, n_species, config.angular_weight),
        EmbeddingSum(n_species, config.embedding, config.activation, config.one_side),
        DeepPotSE(width, config.axis_width) if config.descriptor == "deeppot-se" else Radial(width),
    )
