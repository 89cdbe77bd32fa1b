"""The exact Hessian on the compiled path (dp_sim/compiled/kernels/hessian.cpp), float64 on CPUs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dp_sim.compiled.fitting_layout import fitting_layout, side_by_side, symmetric_once
from dp_sim.compiled.packing import PackedModel, pack
from dp_sim.compiled.part_layout import PartLayout
from dp_sim.structures.batch import AtomicBatch, NeighborList


class BlockRows(NamedTuple):
    """Which blocks of 3 x 3 a Hessian has: those of atoms that are neighbours of, or are, a common atom.

    Attributes
    ----------
    first
        (R + 1,) int64, where the blocks of each row begin.
    column
        (B,) int64, their second atoms, rising within a row.
    """

    first: np.ndarray
    column: np.ndarray


def block_rows(n_atoms: int, pairs: NeighborList, atoms: np.ndarray) -> BlockRows:
    """Find the blocks in the rows of some atoms (R,), all different."""
    from scipy.sparse import csr_array

    center, neighbor = pairs.center.numpy(), pairs.neighbor.numpy()
    own = np.arange(n_atoms)
    rows, columns = np.concatenate([center, own]), np.concatenate([neighbor, own])
    sees = csr_array((np.ones(len(rows), dtype=np.int32), (rows, columns)), shape=(n_atoms, n_atoms))
    common = sees.T.tocsr()[atoms] @ sees
    common.sort_indices()
    return BlockRows(common.indptr.astype(np.int64), common.indices.astype(np.int64))


class CompiledHessian:
    """Second derivatives of the energy of a model, in C++; the library must be there.

    Parameters
    ----------
    fitting
        The dp_sim.networks.fitting.Fitting of the potential, in float64, scripted or not.
    parts
        The layout of its descriptor, in float64.
    """

    def __init__(self, fitting: Any, parts: Sequence[PartLayout]) -> None:
        held_at = side_by_side([symmetric_once(part.embedding.columns, part.axis) for part in parts])
        self.packed: PackedModel = pack(parts, fitting_layout(fitting, held_at))

    def rows(self, batch: AtomicBatch, pairs: NeighborList, atoms: np.ndarray) -> Any:
        """Compute d2E/dr dr, first derivative by some atoms, second by all.

        Parameters
        ----------
        batch, pairs
            The system and its pairs, sorted by centre.
        atoms
            (R,) int64, indices of the atoms whose rows are computed, all different.

        Returns
        -------
        scipy.sparse.bsr_array
            (3R, 3N) in blocks of 3 x 3, eV/Angstrom^2.
        """
        from scipy.sparse import bsr_array

        n_atoms = len(batch.species)
        rows = block_rows(n_atoms, pairs, atoms)
        row_of = torch.full((n_atoms,), -1, dtype=torch.int64)
        row_of[torch.from_numpy(atoms)] = torch.arange(len(atoms))
        blocks = torch.empty(len(rows.column), 3, 3, dtype=torch.float64)
        torch.ops.dp_sim.hessian(
            **self._given(batch, pairs),
            row_of=row_of,
            first=torch.from_numpy(rows.first),
            column=torch.from_numpy(rows.column),
            blocks=blocks,
        )
        return bsr_array((blocks.numpy(), rows.column, rows.first), shape=(3 * len(atoms), 3 * n_atoms))

    def product(self, batch: AtomicBatch, pairs: NeighborList, vectors: np.ndarray) -> np.ndarray:
        """Multiply vectors (V, N, 3) by the Hessian, which is never formed: (V, N, 3)."""
        given = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float64))
        products = torch.empty_like(given)
        torch.ops.dp_sim.hessian_product(**self._given(batch, pairs), vectors=given, products=products)
        return products.numpy()

    def _given(self, batch: AtomicBatch, pairs: NeighborList) -> dict[str, Tensor]:
        """Name the arguments that both operators take."""
        return {
            "positions": _double(batch.positions),
            "cell": _double(batch.cell),
            "system": batch.system,
            "species": batch.species,
            "center": pairs.center.contiguous(),
            "neighbor": pairs.neighbor.contiguous(),
            "shift": _double(pairs.shift),
            **self.packed._asdict(),
        }


def _double(values: Tensor) -> Tensor:
    return values.detach().to(torch.float64).contiguous()
