"""A committee from one model: members whose last layers are drawn as its data leave them open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dp_sim.config.model import ModelConfig
from dp_sim.model.committee.folder import member_file
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import load_model, save_model
from dp_sim.model.rebuilding import rebuilt_network
from dp_sim.uncertainty.last_layer import LastLayer


def drawn_members(
    model: Model, last_layer: LastLayer, count: int, seed: int, path: Callable[[str], Path | None]
) -> Model:
    """Draw members, and write them into the folder of a committee.

    Weights are theta + R x, with R R^T = A^-1 (eq. 1 of dp_sim.uncertainty.last_layer) and normal numbers x (M, D),
    whose mean over the members is taken away. So the mean of the members is the model itself, and the expectation of
    their variance (ddof=1) is u^2 of eq. 2 for energies and forces, alpha left out.

    Parameters
    ----------
    model
        No committee.
    last_layer
        Of the model.
    count
        Number M of members.
    seed
        Of the random numbers.
    path
        Gives the place of a file in the folder by its name.

    Returns
    -------
    Model
        The members, opened from their files.
    """
    metadata = model.metadata
    config = ModelConfig.model_validate(metadata.config).model_copy(update={"precision": metadata.dtype})
    # without the settings of a training: trained on, members that are alike but for their last layers stay so
    training = {name: value for name, value in metadata.training.items() if name != "settings"}
    numbers = np.random.default_rng(seed).standard_normal((count, len(last_layer.root)))
    moves = (numbers - numbers.mean(axis=0)) @ last_layer.root.T
    files = []
    for number, move in enumerate(moves):
        network, begin = rebuilt_network(model.module, metadata), 0
        layers: Any = network.fitting.last
        for layer in layers:  # in the order of LastLayerFeatures: of each species its weights and bias
            width = layer.in_features
            own = torch.from_numpy(move[begin : begin + width + 1]).to(layer.weight)
            with torch.no_grad():
                layer.weight[0] += own[:-1]
                layer.bias += own[-1:]
            begin += width + 1
        file = path(member_file(number))
        assert file is not None
        file.parent.mkdir(exist_ok=True)
        save_model(file, network, config, training, metadata.compression)
        files.append(file)
    return load_model(files)
