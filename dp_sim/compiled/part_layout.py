"""One part of a descriptor, laid out for the compiled path: the fields of kernels/part_fields.inc, by name.

T species, M1 columns of G, W = M1 padded with zeros to whole vectors of 64 bytes.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from dp_sim.compiled.embedding_layout import EmbeddingLayout, whole_vectors

#: How two species exclude each other, in `Geometry.exclusion` (kernels/neighborhood.h).
SEEN, UNSEEN, TAKES_PLACE = 0, 1, 2


class Geometry(NamedTuple):
    """Rows of R~ of the pairs that a part sees.

    cosine        whether the switch is eq. 9 of the paper; else the polynomial
    start, cutoff where the switch begins and ends, Angstrom
    scale         (T, 4) float64, what the columns of R~ are multiplied by, by the species of the centre
    offset        (T,) float64, what is then added to the first column
    protection    added to r in 1/r, Angstrom
    exclusion     (T, T) int64, centre by neighbour: SEEN, UNSEEN or TAKES_PLACE; empty where all are seen
    reach         within this distance a neighbour that TAKES_PLACE does so, Angstrom
    """

    cosine: bool
    start: float
    cutoff: float
    scale: Tensor
    offset: Tensor
    protection: float = 0.0
    exclusion: Tensor = torch.empty(0, dtype=torch.int64)
    reach: float = 0.0


class PaddingLayout(NamedTuple):
    """Terms of places without a neighbour (dp_sim.descriptors.deepmd_kit); all empty where there are none.

    sel           (T,), places for neighbours of each species
    padded        (T, T, M1), centre by neighbour: what a free place adds to the first row of T
    blocked       (T, T, M1): what a place adds that an excluded neighbour takes
    """

    sel: Tensor = torch.empty(0)
    padded: Tensor = torch.empty(0)
    blocked: Tensor = torch.empty(0)


class PartLayout(NamedTuple):
    """What a descriptor hands to the compiled path (`Descriptor.compiled_layout`).

    axis          M2, the columns of G that form the axis filters; 0 where D is the first row of T
    """

    geometry: Geometry
    embedding: EmbeddingLayout
    axis: int
    padding: PaddingLayout = PaddingLayout()

    def fields(self) -> dict[str, object]:
        """The values of kernels/part_fields.inc by name."""
        return {
            **self.geometry._asdict(),
            **self.embedding._asdict(),
            "axis": self.axis,
            "sel": self.padding.sel,
            "padded": whole_vectors(self.padding.padded),
            "blocked": whole_vectors(self.padding.blocked),
        }
