"""A committee as one model: the mean of its members, and their standard deviation as an error estimate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dp_sim.structures.batch import ModelOutput
from dp_sim.uncertainty.calibration import Calibration


def _mean(parts: Sequence[Tensor | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    return torch.stack(present).mean(dim=0) if present else None


def _spread(parts: Sequence[Tensor | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    return torch.stack(present).std(dim=0, correction=1) if present else None


def combine(outputs: Sequence[ModelOutput]) -> ModelOutput:
    """Combine the outputs of all members for one batch.

    Parameters
    ----------
    outputs
        One for each member, all for the same batch.

    Returns
    -------
    ModelOutput
        Means, standard deviations over the members (ddof=1), and the energies of each. The output of a single member
        is returned as it is.
    """
    if len(outputs) == 1:
        return outputs[0]
    energies = torch.stack([output.energy for output in outputs])
    return ModelOutput(
        energies.mean(dim=0),
        torch.stack([output.atomic_energies for output in outputs]).mean(dim=0),
        _mean([output.forces for output in outputs]),
        _mean([output.virial for output in outputs]),
        energies.std(dim=0, correction=1),
        _spread([output.forces for output in outputs]),
        energies.T,
    )


def calibrated(output: ModelOutput, calibration: Calibration) -> ModelOutput:
    """Put standard uncertainties in place of raw spreads."""
    forces_std = output.forces_std
    return output._replace(
        energy_std=None if output.energy_std is None else calibration.energy.factor * output.energy_std,
        forces_std=None if forces_std is None else calibration.forces.factor * forces_std,
    )
