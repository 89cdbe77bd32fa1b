"""Settings of the recipes that make data and measure models; those of training are in `dp_sim.config.training`."""

from __future__ import annotations

from typing import ClassVar

from dp_sim.config.label_keys import LabelKeySettings
from dp_sim.config.recipe import setting
from dp_sim.recipes.run.worker_settings import WorkerSettings


class AccuracySettings(LabelKeySettings):
    """Measure MAE and RMSE of energy per atom, forces and virial on labelled data, with a parity plot."""

    recipe: ClassVar[str] = "test"
    function: ClassVar[str] = "dp_sim.recipes.models.accuracy:measure_accuracy"
    resumable: ClassVar[bool] = False


class CalibrateSettings(LabelKeySettings):
    """Measure on held-out frames what the spread of a committee is worth, or the uncertainty of one model; keep it."""

    recipe: ClassVar[str] = "calibrate"
    function: ClassVar[str] = "dp_sim.recipes.models.calibration.calibrate:calibrate"
    resumable: ClassVar[bool] = False

    blocks: int = setting(
        5,
        "Parts of consecutive frames that a single source is cut into",
        detail="Each is left out in turn, as neighbouring frames are alike. Of several sources each is a part.",
        ge=2,
    )
    draws: int | None = setting(
        None,
        "Members to draw from the last layer of a single model: a committee without further trainings",
        detail="They share all other weights of the model, their mean is the model, and every recipe takes them.",
        ge=2,
    )


class LabelSettings(WorkerSettings):
    """Label structures with energy, forces and stress from a reference calculator."""

    recipe: ClassVar[str] = "label"
    function: ClassVar[str] = "dp_sim.recipes.models.label:label_structures"
