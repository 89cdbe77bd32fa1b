"""Checkpoints of a training run: plain tensors and numbers, with a version, written completely or not at all."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from dp_sim.errors import ModelFileError, shown
from dp_sim.files import atomic_path
from dp_sim.model.upgrade import STATE_VERSION, upgraded_state

FORMAT = "dp-sim checkpoint"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a run.

    Parameters
    ----------
    path
        The file.
    state
        Tensors, numbers, strings, and containers of them; anything else cannot be read again.
    """
    with atomic_path(path) as temporary:
        torch.save({"format": FORMAT, "version": STATE_VERSION, **state}, temporary)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read the state that `save_checkpoint` wrote; weights of earlier versions are upgraded.

    Raises
    ------
    ModelFileError
        The file is truncated, is not a checkpoint, or is of a newer version.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # torch writes CRC-32, and does not verify them
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"its part '{damaged}' differs from its CRC-32")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises whatever it meets in a file of another kind
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelFileError(
            "file-damaged", f"{path} is no complete checkpoint ({reason}); start again with --overwrite"
        ) from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ModelFileError(
            "checkpoint-invalid", f"{path} is no checkpoint of dp-sim; give the folder of a training run"
        )
    if not isinstance(state.get("version"), int) or state["version"] < 1:
        got = shown(state.get("version"))
        raise ModelFileError(
            "checkpoint-invalid", f"{path}: 'version': expected 1 to {STATE_VERSION}, got {got}; start again"
        )
    if state["version"] > STATE_VERSION:
        raise ModelFileError(
            "version-newer",
            f"{path} has checkpoint version {state['version']}, this dp-sim reads up to {STATE_VERSION}: upgrade it",
        )
    for weights in ("model", "average"):
        if state.get(weights) is not None:
            state[weights] = upgraded_state(state[weights], state["version"])
    return state
