"""Names of activations in DeePMD-kit and here."""

from __future__ import annotations

from dp_sim.errors import ModelFileError

#: DeePMD-kit's activations, and what they are called here. Its gelu is the tanh form in every backend.
ACTIVATIONS = {
    "tanh": "tanh",
    "relu": "relu",
    "relu6": "relu6",
    "softplus": "softplus",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "gelu": "gelu_tanh",
    "gelu_tf": "gelu_tanh",
    "none": "linear",
    "linear": "linear",
}


def activation_name(name: str, file: str) -> str:
    """Return dp-sim's name of an activation of DeePMD-kit.

    Raises
    ------
    ModelFileError
        The activation is not known.
    """
    lowered = name.lower()
    if lowered.startswith(("silut", "custom_silu")) and (place := _place(lowered)) is not None:
        return f"silut:{place}"
    if lowered not in ACTIVATIONS:
        raise ModelFileError(
            "deepmd-activation-unknown", f"{file}: dp-sim does not know the activation function '{name}'"
        )
    return ACTIVATIONS[lowered]


def _place(name: str) -> float | None:
    """Read where silut turns into tanh: the number behind the colon, 3 without one, None for anything else."""
    try:
        return float(name.partition(":")[2] or 3.0)
    except ValueError:
        return None
