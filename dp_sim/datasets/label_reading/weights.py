"""Weights of frames and labels in training, under the names of MACE, GPUMD and others."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dp_sim.datasets.frames import Weights
from dp_sim.datasets.label_reading.label_names import plain_name
from dp_sim.errors import InputError, shown

_WEIGHT_KEY = re.compile(
    r"^(?:config)?(?:(energy|forces?|virials?|stress(?:es)?)(atomic)?)?weights?$|^(?:ref)?(forces?)(atomic)weights?$"
)


@functools.lru_cache(maxsize=4096)
def weight_label(key: str) -> str | None:
    """Find the label that a name such as `config_energy_weight` weights: energy, forces, virial or all.

    Returns
    -------
    str or None
        None for other names.
    """
    match = _WEIGHT_KEY.match(plain_name(key))
    if match is None:
        return None
    word = match.group(1) or match.group(3)
    if word is None:
        return "all"
    return "energy" if word == "energy" else "forces" if word.startswith("force") else "virial"


def read_weights(found: Mapping[str, Any], atoms: int, name: str) -> tuple[Weights, list[str]]:
    """Multiply the weights of a frame.

    Parameters
    ----------
    found
        Values in the frame, by name; weights per atom (N,) are possible only for forces.
    atoms
        N.
    name
        What messages call the frame.

    Returns
    -------
    Weights
        The products.
    list of str
        Sentences that name the weights used.

    Raises
    ------
    InputError
        A weight that is negative, not finite, not a number, or of another shape.
    """
    total: dict[str, Any] = {"energy": 1.0, "forces": 1.0, "virial": 1.0}
    decisions = []
    for key, value in found.items():
        label = weight_label(key)
        if label is None or value is None:
            continue
        weight = _weight(value, label, atoms, f"{name}: {key}")
        for one in total if label == "all" else (label,):
            total[one] = total[one] * weight
        if np.any(weight != 1.0):
            decisions.append(f"'{key}' weighs {'the frame' if label == 'all' else label} in the loss of training")
    return Weights(**total), decisions


def _weight(value: Any, label: str, atoms: int, what: str) -> Any:
    try:
        weight = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise InputError("weight-bad", f"{what} must be a number, got {shown(value)}; correct the weight") from None
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise InputError(
            "weight-bad", f"{what} must be finite and not negative, got {shown(value)}; correct the weight"
        )
    if weight.size == 1:
        return float(weight.ravel()[0])
    if label == "forces" and weight.size == atoms:
        return weight.reshape(atoms)
    raise InputError("weight-bad", f"{what} must be one number, got the shape {weight.shape}; correct the weight")
