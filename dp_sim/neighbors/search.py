"""Neighbour lists, through vesin; the only home of the sign rule r_ij = r_j - r_i + shift @ cell."""

import itertools

import numpy as np
import torch
from torch import Tensor
from vesin_torch import NeighborList as VesinNeighborList

from dp_sim.structures.batch import AtomicBatch, NeighborList
from dp_sim.structures.checks import Structure


def complete_cell(cell: Tensor, pbc: Tensor) -> Tensor:
    """Replace the cell vector of each non-periodic axis by a unit vector normal to the others.

    The search needs three independent vectors. What a structure has along an open axis (zeros, or a box of vacuum) must
    not matter.

    Parameters
    ----------
    cell
        (3, 3) Angstrom, rows are lattice vectors.
    pbc
        (3,) bool.
    """
    identity = torch.eye(3, dtype=cell.dtype, device=cell.device)
    if not bool(pbc.any()):
        return identity
    completed = torch.where(pbc[:, None], cell, torch.zeros_like(cell))
    for axis in range(3):
        if not bool(pbc[axis]):
            # Gram-Schmidt against the vectors already there, with the unit vector that is left longest
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
    """Shorten empty stretches along open axes to `width`; smaller distances are kept.

    The search divides the space between the outermost atoms into cells. This is slow with fragments some 100 Angstrom
    apart, and takes too much memory at micrometres. Extents up to four `width` are left as they are.

    Parameters
    ----------
    points
        (N, 3) Angstrom.
    box
        (3, 3) Angstrom, from `complete_cell`: along open axes unit vectors normal to all others, so that atoms on the
        two sides of a gap wider than the cutoff have no pair in any image.
    pbc
        (3,) bool.
    width
        Angstrom, larger than the cutoff.
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
    """Neighbour search by vesin: any number of periodic images, no limit on neighbours.

    It keeps no state, so threads may share it. vesin's own search has a state, which copies of a scripted module share
    (so do two OpenMM Contexts of one System): hence a new one in every call.

    Parameters
    ----------
    cutoff
        Angstrom.
    """

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = float(cutoff)

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
        box = complete_cell(cell.detach().to(torch.float64), pbc)
        points = close_gaps(positions.detach().to(torch.float64), box, pbc, 2.0 * self.cutoff)
        search = VesinNeighborList(cutoff=self.cutoff, full_list=True, sorted=True, n_threads=1)
        center, neighbor, shift = search.compute(points, box, pbc, "ijS")
        device = positions.device
        return NeighborList(
            center.to(device, torch.int64), neighbor.to(device, torch.int64), shift.to(device, positions.dtype)
        )

    def of_systems(self, batch: AtomicBatch, pbc: Tensor) -> NeighborList:
        """Find the pairs of every system of a batch.

        Parameters
        ----------
        batch
            N atoms of S systems; those of one system follow one another.
        pbc
            (S, 3) bool.
        """
        sizes = torch.bincount(batch.system, minlength=len(batch.cell)).tolist()
        lists = [self(*one) for one in zip(batch.positions.split(sizes), batch.cell, pbc, strict=True)]
        starts = [0, *itertools.accumulate(sizes[:-1])]
        return NeighborList(
            torch.cat([pairs.center + start for pairs, start in zip(lists, starts, strict=True)]),
            torch.cat([pairs.neighbor + start for pairs, start in zip(lists, starts, strict=True)]),
            torch.cat([pairs.shift for pairs in lists]),
        )


def neighbor_list(structure: Structure, cutoff: float) -> NeighborList:
    """Find the pairs of one structure, in float64; for many structures keep a NeighborSearch.

    Parameters
    ----------
    structure
        An ase.Atoms, or anything with its positions, cell and pbc.
    cutoff
        Angstrom.
    """
    positions = torch.from_numpy(np.ascontiguousarray(structure.positions, dtype=np.float64))
    cell = torch.from_numpy(np.ascontiguousarray(structure.cell, dtype=np.float64))
    pbc = torch.from_numpy(np.ascontiguousarray(structure.pbc, dtype=bool))
    return NeighborSearch(cutoff)(positions, cell, pbc)
