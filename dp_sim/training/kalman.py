"""RLEKF, the extended Kalman filter for training Deep Potentials: Hu et al., AAAI 2023, arXiv:2212.06989 ("the paper").

The weights theta are the state of the filter, the labels its measurements, and P the covariance of the weight errors.
P is block-diagonal: large layers are split into blocks, and small adjacent layers share one (the paper's reorganised
layers; DeePMD-kit calls the same filter LKF). With L blocks, the Jacobian H_l of m measurements and residuals r:

    S       = lambda L I + sum_l H_l P_l H_l^T          (m, m)
    theta_l <- theta_l + P_l H_l^T S^-1 r
    P_l     <- (P_l - P_l H_l^T S^-1 H_l P_l) / lambda,    lambda <- nu lambda + 1 - nu

The paper has m = 1 and processes measurements one by one, with a new prediction for each. Here the measurements of one
step are processed together. This is the same where predictions are linear in the weights, and needs P only once.
With one block and lambda = 1 this is recursive least squares: the minimum of |r|^2 + |theta - theta_0|^2.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor

from dp_sim.config.training import LossConfig, TrainingConfig
from dp_sim.errors import InputError
from dp_sim.training.loss import Labels, Prediction


def layer_blocks(sizes: Sequence[int], block_size: int) -> list[tuple[int, int]]:
    """Divide the weights of consecutive layers into blocks of at most `block_size`.

    A larger layer is cut into pieces of nearly equal size; smaller adjacent layers share a block while they fit.

    Parameters
    ----------
    sizes
        Number of weights of each layer.
    block_size
        Largest number of weights of a block.

    Returns
    -------
    list of (int, int)
        Start and stop of each block in the vector of all weights.
    """
    blocks: list[tuple[int, int]] = []
    start = stop = 0  # of the block that is being filled
    for size in sizes:
        if stop > start and stop - start + size > block_size:
            blocks.append((start, stop))
            start = stop
        stop += size
        pieces = -(-size // block_size)
        if pieces > 1:
            cuts = [start + size * piece // pieces for piece in range(pieces + 1)]
            blocks += pairwise(cuts)
            start = stop
    if stop > start:
        blocks.append((start, stop))
    return blocks


def check_memory(blocks: Sequence[tuple[int, int]]) -> None:
    """Check that the covariance of these blocks fits into the memory of this machine.

    Raises
    ------
    InputError
        It does not.
    """
    needed = 8 * sum((stop - start) ** 2 for start, stop in blocks)
    here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > here:
        raise InputError(
            "memory-too-small",
            f"the covariance of rlekf would take {needed / 1e9:.3g} GB for {blocks[-1][1]:,} weights, "
            f"and this machine has {here / 1e9:.3g} GB; lower training.block_size, take a smaller net, or soap",
        )


class BlockFilter:
    """The filter above for a vector of n numbers; P starts as the identity. Blocks of one size form one stack.

    P is in float64, whatever the precision of the weights. In directions without measurements P grows by 1 / lambda a
    step; next to those, P in float32 loses positivity after a thousand steps (ethanol, 5,700 weights).

    Parameters
    ----------
    blocks
        Start and stop of each block in the vector.
    forgetting, forgetting_rate
        lambda at the start, and nu.
    device
        Where P is kept; the CPU by default.
    """

    def __init__(
        self,
        blocks: Sequence[tuple[int, int]],
        forgetting: float,
        forgetting_rate: float,
        device: torch.device | None = None,
    ) -> None:
        self.forgetting, self.forgetting_rate, self.count = forgetting, forgetting_rate, len(blocks)
        sizes = sorted({stop - start for start, stop in blocks})
        starts = [[start for start, stop in blocks if stop - start == size] for size in sizes]
        self.indices = [  # (blocks, size) in the vector, for each size
            (torch.tensor(first)[:, None] + torch.arange(size)).to(device)
            for first, size in zip(starts, sizes, strict=True)
        ]
        self.covariances = [
            torch.eye(p.shape[1], dtype=torch.float64, device=device).repeat(len(p), 1, 1) for p in self.indices
        ]

    def update(self, jacobian: Tensor, residual: Tensor) -> Tensor:
        """Process m measurements.

        Parameters
        ----------
        jacobian
            (m, n) H, float64.
        residual
            (m,) label less prediction, float64.

        Returns
        -------
        (n,) tensor
            Change of the state.
        """
        step = torch.zeros_like(jacobian[0])
        rows = [jacobian[:, index].permute(1, 2, 0) for index in self.indices]  # H^T (blocks, size, m)
        gains = [p @ h for p, h in zip(self.covariances, rows, strict=True)]  # P H^T
        noise = self.forgetting * self.count * torch.eye(len(residual), dtype=step.dtype, device=step.device)
        spread = noise + sum(torch.einsum("bsm,bsn->mn", h, g) for h, g in zip(rows, gains, strict=True))  # S
        root = torch.linalg.cholesky(spread)
        weighed = torch.cholesky_solve(residual[:, None], root)  # S^-1 r
        for index, covariance, gain in zip(self.indices, self.covariances, gains, strict=True):
            step[index] = (gain @ weighed)[:, :, 0]
            half = torch.linalg.solve_triangular(root.T, gain, upper=True, left=False)  # P H^T S^-1/2
            covariance.baddbmm_(half, half.transpose(1, 2), beta=1 / self.forgetting, alpha=-1 / self.forgetting)
        self.forgetting = self.forgetting_rate * self.forgetting + 1 - self.forgetting_rate
        return step

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"forgetting": self.forgetting, "covariances": self.covariances}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.forgetting = state["forgetting"]
        for own, saved in zip(self.covariances, state["covariances"], strict=True):
            own.copy_(saved)


def funnelled(error: Tensor, labelled: Tensor, groups: int) -> Tensor:
    """Reduce errors to one residual per group of rows (the paper's funnel).

    The predictions of a group are summed, each with the sign of its error, so that the residual is the sum of |error|.
    Divided by the number of errors, it is their mean.

    Parameters
    ----------
    error
        (R, k) errors.
    labelled
        (R,) 1 for rows that count, else 0.
    groups
        Number of groups.

    Returns
    -------
    (groups,) tensor
    """
    absolute = error.abs().sum(dim=1) * labelled
    group = torch.arange(len(error), device=error.device) % groups
    zeros = torch.zeros(groups, dtype=error.dtype, device=error.device)
    counts = zeros.index_add(0, group, labelled * error.shape[1]).clamp_min(1)
    return zeros.index_add(0, group, absolute) / counts


class KalmanFilter:
    """RLEKF as an optimiser (dp_sim.training.optimizers): one step processes energy, virial and groups of forces.

    Errors are weighted as in the loss, by the final prefactors: the filter forgets, so the weights of its measurements
    must not change in time. Only ratios of prefactors matter. The residual is a mean |error|, so
    H = -d(residual)/d(theta).

    Parameters
    ----------
    parameters
        The weights.
    loss
        Prefactors.
    settings
        Settings of the training.

    Raises
    ------
    InputError
        The covariance does not fit into memory.
    """

    remedy: ClassVar[str] = "raise training.forgetting towards 1 or lower training.block_size"

    def __init__(self, parameters: Sequence[Tensor], loss: LossConfig, settings: TrainingConfig) -> None:
        self.parameters, self.groups = list(parameters), settings.force_groups
        prefactors = (loss.energy[1], loss.forces[1], loss.virial[1])
        self.energy, self.forces, self.virial = (value / max(prefactors) for value in prefactors)
        blocks = layer_blocks([p.numel() for p in self.parameters], settings.block_size)
        if self.parameters[0].device.type == "cpu":
            check_memory(blocks)
        self.filter = BlockFilter(blocks, settings.forgetting, settings.forgetting_rate, self.parameters[0].device)

    def residuals(self, prediction: Prediction, labels: Labels) -> Tensor:
        """Compute the residuals (m,): mean |error| of energy, of each group of forces, and of the virial if any.

        As in the loss (dp_sim.training.loss.mean_square_errors), energies are divided by sqrt(N), forces by sqrt(3) and
        virials by 3 sqrt(N); each error is multiplied by the square root of its weight. All residuals are multiplied by
        sqrt(batch size) (Hu et al., PPoPP 2024, for batches).
        """
        sizes = labels.sizes
        energy = (self.energy / sizes * labels.energy_weight).sqrt() * (labels.energy - prediction.energy)
        forces = (self.forces / 3 * labels.forces_weight).sqrt()[:, None] * (labels.forces - prediction.forces)
        parts = [funnelled(energy[:, None], labels.has_energy, 1), funnelled(forces, labels.has_forces, self.groups)]
        if prediction.virial is not None:
            virial = (self.virial / (9 * sizes) * labels.virial_weight).sqrt()[:, None, None] * (
                labels.virial - prediction.virial
            )
            parts.append(funnelled(virial.flatten(1), labels.has_virial, 1))
        return torch.cat(parts) * len(sizes) ** 0.5

    def learning_rate(self, done: float) -> None:
        """Return None: the filter has no learning rate."""
        return None

    def jacobian(self, residuals: Tensor) -> Tensor:
        """Compute H = -d(residuals)/d(weights), (m, n), all rows at once; the weights into one neuron are adjacent."""
        each = torch.eye(len(residuals), dtype=residuals.dtype, device=residuals.device)
        gradients = torch.autograd.grad(residuals, self.parameters, each, is_grads_batched=True, materialize_grads=True)
        return torch.cat([-g.movedim(-1, 1).flatten(1) for g in gradients], dim=1)

    def step(self, prediction: Prediction, labels: Labels, done: float) -> None:
        """Update the weights from a prediction and its labels."""
        residuals = self.residuals(prediction, labels)
        step = self.filter.update(self.jacobian(residuals).double(), residuals.detach().double())
        with torch.no_grad():
            for parameter, part in zip(self.parameters, step.split([p.numel() for p in self.parameters]), strict=True):
                parameter += part.view(parameter.movedim(-1, 0).shape).movedim(0, -1)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return self.filter.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.filter.load_state_dict(state)
