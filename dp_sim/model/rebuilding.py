"""The network of a model file as Python modules again: from its settings and the weights of its scripted module."""

import torch

from dp_sim.config.model import ModelConfig
from dp_sim.descriptors.tabulated import tabulated_like
from dp_sim.model.metadata import ModelMetadata
from dp_sim.model.potential import DTYPES, DeepPotential, set_precision
from dp_sim.model.upgrade import upgraded_state


def rebuilt_network(module: torch.jit.ScriptModule, metadata: ModelMetadata) -> DeepPotential:
    """Build a network from the settings in `metadata`, and load the weights of a scripted potential into it.

    Raises
    ------
    RuntimeError
        Weights that the settings do not ask for, that are missing, or that have another shape.
    """
    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn, and replaced
        potential = DeepPotential(ModelConfig.model_validate(metadata.config))
    set_precision(potential, DTYPES[metadata.dtype])
    state = upgraded_state(module.model.state_dict(), metadata.version)
    if metadata.compression:
        potential.descriptor = tabulated_like(potential.descriptor, state)
    # TorchScript lists buffers that are not persistent too; these follow from the settings
    derived = {name for name, _ in potential.named_buffers()} - set(potential.state_dict())
    potential.load_state_dict({name: value for name, value in state.items() if name not in derived})
    return potential
