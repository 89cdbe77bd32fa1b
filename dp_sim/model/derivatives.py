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


def hessian_rows(function: EnergyFunction, batch: AtomicBatch, pairs: NeighborList, atoms: Tensor) -> Tensor:
    """Differentiate the energy of one system twice, row by row, from the energies that depend on the atom of the row.

    Parameters
    ----------
    function
        Atomic energies (N,) eV of a batch and its pairs.
    atoms
        (R,) int64, the atoms of the rows.

    Returns
    -------
    Tensor
        (3R, 3N) eV/Angstrom^2.
    """
    rows = [_rows_of_atom(function, batch, pairs, int(atom)) for atom in atoms]
    return torch.cat(rows) if rows else torch.zeros(0, batch.positions.numel(), dtype=batch.positions.dtype)


def _rows_of_atom(function: EnergyFunction, batch: AtomicBatch, pairs: NeighborList, atom: int) -> Tensor:
    """Compute three rows from the energies that depend on the atom: its own, and those of atoms that see it."""
    depends = torch.zeros(len(batch.species), dtype=torch.bool, device=batch.positions.device)
    depends[pairs.center[pairs.neighbor == atom]] = True
    depends[atom] = True
    kept = depends[pairs.center]
    near = NeighborList(pairs.center[kept], pairs.neighbor[kept], pairs.shift[kept])
    positions, gradient = _gradient(lambda *given: function(*given)[depends], batch, near)
    if not gradient.requires_grad:  # no pairs at all: the energy does not depend on the positions
        return torch.zeros(3, gradient.numel(), dtype=gradient.dtype, device=gradient.device)
    return torch.stack(
        [torch.autograd.grad(entry, [positions], retain_graph=True)[0].flatten() for entry in gradient[atom]]
    )


def hessian_product(function: EnergyFunction, batch: AtomicBatch, pairs: NeighborList, vectors: Tensor) -> Tensor:
    """Multiply vectors (V, N, 3) by d2E/dr dr of one system without forming it: (V, N, 3)."""
    positions, gradient = _gradient(function, batch, pairs)
    moving = vectors.to(gradient)
    if not gradient.requires_grad or not len(moving):
        return torch.zeros_like(moving)
    return torch.stack([torch.autograd.grad(gradient, [positions], v, retain_graph=True)[0] for v in moving])


def _gradient(function: EnergyFunction, batch: AtomicBatch, pairs: NeighborList) -> tuple[Tensor, Tensor]:
    """Differentiate the energy once: positions and gradient (N, 3), which can be differentiated again."""
    positions = batch.positions.detach().requires_grad_(True)
    atomic = function(batch._replace(positions=positions), pairs)
    return positions, torch.autograd.grad(atomic.sum(), [positions], create_graph=True)[0]
