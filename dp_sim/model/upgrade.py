"""Weights saved by earlier versions, in the names and shapes of today: one small step per version."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

State = dict[str, Tensor]

#: Of the weights in model files and checkpoints; both count their versions with it.
STATE_VERSION = 2


def _descriptor_in_one_module(state: State) -> State:
    """1 -> 2: environment and embedding nets in the descriptor; mean and deviation per species of the centre."""
    n_species = state["environment.scale"].shape[0]
    upgraded = {}
    for name, value in state.items():
        inside = name.startswith(("environment.", "embedding."))
        upgraded[f"descriptor.{name}" if inside else name] = value
    for name in ("descriptor.environment.mean", "descriptor.environment.deviation"):
        upgraded[name] = upgraded[name].expand(n_species).clone()
    return upgraded


#: From version n to n + 1.
_STEPS: dict[int, Callable[[State], State]] = {1: _descriptor_in_one_module}


def upgraded_state(state: State, version: int) -> State:
    """The state_dict of a DeepPotential, as saved by `version`, in today's form."""
    for step in range(version, STATE_VERSION):
        state = _STEPS[step](state)
    return state
