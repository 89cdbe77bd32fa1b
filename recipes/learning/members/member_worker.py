"""The process that trains members: settings, frames and files in, an error or none out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dp_sim.config.training import TrainConfig
from dp_sim.errors import DPSimError
from dp_sim.model.model_file import load_model
from dp_sim.recipes.learning.members.retraining import network_of, train_member
from dp_sim.recipes.run.interrupts import signals_as_interrupts, whole_steps
from dp_sim.recipes.run.process import serve


def prepare(greeting: None) -> Callable[[dict[str, Any]], DPSimError | None]:
    """Answer with what trains a member as it is told."""
    return trained


def trained(task: dict[str, Any]) -> DPSimError | None:
    """Train a member; return the error that ends it."""
    start = None if task["start"] is None else network_of(load_model(task["start"]), 0)
    try:
        train_member(
            TrainConfig.model_validate(task["config"]),
            task["own"],
            task["frames"],
            start,
            task["target"],
            task["checkpoint"],
            whole_steps=whole_steps,
            on_step=lambda step: None,
        )
    except DPSimError as error:
        return error
    return None


if __name__ == "__main__":
    with suppress(KeyboardInterrupt), signals_as_interrupts():
        serve(prepare)
