"""Uncertainty of a single model from its last layer (F. Bigi et al., Mach. Learn.: Sci. Technol. 5, 045018 (2024)).

Energy and forces are linear in the weights theta of the last layer, E = theta . f and F = theta . phi, with features
f (D,) of a structure (its last hidden layer, summed over the atoms of each species, and their numbers) and phi = -df/dr
of a force component. The weights of Bayesian linear regression on S training frames have the precision matrix

    A = sum over frames (f/N) (f/N)^T / s_E^2 + sum over components phi phi^T / s_F^2 + zeta^2 1                 (1)

with the residuals s_E of energies per atom and s_F of force components, and the prior width 1/zeta of the weights. So

    u^2(E) = alpha_E^2 f^T A^-1 f,    u^2(F) = alpha_F^2 phi^T A^-1 phi,                                         (2)

where held-out frames give alpha: data that are correlated, and all layers but the last, are not in eq. 1.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from dp_sim.errors import ModelFileError, shown
from dp_sim.files import atomic_path
from dp_sim.uncertainty.calibration import Calibration, calibration_content, calibration_from

Array = NDArray[np.float64]
#: model.pt -> model.uncertainty.npz
SUFFIX = ".uncertainty.npz"


def uncertainty_file(model: Path) -> Path:
    """Name the file beside a model file that holds what is known of its uncertainty."""
    return model.with_suffix(SUFFIX)


class Precision:
    """A of eq. 1, frame by frame.

    Parameters
    ----------
    features
        Number D of features.
    zeta
        1 over the prior standard deviation of a weight, atom/eV times the unit of a feature.
    """

    def __init__(self, features: int, zeta: float) -> None:
        self.matrix = np.eye(features) * zeta**2

    def add(self, rows: Array, residual: float) -> None:
        """Add features (n, D) of energies per atom, or of force components, with their residual."""
        self.matrix += rows.T @ rows / residual**2

    def root(self) -> Array:
        """Return R (D, D) with R R^T = A^-1, so that |f R|^2 is the variance of eq. 2."""
        lower = cholesky(self.matrix, lower=True)
        return np.asarray(solve_triangular(lower, np.eye(len(lower)), lower=True).T)


@dataclass(frozen=True)
class LastLayer:
    """What is known of a model's uncertainty.

    Attributes
    ----------
    root
        (D, D) R of `Precision.root`.
    calibration
        Scales of eq. 2 (`factor` is alpha), intervals, and the SHA-256 of the model; None before it is measured.
    """

    root: Array
    calibration: Calibration | None = None

    def raw(self, features: Array) -> Array:
        """Compute sqrt(f^T A^-1 f) of rows (..., D)."""
        return np.asarray(np.linalg.norm(features @ self.root, axis=-1))

    def write(self, file: Path) -> None:
        """Write the file, whole or not at all; it holds arrays of numbers and no pickle."""
        assert self.calibration is not None
        content = calibration_content(self.calibration)
        text = np.frombuffer(json.dumps(content, allow_nan=False).encode(), dtype=np.uint8)
        with atomic_path(file) as temporary, temporary.open("wb") as opened:
            np.savez(opened, root=self.root, calibration=text)


def read_last_layer(file: Path, model_sha256: str, features: int) -> LastLayer:
    """Read and check what `LastLayer.write` wrote.

    Parameters
    ----------
    file
        Beside the model.
    model_sha256
        Of the model file that it must be of.
    features
        Number D that the model has.

    Raises
    ------
    ModelFileError
        It cannot be read, is of another model, or holds no such matrix.
    """
    arrays = _arrays(file)
    try:
        content = json.loads(arrays["calibration"].tobytes().decode())
    except (KeyError, ValueError) as error:
        raise _damaged(file, error) from None
    calibration = calibration_from(content, file, [model_sha256])
    root = arrays.get("root")
    if root is None or root.shape != (features, features) or root.dtype != np.float64 or not np.isfinite(root).all():
        got = None if root is None else root.shape
        raise ModelFileError(
            "calibration-invalid",
            f"{file}: root: expected finite float64 numbers of shape ({features}, {features}), got {shown(got)}; make "
            "it anew: dp-sim calibrate",
        )
    return LastLayer(root, calibration)


def _arrays(file: Path) -> Mapping[str, NDArray[Any]]:
    try:
        with file.open("rb") as content, np.load(content, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise _damaged(file, error) from None


def _damaged(file: Path, error: Exception) -> ModelFileError:
    return ModelFileError("calibration-invalid", f"{file} cannot be read ({error}); make it anew: dp-sim calibrate")
