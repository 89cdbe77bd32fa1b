"""The neighbour search of the compiled path: the operator torch.ops.dp_sim.neighbors (kernels/search/search.h).

On a CPU it is 4 to 50 times faster than vesin's (dp_sim.neighbors.search), which would cost more than the model:
benchmarks/speed/README.md has the figures. vesin's search is part of the scripted model, differentiable and on any
device; the tests compare the two.
"""

import torch
from torch import Tensor

from dp_sim.structures.batch import NeighborList


class CompiledSearch(torch.nn.Module):
    """Neighbour search in C++, for positions on the CPU; it keeps no state, so threads may share it.

    Parameters
    ----------
    cutoff
        Angstrom.
    """

    cutoff: Tensor

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.register_buffer("cutoff", torch.tensor([cutoff], dtype=torch.float64))

    def forward(self, positions: Tensor, cell: Tensor, pbc: Tensor) -> NeighborList:
        """Find the pairs of one system; the list carries no gradient.

        Parameters
        ----------
        positions
            (N, 3) Angstrom.
        cell
            (3, 3) Angstrom.
        pbc
            (3,) bool.
        """
        system = torch.zeros(positions.shape[0], dtype=torch.int64)
        center, neighbor, shift, _ = self.of_systems(positions, cell[None], pbc[None], system)
        return NeighborList(center, neighbor, shift.to(positions.dtype))

    def of_systems(
        self, positions: Tensor, cell: Tensor, pbc: Tensor, system: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Find the pairs of every system of a batch.

        Parameters
        ----------
        positions
            (N, 3) Angstrom.
        cell
            (S, 3, 3) Angstrom.
        pbc
            (S, 3) bool.
        system
            (N,) int64, the system of each atom, ascending.

        Returns
        -------
        center, neighbor, shift
            The fields of NeighborList, shifts in float64.
        closest
            (1,) Angstrom, the smallest distance; inf without pairs.
        """
        points, box = positions.detach().to(torch.float64), cell.detach().to(torch.float64)
        center, neighbor, shift, closest = torch.ops.dp_sim.neighbors(
            points.contiguous(), box.contiguous(), pbc.to(torch.int64).contiguous(), system, self.cutoff
        )
        return center, neighbor, shift, closest
