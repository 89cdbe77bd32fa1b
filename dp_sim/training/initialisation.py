"""Statistics of the data, set before training: energies of the species, and means and deviations of the descriptor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dp_sim.config.training import TrainConfig
from dp_sim.datasets.frames import Frame
from dp_sim.errors import InputError
from dp_sim.model.potential import DeepPotential
from dp_sim.neighbors.pairs import StructurePairs

#: Energies of one atom alone, of one element, agree within this (eV).
_ISOLATED_EV = 1e-3


def energy_bias(frames: Sequence[Frame], species: Sequence[Tensor], n_species: int) -> Tensor:
    """Fit one energy per species to the total energies of the frames.

    Weighted least squares; where the data leave it open, the solution of least norm.

    Parameters
    ----------
    frames
        Training frames; those without an energy do not count.
    species
        (N,) of each frame.
    n_species
        T.

    Returns
    -------
    (T,) tensor
        eV, float64; zeros without energies.
    """
    counts = [
        np.bincount(s.numpy(), minlength=n_species)
        for f, s in zip(frames, species, strict=True)
        if f.energy is not None
    ]
    energies = [f.energy for f in frames if f.energy is not None]
    if not energies:
        return torch.zeros(n_species, dtype=torch.float64)
    roots = np.sqrt([f.weights.energy for f in frames if f.energy is not None])
    matrix, right = roots[:, None] * np.array(counts, dtype=float), roots * np.array(energies, dtype=float)
    return torch.as_tensor(np.linalg.lstsq(matrix, right, rcond=None)[0])


def isolated_energies(frames: Sequence[Frame], species: Sequence[Tensor], names: Sequence[str]) -> Tensor:
    """Collect the energies of isolated atoms.

    Parameters
    ----------
    frames
        Training frames.
    species
        (N,) of each frame.
    names
        Symbols of the species.

    Returns
    -------
    (T,) tensor
        eV, float64; zero for species that are not in the data.

    Raises
    ------
    InputError
        `isolated-atoms-missing`: a species of the data has no frame with one such atom alone; `isolated-atoms-differ`:
        it has two with different energies.
    """
    found: dict[int, tuple[float, str]] = {}
    present = {int(i) for s in species for i in torch.unique(s)}
    for frame, s in zip(frames, species, strict=True):
        if not frame.isolated or frame.energy is None:
            continue
        energy, name = found.setdefault(int(s[0]), (frame.energy, frame.name))
        if abs(energy - frame.energy) > _ISOLATED_EV:
            raise InputError(
                "isolated-atoms-differ",
                f"{name} ({energy:.6g} eV) and {frame.name} ({frame.energy:.6g} eV) are both {names[int(s[0])]} alone "
                "and differ; keep one of them, or set data.energy_bias: least-squares",
            )
    missing = [names[i] for i in sorted(present - found.keys())]
    if missing:
        raise InputError(
            "isolated-atoms-missing",
            f"data.energy_bias is isolated-atoms, and the training data have no frame of {', '.join(missing)} alone "
            "(one atom, open or with config_type IsolatedAtom); add it, or set data.energy_bias: least-squares",
        )
    return torch.tensor([found[i][0] if i in found else 0.0 for i in range(len(names))], dtype=torch.float64)


def initialise(
    model: DeepPotential, frames: Sequence[Frame], pairs: Sequence[StructurePairs], config: TrainConfig
) -> None:
    """Write the statistics of the training frames into the model's buffers.

    Parameters
    ----------
    model
        A model with fresh weights.
    frames, pairs
        The training frames and their pairs, in the same order.
    config
        Settings of the run.

    Raises
    ------
    InputError
        As `isolated_energies`.
    """
    model.descriptor.set_statistics(pairs)
    species = [p.species for p in pairs]
    energies = (
        isolated_energies(frames, species, config.model.species)
        if config.data.energy_bias == "isolated-atoms"
        else energy_bias(frames, species, len(model.fitting.bias))
    )
    model.fitting.bias.copy_(energies)
