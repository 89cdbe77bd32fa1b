"""The loss of eq. 12, with DeePMD's schedule: prefactors follow the learning rate from initial to final values."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dp_sim.config.training import LossConfig


class Labels(NamedTuple):
    """Labels of a batch of S frames; a missing label is 0 and does not count.

    Squared errors are multiplied by the weights, which are 1 unless the data give others.
    """

    energy: Tensor  # (S,) eV, less the energy bias of the model
    forces: Tensor  # (N, 3) eV/Angstrom
    virial: Tensor  # (S, 3, 3) eV
    has_energy: Tensor  # (S,) 0 or 1
    has_forces: Tensor  # (N,) 0 or 1
    has_virial: Tensor  # (S,) 0 or 1
    sizes: Tensor  # (S,) atoms
    energy_weight: Tensor  # (S,)
    forces_weight: Tensor  # (N,)
    virial_weight: Tensor  # (S,)


class Prediction(NamedTuple):
    """Predictions for a batch of S frames."""

    energy: Tensor  # (S,) eV, less the energy bias
    forces: Tensor  # (N, 3)
    virial: Tensor | None  # (S, 3, 3)


class Errors(NamedTuple):
    """Weighted mean squares over the labels: energy |dE|^2/N, forces |dF|^2/3 per atom, virial |dW|^2/(9N)."""

    energy: Tensor
    forces: Tensor
    virial: Tensor


def mean_square_errors(prediction: Prediction, labels: Labels) -> Errors:
    """Compute the terms of eq. 12.

    Each is the weighted sum of squared errors over the number of labels. It is not divided by the sum of the weights,
    so that the weight counts even where a batch holds one frame.

    Parameters
    ----------
    prediction, labels
        Of one batch.
    """
    energy = (prediction.energy - labels.energy).square() / labels.sizes * labels.has_energy * labels.energy_weight
    forces = (prediction.forces - labels.forces).square().mean(dim=1) * labels.has_forces * labels.forces_weight
    virial = torch.zeros_like(energy)
    if prediction.virial is not None:
        difference = (prediction.virial - labels.virial).square().mean(dim=(1, 2))
        virial = difference / labels.sizes * labels.has_virial * labels.virial_weight
    return Errors(
        energy.sum() / labels.has_energy.sum().clamp_min(1),
        forces.sum() / labels.has_forces.sum().clamp_min(1),
        virial.sum() / labels.has_virial.sum().clamp_min(1),
    )


@torch.no_grad()
def square_sums(prediction: Prediction, labels: Labels) -> Tensor:
    """Sum squared errors for the learning curve; weights do not count here.

    Returns
    -------
    (2, 3) tensor, float64
        Sums of squared errors of energy per atom (eV), force components (eV/Angstrom) and virial components per atom
        (eV); below them, the number of labels in each sum.
    """
    energy = ((prediction.energy - labels.energy) / labels.sizes).square() * labels.has_energy
    forces = (prediction.forces - labels.forces).square().mean(dim=1) * labels.has_forces
    virial = torch.zeros_like(energy)
    if prediction.virial is not None:
        difference = (prediction.virial - labels.virial).square().mean(dim=(1, 2))
        virial = difference / labels.sizes.square() * labels.has_virial
    sums = torch.stack([energy.sum(), forces.sum(), virial.sum()])
    counts = torch.stack([labels.has_energy.sum(), labels.has_forces.sum(), labels.has_virial.sum()])
    return torch.stack([sums, counts]).cpu().double()


def roots(sums: Tensor) -> tuple[float | None, float | None, float | None]:
    """Compute the RMSE of energy, forces and virial from the sum of `square_sums` over frames; None without labels."""
    energy, forces, virial = (math.sqrt(total / count) if count > 0 else None for total, count in sums.T.tolist())
    return energy, forces, virial


def total_loss(errors: Errors, config: LossConfig, progress: float) -> Tensor:
    """Compute the loss of eq. 12.

    Parameters
    ----------
    errors
        Its terms.
    config
        Prefactors at the start and the end.
    progress
        lr/lr_start: 1 at the start of training and near 0 at its end.
    """

    def prefactor(limits: tuple[float, float]) -> float:
        return limits[1] * (1.0 - progress) + limits[0] * progress

    return (
        prefactor(config.energy) * errors.energy
        + prefactor(config.forces) * errors.forces
        + prefactor(config.virial) * errors.virial
    )
