"""The Deep Potential: the energy is a sum of atomic energies, each a function of the atom's environment (eq. 3-11)."""

from typing import Any

import torch
from torch import Tensor

from dp_sim.config.model import ModelConfig
from dp_sim.descriptors import make_descriptor
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.networks.fitting import Fitting
from dp_sim.structures.batch import AtomicBatch, NeighborList

DTYPES = {"float32": torch.float32, "float64": torch.float64}


class DeepPotential(torch.nn.Module):
    """Atomic energies of a batch.

    Pair vectors are differences in the precision of the positions: give float64 ones where coordinates are large.
    Everything from r_ij to the output of the fitting net is in `config.precision`. The energy bias and all sums over
    atoms are in float64. float32 costs about 1e-6 relative in forces (tests/model/test_precision.py measures it).

    Parameters
    ----------
    config
        Settings of the descriptor and the networks.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.descriptor = make_descriptor(config)
        self.fitting = Fitting(
            self.descriptor.n_features,
            config.fitting,
            len(config.species),
            config.activation,
            config.residual_timestep,
            self.descriptor.mirror_signs(),
        )
        set_precision(self, DTYPES[config.precision])

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        """Compute atomic energies (N,), eV, float64."""
        energies = self.fitting(self.descriptor(batch, pairs), batch.species)
        return self.fitting.with_bias(energies, batch.species)


class Potential(torch.nn.Module):
    """A Deep Potential with its neighbour search, scripted in model files: tensors in, tensors out.

    Parameters
    ----------
    model
        The network.
    cutoff
        Of the neighbour search, Angstrom.
    """

    def __init__(self, model: DeepPotential, cutoff: float) -> None:
        super().__init__()
        self.model = model
        self.search = NeighborSearch(cutoff)

    def forward(
        self,
        positions: Tensor,
        species: Tensor,
        cell: Tensor,
        system: Tensor,
        center: Tensor,
        neighbor: Tensor,
        shift: Tensor,
    ) -> Tensor:
        """Compute atomic energies (N,), eV, float64.

        The arguments are the fields of AtomicBatch and NeighborList (dp_sim.structures.batch), in their order.
        """
        return self.model(AtomicBatch(positions, species, cell, system), NeighborList(center, neighbor, shift))

    @torch.jit.export
    def neighbors(self, positions: Tensor, cell: Tensor, pbc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Find the pairs of one system.

        Parameters
        ----------
        positions
            (N, 3) Angstrom.
        cell
            (3, 3) Angstrom, rows are lattice vectors.
        pbc
            (3,) bool.

        Returns
        -------
        center, neighbor, shift
            The fields of NeighborList.
        """
        pairs = self.search(positions, cell, pbc)
        return pairs.center, pairs.neighbor, pairs.shift

    @torch.jit.export
    def atomic_energies(self, positions: Tensor, species: Tensor, cell: Tensor, pbc: Tensor) -> Tensor:
        """Compute atomic energies (N,), eV, float64, of one system, neighbour search included.

        Parameters
        ----------
        positions
            (N, 3) Angstrom; the energies are differentiable in it any number of times.
        species
            (N,) int64, index into the model's species.
        cell
            (3, 3) Angstrom, rows are lattice vectors; differentiable as the positions are.
        pbc
            (3,) bool.
        """
        system = torch.zeros_like(species)
        pairs = self.search(positions, cell, pbc)
        return self.model(AtomicBatch(positions, species, cell[None], system), pairs)


def set_precision(module: torch.nn.Module, dtype: torch.dtype) -> None:
    """Cast weights and statistics of a DeepPotential or Potential, scripted or not; the energy bias stays float64."""
    potential: Any = getattr(module, "model", module)
    bias = potential.fitting.bias.clone()
    module.to(dtype)
    potential.fitting.bias = bias
