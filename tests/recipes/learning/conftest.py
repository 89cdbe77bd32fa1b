"""A small committee of copper, trained for a moment, and runs with it that are over in a second or two."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from copper_cluster import SETTINGS, cluster, labelled_frames

from dp_sim.config.training_input import parse_config
from dp_sim.recipes import learn
from dp_sim.recipes.inputs.calculator_recipe import made_from, recipe_of
from dp_sim.recipes.inputs.failed_evaluations import EvaluationError
from dp_sim.recipes.learning import learn as learning
from dp_sim.recipes.learning.labelling.reference import Reference
from dp_sim.recipes.learning.labelling.reference_worker import labelled
from dp_sim.recipes.learning.members.retraining import train_member
from dp_sim.recipes.learning.result import LearnResult


@pytest.fixture(scope="session")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("members")
    files = [folder / f"{number}.pt" for number in range(2)]
    for number, file in enumerate(files):
        training = {**SETTINGS["training"], "seed": number}
        config = parse_config({**SETTINGS, "training": training, "data": {"train": []}})
        own, state = {"loss": {}, "training": training}, folder / "state.pt"
        quiet: dict[str, Any] = {"whole_steps": nullcontext, "on_step": lambda step: None}
        train_member(config, own, labelled_frames(4, 0.05), None, file, state, **quiet)
    return files


class Here(Reference):
    """The label calculator in this process: starting one takes longer than a run here."""

    def __init__(self, calculator: Any, limit_s: float | None) -> None:
        super().__init__(calculator, limit_s)
        self._recipe = recipe_of(calculator)

    def label(self, atoms: Atoms) -> dict[str, Any]:
        label, why = labelled(atoms, made_from(self._recipe))
        if label is None:
            raise EvaluationError("evaluation-failed", why)
        return label


@pytest.fixture
def run(members: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LearnResult]:
    monkeypatch.setattr(learning, "Reference", Here)
    monkeypatch.setattr(LearnResult, "figures", lambda self: {})

    def of(name: str, label: Any = "emt", calc: Any = members, atoms: Any = None, **changed: Any) -> LearnResult:
        usual: dict[str, Any] = {
            "temperature_K": 600,
            "steps": 40,
            "threshold": 0.2,
            "timestep_fs": 2.0,
            "train_steps": 10,
            "picks": 1,
            "frame_every": 10,
            "apart_fs": 20.0,
            "max_labels": 2,
            "progress": False,
            "out": tmp_path / name,
        }
        if "along" in changed:
            for of_dynamics in ("temperature_K", "steps", "timestep_fs", "frame_every", "apart_fs", "picks"):
                del usual[of_dynamics]
        return learn(atoms or cluster(), calc, label, **{**usual, **changed})

    return of
