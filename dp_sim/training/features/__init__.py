"""Training features: the part of a descriptor that depends on the geometry alone, computed once per frame.

Importing this package registers the features of every descriptor that can be trained (`training_features`).
"""

from dp_sim.training.features.features import training_features as training_features
from dp_sim.training.features.local_frame_features import LocalFrameFeatures as LocalFrameFeatures
from dp_sim.training.features.spline_features import SplineFeatures as SplineFeatures
