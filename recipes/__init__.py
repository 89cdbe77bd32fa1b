"""Recipes: a structure, any ASE calculator and some options in; a frozen result with units and error bars out.

Each name is loaded when it is first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dp_sim.errors import nearest_name

if TYPE_CHECKING:  # for editors and type checkers; a test compares it with _EXPORTS
    from dp_sim.recipes.analysis.analyse import analyse as analyse
    from dp_sim.recipes.campaigns.campaign import campaign as campaign
    from dp_sim.recipes.campaigns.campaign import campaign_status as campaign_status
    from dp_sim.recipes.crystals.elastic import elastic_constants as elastic_constants
    from dp_sim.recipes.crystals.eos import equation_of_state as equation_of_state
    from dp_sim.recipes.crystals.phonons import phonons as phonons
    from dp_sim.recipes.dynamics.npt import run_npt as run_npt
    from dp_sim.recipes.dynamics.nve import run_nve as run_nve
    from dp_sim.recipes.dynamics.nvt import run_nvt as run_nvt
    from dp_sim.recipes.learning.learn import learn as learn
    from dp_sim.recipes.models.calibration.calibrate import calibrate as calibrate
    from dp_sim.recipes.models.label import label_structures as label_structures
    from dp_sim.recipes.paths.band.find import find_path as find_path
    from dp_sim.recipes.paths.irc.follow import follow_irc as follow_irc
    from dp_sim.recipes.paths.rates.rate import reaction_rate as reaction_rate
    from dp_sim.recipes.paths.rates.rate_constant import rate_constant as rate_constant
    from dp_sim.recipes.paths.saddle.ts import refine_ts as refine_ts
    from dp_sim.recipes.results.loading import load_result as load_result
    from dp_sim.recipes.results.quantities import Estimate as Estimate
    from dp_sim.recipes.results.quantities import Quantity as Quantity
    from dp_sim.recipes.results.result import Result as Result
    from dp_sim.recipes.static.evaluation import evaluate as evaluate
    from dp_sim.recipes.static.opt import optimize as optimize
    from dp_sim.recipes.static.vib import vibrations as vibrations

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
