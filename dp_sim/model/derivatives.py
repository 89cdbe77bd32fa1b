"""Forces, virial and Hessian: exact derivatives of the energy, by automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dp_sim.structures.batch import AtomicBatch, ModelOutput, NeighborList, sum_per_system

EnergyFunction = Callable[[AtomicBatch, NeighborList], Tensor]


def strained(batch: AtomicBatch, strain: Tensor) -> AtomicBatch:
    """Strain positions and cells, x -> x (1 + strain); strain (S, 3, 3)."""
    moved = batch.positions + torch.bmm(batch.positions[:, None, :], strain[batch.system])[:, 0, :]
    return batch._replace(positions=moved, cell=batch.cell + torch.bmm(batch.cell, strain))


def evaluate(
    function: EnergyFunction, batch: AtomicBatch, pairs: NeighborList, *, forces: bool, virial: bool
) -> ModelOutput:
    """Evaluate a batch, and differentiate its energy as far as asked.

    Parameters
    ----------
    function
        Atomic energies (N,) eV of a batch and its pairs.
    forces
        Whether to compute F = -dE/dr, (N, 3) eV/Angstrom.
    virial
        Whether to compute W = -dE/d(strain), (S, 3, 3) eV.
    """
    if not (forces or virial):
        with torch.no_grad():
            atomic = function(batch, pairs)
            return ModelOutput(sum_per_system(atomic, batch), atomic)
    positions = batch.positions.detach().requires_grad_(True)
    strain = torch.zeros_like(batch.cell).requires_grad_(True)
    moved = batch._replace(positions=positions)
    if virial:
        moved = strained(moved, strain)
    atomic = function(moved, pairs)
    wanted = [positions, strain] if virial else [positions]
    gradients = torch.autograd.grad(atomic.sum(), wanted)
    atomic = atomic.detach()
    return ModelOutput(
        sum_per_system(atomic, batch),
        atomic,
        -gradients[0] if forces else None,
        -gradients[1] if virial else None,
    )


def hessian(function: EnergyFunction, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
    """Compute d2E/dr dr of one system, (3N, 3N) eV/Angstrom^2, row by row from the graph of the gradient."""
    positions = batch.positions.detach().requires_grad_(True)
    atomic = function(batch._replace(positions=positions), pairs)
    (gradient,) = torch.autograd.grad(atomic.sum(), [positions], create_graph=True)
    flat = gradient.flatten()
    if not flat.requires_grad:  # no pairs at all: the energy does not depend on the positions
        return torch.zeros(len(flat), len(flat), dtype=flat.dtype, device=flat.device)
    rows = [torch.autograd.grad(flat[i], [positions], retain_graph=True)[0].flatten() for i in range(len(flat))]
    matrix = torch.stack(rows)
    return 0.5 * (matrix + matrix.T)  # symmetric up to rounding; made exactly so
