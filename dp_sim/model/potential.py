"""The Deep Potential: E = sum of atomic energies, each a network of the atom's neighbourhood (eq. 3-11)."""

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
    """A batch and its neighbours -> atomic energies (N,), eV, float64.

    Precision: pair vectors are differences in the precision of the positions (give float64 ones where coordinates are
    large); everything from r_ij to the output of the fitting net is in `config.precision`; the energy bias and all sums
    over atoms are in float64. float32 costs about 1e-6 relative in forces (measured in tests/model/test_precision.py).
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
        energies = self.fitting(self.descriptor(batch, pairs), batch.species)
        return self.fitting.with_bias(energies, batch.species)


class Potential(torch.nn.Module):
    """A Deep Potential with its neighbour search: what a model file holds, scripted. Tensors in, tensors out."""

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
        """The fields of AtomicBatch and NeighborList -> atomic energies (N,), eV, float64."""
        return self.model(AtomicBatch(positions, species, cell, system), NeighborList(center, neighbor, shift))

    @torch.jit.export
    def neighbors(self, positions: Tensor, cell: Tensor, pbc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Neighbour list of one system: positions (N, 3), cell (3, 3), Angstrom, pbc (3,) bool -> i, j, shift."""
        pairs = self.search(positions, cell, pbc)
        return pairs.center, pairs.neighbor, pairs.shift

    @torch.jit.export
    def atomic_energies(self, positions: Tensor, species: Tensor, cell: Tensor, pbc: Tensor) -> Tensor:
        """One system, neighbours included: (N, 3), (N,), (3, 3) Angstrom, (3,) bool -> (N,) eV, float64.

        Differentiable in positions and cell, as often as needed.
        """
        system = torch.zeros_like(species)
        pairs = self.search(positions, cell, pbc)
        return self.model(AtomicBatch(positions, species, cell[None], system), pairs)


def set_precision(module: torch.nn.Module, dtype: torch.dtype) -> None:
    """Cast weights and statistics of a DeepPotential or Potential (scripted or not); the energy bias stays float64."""
    potential: Any = getattr(module, "model", module)
    bias = potential.fitting.bias.clone()
    module.to(dtype)
    potential.fitting.bias = bias
