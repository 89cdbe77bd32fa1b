"""The scripted part of the compiled path (dp_sim.compiled.evaluation says what it does)."""

from typing import Any

import torch
from torch import Tensor

from dp_sim.compiled.embedding_layout import Source
from dp_sim.compiled.fitting_layout import fitting_layers, symmetric_once


class CompiledPotential(torch.nn.Module):
    """A Potential, as the operator torch.ops.dp_sim.evaluate takes it. Scripting and loading it need that operator."""

    constants: Tensor
    scale: Tensor
    source_of: Tensor
    numbers: Tensor
    shape: Tensor
    fitting: Tensor
    fitting_shape: Tensor
    bias: Tensor

    def __init__(self, potential: Any, source: Source) -> None:
        super().__init__()
        descriptor, fitting = potential.model.descriptor, potential.model.fitting
        environment, switch = descriptor.environment, descriptor.environment.switch
        by_tables = hasattr(descriptor, "table_of")
        width = int((descriptor.table if by_tables else descriptor.embedding).width)
        axis = int(getattr(descriptor.contraction, "axis_width", 0))
        constants = [switch.start, switch.cutoff, float(switch.cosine), width, axis, float(by_tables)]
        self.register_buffer("constants", torch.tensor(constants, dtype=torch.float64))
        self.register_buffer("scale", 1.0 / environment.scale.to(torch.float64))
        self.register_buffer("source_of", source.of)
        self.register_buffer("numbers", source.numbers)
        self.register_buffer("shape", source.shape)
        layers = fitting_layers(fitting, symmetric_once(width, axis))
        self.register_buffer("fitting", layers.numbers)
        self.register_buffer("fitting_shape", layers.shape)
        self.register_buffer("bias", fitting.bias)

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
        nothing = torch.empty(0, dtype=torch.float64)
        return self.timed(positions, species, cell, system, center, neighbor, shift, nothing)

    @torch.jit.export
    def timed(
        self,
        positions: Tensor,
        species: Tensor,
        cell: Tensor,
        system: Tensor,
        center: Tensor,
        neighbor: Tensor,
        shift: Tensor,
        seconds: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same, and the processor's time in descriptors, fitting nets and their derivatives, summed over threads:
        written into `seconds` (3,) float64."""
        energies = torch.empty(species.shape[0], dtype=torch.float64)
        forces = torch.empty(species.shape[0], 3, dtype=torch.float64)
        virial = torch.empty(cell.shape[0], 3, 3, dtype=torch.float64)
        torch.ops.dp_sim.evaluate(
            positions.detach().to(torch.float64).contiguous(), cell.detach().to(torch.float64).contiguous(),
            system, species, center.contiguous(), neighbor.contiguous(), shift.to(torch.float64).contiguous(),
            self.constants, self.scale, self.source_of, self.numbers, self.shape,
            self.fitting, self.fitting_shape, self.bias, energies, forces, virial, seconds,
        )  # fmt: skip
        return energies, forces, virial
