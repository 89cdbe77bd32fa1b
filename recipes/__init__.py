"""Recipes: a structure, any ASE calculator and some options in; a frozen result with units and error bars out.

Each name is loaded when it is first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

from dp_sim.errors import nearest_name

#: Public name -> the module of this package that defines it.
_EXPORTS = {
    "optimize": "opt",
    "vibrations": "vib",
    "run_nve": "nve",
    "run_nvt": "nvt",
    "run_npt": "npt",
    "find_path": "neb",
    "refine_ts": "ts",
    "follow_irc": "irc",
    "evaluate": "evaluation",
    "label_structures": "label",
    "Estimate": "results",
    "Quantity": "results",
    "Result": "results",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"dp_sim.recipes has no '{name}'{nearest_name(name, _EXPORTS)}")
    return getattr(importlib.import_module(f"dp_sim.recipes.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
