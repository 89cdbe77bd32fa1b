"""Neighbour lists, through vesin; the only home of the sign rule r_ij = r_j - r_i + shift @ cell."""

import itertools

import numpy as np
import torch
from torch import Tensor
from vesin_torch import NeighborList as VesinNeighborList

from dp_sim.structures.batch import AtomicBatch, NeighborList
from dp_sim.structures.checks import Structure


def complete_cell(cell: Tensor, pbc: Tensor) -> Tensor:
    """The cell (3, 3) with each vector of a non-periodic axis replaced by a unit vector normal to the others.

    The search needs three independent vectors, and what a user leaves along an open axis (zeros, or a vacuum box) must
    not matter.
    """
    identity = torch.eye(3, dtype=cell.dtype, device=cell.device)
    if not bool(pbc.any()):
        return identity
    completed = torch.where(pbc[:, None], cell, torch.zeros_like(cell))
    for axis in range(3):
        if not bool(pbc[axis]):
            # Gram-Schmidt against the vectors already there; one of the three unit vectors always survives best.
            basis = completed[torch.linalg.vector_norm(completed, dim=1) > 0]
            projector = identity
            if basis.shape[0] > 0:
                q = torch.linalg.qr(basis.transpose(0, 1))[0]
                projector = identity - q @ q.transpose(0, 1)
            norms = torch.linalg.vector_norm(projector, dim=1)
            best = projector[int(norms.argmax())]
            completed = torch.cat([completed[:axis], (best / norms.max())[None], completed[axis + 1 :]])
    return completed


def close_gaps(points: Tensor, box: Tensor, pbc: Tensor, width: float) -> Tensor:
    """Points (N, 3) with empty stretches along open axes cut down to `width` (Angstrom); distances below it are kept.

    The search divides the space between the outermost atoms into cells: slow with fragments some 100 Angstrom apart,
    and too many at micrometres. Up to four `width` it needs no help, and this costs one look at the extent.
    The vectors of `box` along open axes are unit vectors normal to all others, as complete_cell makes them, so atoms on
    the two sides of a gap wider than the cutoff have no pair in any image.
    """
    if points.shape[0] < 2 or float((points.amax(0) - points.amin(0)).max()) < 4.0 * width:
        return points
    for axis in range(3):
        if not bool(pbc[axis]):
            along, order = torch.sort(points @ box[axis])
            excess = (along[1:] - along[:-1] - width).clamp_min(0.0).cumsum(0)
            moved = torch.zeros_like(along).index_copy(0, order[1:], excess)
            points = points - moved[:, None] * box[axis]
    return points


class NeighborSearch(torch.nn.Module):
    """All pairs within `cutoff` (Angstrom) of one system; any number of images, no limit on neighbours.

    It keeps nothing between calls, so threads may share it. The library's own search does, and copies of a scripted
    module share it (so do two OpenMM Contexts of one System): hence a new one in every call.
    """

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = float(cutoff)

    def forward(self, positions: Tensor, cell: Tensor, pbc: Tensor) -> NeighborList:
        """positions (N, 3) and cell (3, 3) in Angstrom, pbc (3,) bool. The list itself carries no gradient."""
        box = complete_cell(cell.detach().to(torch.float64), pbc)
        points = close_gaps(positions.detach().to(torch.float64), box, pbc, 2.0 * self.cutoff)
        search = VesinNeighborList(cutoff=self.cutoff, full_list=True, sorted=True, n_threads=1)
        center, neighbor, shift = search.compute(points, box, pbc, "ijS")
        device = positions.device
        return NeighborList(
            center.to(device, torch.int64), neighbor.to(device, torch.int64), shift.to(device, positions.dtype)
        )

    def of_systems(self, batch: AtomicBatch, pbc: Tensor) -> NeighborList:
        """The neighbours of every system of a batch, its atoms one system after another; pbc (S, 3) bool."""
        sizes = torch.bincount(batch.system, minlength=len(batch.cell)).tolist()
        found = [self(*one) for one in zip(batch.positions.split(sizes), batch.cell, pbc, strict=True)]
        starts = [0, *itertools.accumulate(sizes[:-1])]
        return NeighborList(
            torch.cat([pairs.center + start for pairs, start in zip(found, starts, strict=True)]),
            torch.cat([pairs.neighbor + start for pairs, start in zip(found, starts, strict=True)]),
            torch.cat([pairs.shift for pairs in found]),
        )


def neighbor_list(structure: Structure, cutoff: float) -> NeighborList:
    """The neighbours of one structure (float64); for many structures keep a NeighborSearch."""
    positions = torch.from_numpy(np.ascontiguousarray(structure.positions, dtype=np.float64))
    cell = torch.from_numpy(np.ascontiguousarray(structure.cell, dtype=np.float64))
    pbc = torch.from_numpy(np.ascontiguousarray(structure.pbc, dtype=bool))
    return NeighborSearch(cutoff)(positions, cell, pbc)
