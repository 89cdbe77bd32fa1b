"""The scripted part of the compiled path (described in dp_sim.compiled.evaluation)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dp_sim.compiled.fitting_layout import fitting_layout, side_by_side, symmetric_once
from dp_sim.compiled.packing import pack
from dp_sim.compiled.part_layout import PartLayout


class CompiledPotential(torch.nn.Module):
    """A Potential that calls the operator torch.ops.dp_sim.evaluate_with_hidden.

    It must be registered to script or load it.

    Parameters
    ----------
    fitting
        The dp_sim.networks.fitting.Fitting of the potential, scripted or not.
    parts
        The parts of its descriptor, in the order of their features.
    """

    sizes: Tensor
    integers: Tensor
    doubles: Tensor
    numbers: Tensor
    #: Width of the last hidden layer of the fitting nets.
    hidden_width: int

    def __init__(self, fitting: Any, parts: Sequence[PartLayout]) -> None:
        super().__init__()
        self.hidden_width = next(iter(fitting.last.children())).weight.shape[1]
        held_at = side_by_side([symmetric_once(part.embedding.columns, part.axis) for part in parts])
        for name, values in pack(parts, fitting_layout(fitting, held_at))._asdict().items():
            self.register_buffer(name, values)

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
        """Evaluate a batch, given as the fields of AtomicBatch and NeighborList.

        Pairs are sorted by centre; those beyond the cutoff add nothing.

        Returns
        -------
        tuple of Tensor
            Atomic energies (N,) eV, forces (N, 3) eV/Angstrom, virial (S, 3, 3) eV, all float64.
        """
        nothing = torch.empty(0, dtype=torch.float64)
        return self.timed(positions, species, cell, system, center, neighbor, shift, nothing, nothing)

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
        hidden: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate a batch, and write the time of each stage into `seconds` (3,) and `hidden` (N, H), float64.

        The stages are descriptors, fitting nets and derivatives; times are CPU times, summed over threads. What is
        empty is not measured or written.
        """
        energies = torch.empty(species.shape[0], dtype=torch.float64)
        forces = torch.empty(species.shape[0], 3, dtype=torch.float64)
        virial = torch.empty(cell.shape[0], 3, 3, dtype=torch.float64)
        torch.ops.dp_sim.evaluate_with_hidden(
            positions=positions.detach().to(torch.float64).contiguous(),
            cell=cell.detach().to(torch.float64).contiguous(),
            system=system,
            species=species,
            center=center.contiguous(),
            neighbor=neighbor.contiguous(),
            shift=shift.to(torch.float64).contiguous(),
            sizes=self.sizes,
            integers=self.integers,
            doubles=self.doubles,
            numbers=self.numbers,
            energies=energies,
            forces=forces,
            virial=virial,
            seconds=seconds,
            hidden=hidden,
        )
        return energies, forces, virial
