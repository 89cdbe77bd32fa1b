"""A committee as one model: the mean of its members, and their standard deviation as an error estimate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dp_sim.structures.batch import ModelOutput
from dp_sim.uncertainty.calibration import Calibration


def _all(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Stack the parts of the members, (K, ...); None where they have none."""
    present = [part for part in parts if part is not None]
    return torch.stack(present) if present else None


def combine(outputs: Sequence[ModelOutput]) -> ModelOutput:
    """Combine the outputs of all members for one batch.

    Parameters
    ----------
    outputs
        One for each member, all for the same batch.

    Returns
    -------
    ModelOutput
        Means, standard deviations over the members (ddof=1), and the energies and virials of each. The output of a
        single member is returned as it is.
    """
    if len(outputs) == 1:
        return outputs[0]
    energies = torch.stack([output.energy for output in outputs])
    forces, virials = _all([output.forces for output in outputs]), _all([output.virial for output in outputs])
    return ModelOutput(
        energies.mean(dim=0),
        torch.stack([output.atomic_energies for output in outputs]).mean(dim=0),
        None if forces is None else forces.mean(dim=0),
        None if virials is None else virials.mean(dim=0),
        energies.std(dim=0, correction=1),
        None if forces is None else forces.std(dim=0, correction=1),
        energies.T,
        None if virials is None else virials.transpose(0, 1),
    )


def calibrated(output: ModelOutput, calibration: Calibration) -> ModelOutput:
    """Put standard uncertainties in place of raw spreads."""
    forces_std = output.forces_std
    return output._replace(
        energy_std=None if output.energy_std is None else calibration.energy.factor * output.energy_std,
        forces_std=None if forces_std is None else calibration.forces.factor * forces_std,
    )
