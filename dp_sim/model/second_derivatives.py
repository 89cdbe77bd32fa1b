"""Second derivatives of the energy of a model: compiled, or by automatic differentiation.

Rows and columns are x, y, z of each atom in turn; d2E/dr dr in eV/Angstrom^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from dp_sim.compiled.library import register_operators
from dp_sim.compiled.second_derivatives import CompiledHessian
from dp_sim.descriptors.descriptor import compiled_layout
from dp_sim.errors import InputError
from dp_sim.model.derivatives import EnergyFunction, hessian_product, hessian_rows
from dp_sim.structures.batch import AtomicBatch, NeighborList


class SecondDerivatives(Protocol):
    """Second derivatives of the energy of one model."""

    #: How they are computed, in words.
    method: str

    def rows(self, batch: AtomicBatch, pairs: NeighborList, atoms: np.ndarray) -> Any:
        """Compute the rows of some atoms (R,) of one system: scipy.sparse.bsr_array (3R, 3N).

        All rows in order are a matrix that is symmetric to the bit.
        """
        ...

    def product(self, batch: AtomicBatch, pairs: NeighborList, vectors: np.ndarray) -> np.ndarray:
        """Multiply vectors (V, N, 3) by the Hessian without forming it: (V, N, 3)."""
        ...


class Compiled:
    """The compiled operator, float64 whatever the precision of the weights."""

    method = "compiled"

    def __init__(self, hessian: CompiledHessian) -> None:
        self._hessian = hessian

    def rows(self, batch: AtomicBatch, pairs: NeighborList, atoms: np.ndarray) -> Any:
        """Compute them in C++, in time and memory proportional to the number of atoms."""
        return self._hessian.rows(batch, pairs, atoms)

    def product(self, batch: AtomicBatch, pairs: NeighborList, vectors: np.ndarray) -> np.ndarray:
        """Multiply in C++, for the cost of a few evaluations of the forces a vector."""
        return self._hessian.product(batch, pairs, vectors)


class Differentiated:
    """Automatic differentiation, a backward pass a row."""

    method = "automatic differentiation"

    def __init__(self, function: EnergyFunction) -> None:
        self._function = function

    def rows(self, batch: AtomicBatch, pairs: NeighborList, atoms: np.ndarray) -> Any:
        """Compute them in the precision of the weights."""
        from scipy.sparse import bsr_array

        dense = hessian_rows(self._function, batch, pairs, torch.from_numpy(atoms)).cpu().numpy()
        if np.array_equal(atoms, np.arange(len(batch.species))):
            dense = 0.5 * (dense + dense.T)  # symmetric up to rounding; made exactly so
        return bsr_array(dense.astype(np.float64), blocksize=(3, 3))

    def product(self, batch: AtomicBatch, pairs: NeighborList, vectors: np.ndarray) -> np.ndarray:
        """Multiply by two backward passes a vector."""
        return hessian_product(self._function, batch, pairs, torch.from_numpy(vectors)).cpu().numpy()


def compiled_second_derivatives(network: Any) -> Compiled | None:
    """Lay out a dp_sim.model.potential.DeepPotential on the CPU, in float64; None where it has no compiled form."""
    if register_operators():
        return None
    parts = compiled_layout(network.descriptor)
    return None if parts is None else Compiled(CompiledHessian(network.fitting, parts))


def rows_of(indices: Sequence[int] | None, n_atoms: int) -> np.ndarray:
    """Check the indices of atoms whose rows are asked for."""
    if indices is None:
        return np.arange(n_atoms)
    rows = np.asarray(indices)
    whole = rows.ndim == 1 and (np.issubdtype(rows.dtype, np.integer) or rows.size == 0)
    if not whole or len(set(rows.tolist())) < rows.size or np.any((rows < 0) | (rows >= n_atoms)):
        raise InputError(
            "hessian-indices",
            f"indices must be different whole numbers from 0 to {n_atoms - 1}, one for each atom whose rows of the "
            f"Hessian are computed; got {indices!r:.200}",
        )
    return rows.astype(np.int64)
