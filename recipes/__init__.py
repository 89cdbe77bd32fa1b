"""Recipes: a structure, any ASE calculator and some options in; a frozen result with units and error bars out.

Each name is loaded when it is first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

from dp_sim.errors import nearest_name

#: Public name -> the module of this package that defines it.
_EXPORTS = {
    "optimize": "static.opt",
    "vibrations": "static.vib",
    "phonons": "crystals.phonons",
    "equation_of_state": "crystals.eos",
    "elastic_constants": "crystals.elastic",
    "run_nve": "dynamics.nve",
    "run_nvt": "dynamics.nvt",
    "run_npt": "dynamics.npt",
    "analyse": "analysis.analyse",
    "find_path": "paths.band.find",
    "refine_ts": "paths.saddle.ts",
    "follow_irc": "paths.irc.follow",
    "rate_constant": "paths.rates.rate_constant",
    "reaction_rate": "paths.rates.rate",
    "evaluate": "static.evaluation",
    "label_structures": "models.label",
    "calibrate": "models.calibration.calibrate",
    "learn": "learning.learn",
    "campaign": "campaigns.campaign",
    "campaign_status": "campaigns.campaign",
    "load_result": "results.loading",
    "Estimate": "results.quantities",
    "Quantity": "results.quantities",
    "Result": "results.result",
}

#: Modules of results that no public function returns.
_OTHER_RESULTS = (
    "models.training_run",
    "models.committee.result",
    "models.accuracy",
    "models.calibration.result",
    "speed.measurement",
    "demo.water",
    "campaigns.result",
)

__all__ = sorted(_EXPORTS)


def exported_modules() -> list[str]:
    """Return the full names of the modules that define recipes and their results."""
    return [f"dp_sim.recipes.{name}" for name in dict.fromkeys([*_EXPORTS.values(), *_OTHER_RESULTS])]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"dp_sim.recipes has no '{name}'{nearest_name(name, _EXPORTS)}")
    return getattr(importlib.import_module(f"dp_sim.recipes.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
