"""The scripted part of the fast path (dp_sim.fused says what it does)."""

from typing import Any

import torch
from torch import Tensor

from dp_sim.fused_fitting import FusedFitting, symmetric_once
from dp_sim.fused_sources import Source

#: Atoms of one species that go through the fitting net together.
BLOCK = 512


def first_pairs(center: Tensor, n_atoms: int) -> Tensor:
    """Where the pairs of each atom begin (N + 1,) int64, for centres (P,) that are sorted."""
    first = torch.zeros(n_atoms + 1, dtype=torch.int64)
    first[1:] = torch.cumsum(torch.bincount(center, minlength=n_atoms), 0)
    return first


class FusedPotential(torch.nn.Module):
    """A Potential, cut at the descriptors. Scripting and loading it need the operators torch.ops.dp_sim."""

    constants: Tensor
    scale: Tensor
    source_of: Tensor
    numbers: Tensor
    shape: Tensor
    bias: Tensor

    def __init__(self, potential: Any, source: Source) -> None:
        super().__init__()
        descriptor, fitting = potential.model.descriptor, potential.model.fitting
        environment, switch = descriptor.environment, descriptor.environment.switch
        by_tables = hasattr(descriptor, "table_of")
        self.register_buffer("scale", 1.0 / environment.scale.to(torch.float64))
        self.register_buffer("source_of", source.of)
        self.register_buffer("numbers", source.numbers)
        self.register_buffer("shape", source.shape)
        width = int((descriptor.table if by_tables else descriptor.embedding).width)
        axis = int(getattr(descriptor.contraction, "axis_width", 0))
        constants = [switch.start, switch.cutoff, float(switch.cosine), width, axis, float(by_tables)]
        self.register_buffer("constants", torch.tensor(constants, dtype=torch.float64))
        lanes = 64 // source.numbers.element_size()
        self.padded_width = width + -width % lanes
        self.register_buffer("bias", fitting.bias)
        once = symmetric_once(width, axis)
        self.n_features = int(once.max()) + 1
        nets = zip(fitting.nets.children(), fitting.last.children(), strict=True)
        self.nets = torch.nn.ModuleList(FusedFitting(net, last, once) for net, last in nets)
        self.block = BLOCK

    @torch.jit.export
    def energies_and_forces(
        self,
        positions: Tensor,
        species: Tensor,
        cell: Tensor,
        system: Tensor,
        center: Tensor,
        neighbor: Tensor,
        shift: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The fields of AtomicBatch and NeighborList -> atomic energies (N,), forces (N, 3), virial (S, 3, 3), float64.

        Pairs are sorted by their centre; those beyond the cutoff add nothing.
        """
        real = self.numbers.dtype
        n_atoms = species.shape[0]
        first = first_pairs(center, n_atoms)
        x = positions.detach().to(torch.float64).contiguous()
        box = cell.detach().to(torch.float64).contiguous()
        other, images = neighbor.contiguous(), shift.to(torch.float64).contiguous()
        energies = self.bias[species]
        gradient = torch.empty(neighbor.shape[0], 3, dtype=real)
        for index, net in enumerate(self.nets):
            for atoms in torch.nonzero(species == index)[:, 0].split(self.block):
                total, features = self.describe(x, box, system, species, first, other, images, atoms)
                atomic, slope = net(features)
                self.describe_gradient(x, box, system, species, first, other, images, atoms, total, slope, gradient)
                energies.index_add_(0, atoms, atomic.to(torch.float64))
        forces = torch.empty(n_atoms, 3, dtype=torch.float64)
        virial = torch.empty(cell.shape[0], 3, 3, dtype=torch.float64)
        torch.ops.dp_sim.pair_forces(x, box, system, species, first, other, images, gradient, forces, virial)
        return energies, forces, virial

    @torch.jit.export
    def describe(
        self,
        positions: Tensor,
        cell: Tensor,
        system: Tensor,
        species: Tensor,
        first: Tensor,
        neighbor: Tensor,
        shift: Tensor,
        atoms: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """T (n, 4, M1) and features (n, F) of `atoms` (n,), all of one species; `first` as first_pairs gives it."""
        total = torch.empty(atoms.shape[0], 4, self.padded_width, dtype=self.numbers.dtype)
        features = torch.empty(atoms.shape[0], self.n_features, dtype=self.numbers.dtype)
        torch.ops.dp_sim.describe(
            positions, cell, system, species, first, neighbor, shift,
            self.constants, self.scale, self.source_of, self.numbers, self.shape, atoms, total, features,
        )  # fmt: skip
        return total, features

    def describe_gradient(
        self,
        positions: Tensor,
        cell: Tensor,
        system: Tensor,
        species: Tensor,
        first: Tensor,
        neighbor: Tensor,
        shift: Tensor,
        atoms: Tensor,
        total: Tensor,
        slope: Tensor,
        gradient: Tensor,
    ) -> None:
        """Writes dE/dr_ij of the pairs of `atoms` into gradient (P, 3), from T and slope = dE/dD (n, F)."""
        torch.ops.dp_sim.describe_gradient(
            positions, cell, system, species, first, neighbor, shift,
            self.constants, self.scale, self.source_of, self.numbers, self.shape, atoms, total, slope, gradient,
        )  # fmt: skip
