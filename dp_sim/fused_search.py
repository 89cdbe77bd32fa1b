"""The neighbour search of the fast path: the compiled operator torch.ops.dp_sim.neighbors (kernels/search.h)."""

import torch
from torch import Tensor

from dp_sim.batch import NeighborList
from dp_sim.neighbors import close_gaps, complete_cell


class FusedSearch(torch.nn.Module):
    """As dp_sim.neighbors.NeighborSearch, for positions on the CPU; keeps no state, so threads may share it."""

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = float(cutoff)

    def forward(self, positions: Tensor, cell: Tensor, pbc: Tensor) -> NeighborList:
        """positions (N, 3) and cell (3, 3) in Angstrom, pbc (3,) bool. The list itself carries no gradient."""
        center, neighbor, shift, _ = self.with_closest(positions, cell, pbc)
        return NeighborList(center, neighbor, shift.to(positions.dtype))

    @torch.jit.export
    def with_closest(self, positions: Tensor, cell: Tensor, pbc: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The fields of the list (shifts float64), and the smallest distance (1,) in Angstrom; inf without pairs."""
        box = cell.detach().to(torch.float64)
        points = positions.detach().to(torch.float64)
        if not bool(pbc.all()):
            box = complete_cell(box, pbc)
            points = close_gaps(points, box, pbc, 2.0 * self.cutoff)
        cutoff = torch.tensor([self.cutoff], dtype=torch.float64)
        found = torch.ops.dp_sim.neighbors(points.contiguous(), box.contiguous(), pbc.to(torch.int64), cutoff)
        return found[0], found[1], found[2], found[3]
