"""Weights saved by earlier versions, in the names and shapes of today: one step per version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

State = dict[str, Tensor]

#: Version of the weights in model files and in checkpoints.
STATE_VERSION = 3


def _descriptor_in_one_module(state: State) -> State:
    """1 -> 2: environment and embedding nets belong to the descriptor; mean and deviation per species of the centre."""
    n_species = state["environment.scale"].shape[0]
    upgraded = {}
    for name, value in state.items():
        inside = name.startswith(("environment.", "embedding."))
        upgraded[f"descriptor.{name}" if inside else name] = value
    for name in ("descriptor.environment.mean", "descriptor.environment.deviation"):
        upgraded[name] = upgraded[name].expand(n_species).clone()
    return upgraded


def _knots_and_sel(state: State) -> State:
    """2 -> 3: what was called `places` is the knots of a table, or sel of an imported descriptor."""
    renamed = {}
    for name, value in state.items():
        owner, _, last = name.rpartition(".")
        today = ("knots" if owner.endswith(".table") else "sel") if last == "places" else last
        renamed[f"{owner}.{today}"] = value
    return renamed


#: Earlier names of settings of an imported descriptor -> today's.
_RENAMED = {"places": "sel", "shared_places": "shared_sel"}


def upgraded_config(config: dict[str, Any]) -> dict[str, Any]:
    """Bring the settings of a model, as its file holds them, into today's names."""
    parts = config.get("parts")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        return config  # none, or what ModelConfig refuses
    return {**config, "parts": [{_RENAMED.get(name, name): value for name, value in part.items()} for part in parts]}


#: Signs of local frames under reflection, which follow from the settings; some files of version 2 hold them.
_NO_LONGER_SAVED = ("fitting.hand",)
#: From version n to n + 1.
_STEPS: dict[int, Callable[[State], State]] = {1: _descriptor_in_one_module, 2: _knots_and_sel}


def upgraded_state(state: State, version: int) -> State:
    """Bring saved weights into today's form.

    Parameters
    ----------
    state
        The state_dict of a DeepPotential.
    version
        Of the file that it was saved in.
    """
    for step in range(version, STATE_VERSION):
        state = _STEPS[step](state)
    return {name: value for name, value in state.items() if name not in _NO_LONGER_SAVED}
