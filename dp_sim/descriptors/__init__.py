"""Descriptors of atomic environments; only `make_descriptor` knows them by name."""

from dp_sim.config.model import LOCAL_FRAME_DESCRIPTORS, ModelConfig
from dp_sim.descriptors.deepmd_kit import deepmd_kit
from dp_sim.descriptors.descriptor import Descriptor
from dp_sim.descriptors.local_frame import local_frame
from dp_sim.descriptors.smooth import smooth_descriptor


def make_descriptor(config: ModelConfig) -> Descriptor:
    """Make the descriptor that the settings name, with fresh weights and neutral statistics."""
    if config.descriptor == "deepmd-kit":
        return deepmd_kit(config)
    return local_frame(config) if config.descriptor in LOCAL_FRAME_DESCRIPTORS else smooth_descriptor(config)
