"""Layout of one part of a descriptor for the compiled path: the fields of kernels/part_fields.inc, by name.

T species, M1 columns of G, W = M1 padded with zeros to whole vectors of 64 bytes.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from dp_sim.compiled.embedding_layout import EmbeddingLayout, whole_vectors

#: How two species exclude each other, in `Geometry.exclusion` (kernels/neighborhood.h).
SEEN, UNSEEN, TAKES_PLACE = 0, 1, 2


class Geometry(NamedTuple):
    """The rows of R~ of the pairs that a part sees.

    Attributes
    ----------
    cosine
        Whether the switch is eq. 9 of the paper; else the polynomial.
    start, cutoff
        Where the switch begins and ends, Angstrom.
    scale
        (T, 4) float64, factors of the columns of R~, by the species of the centre.
    offset
        (T,) float64, then added to the first column.
    protection
        Added to r in 1/r, Angstrom.
    exclusion
        (T, T) int64, centre by neighbour: SEEN, UNSEEN or TAKES_PLACE; empty where all are seen.
    reach
        Distance within which a neighbour of kind TAKES_PLACE takes a slot, Angstrom.
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
    """Terms of slots without a neighbour (dp_sim.descriptors.deepmd_kit); all empty for a part without padding.

    Attributes
    ----------
    sel
        (T,) slots for neighbours of each species.
    padded
        (T, T, M1) centre by neighbour: what a free slot adds to the first row of T.
    blocked
        (T, T, M1) centre by neighbour: what a slot taken by an excluded neighbour adds.
    """

    sel: Tensor = torch.empty(0)
    padded: Tensor = torch.empty(0)
    blocked: Tensor = torch.empty(0)


class PartLayout(NamedTuple):
    """Layout of one part of a descriptor (from `Descriptor.compiled_layout`).

    Attributes
    ----------
    geometry
        Rows of R~.
    embedding
        G(s).
    axis
        M2, the columns of G that form the axis filters; 0 where D is the first row of T.
    padding
        Terms of slots without a neighbour.
    """

    geometry: Geometry
    embedding: EmbeddingLayout
    axis: int
    padding: PaddingLayout = PaddingLayout()

    def fields(self) -> dict[str, object]:
        """Return the values of kernels/part_fields.inc by name."""
        return {
            **self.geometry._asdict(),
            **self.embedding._asdict(),
            "axis": self.axis,
            "sel": self.padding.sel,
            "padded": whole_vectors(self.padding.padded),
            "blocked": whole_vectors(self.padding.blocked),
        }
