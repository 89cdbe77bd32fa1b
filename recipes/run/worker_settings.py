"""Settings of what is done by several workers at a time."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from dp_sim.config.recipe import RecipeSettings, setting
from dp_sim.errors import InputError

#: Names of the engines, as `dp_sim.recipes.run.workers` opens them.
ENGINES = ("local", "dask")
WORKERS = "Workers"


class EngineSettings(RecipeSettings):
    """Base of the settings of recipes that may run elsewhere: a subclass may know more engines."""

    engine: str = setting(
        "local",
        "Where workers run",
        choices=ENGINES,
        panel=WORKERS,
        may_change=True,
        detail="`local`: this machine; `dask`: a scheduler, or a cluster of this machine.",
    )
    scheduler: str | None = setting(
        None,
        "Address of a Dask scheduler, tcp://HOST:PORT; a cluster of this machine if not given",
        metavar="ADDRESS",
        panel=WORKERS,
        may_change=True,
        min_length=1,
    )

    @model_validator(mode="after")
    def _of_the_engine(self) -> Self:
        refuse_scheduler_without_dask(self.engine, self.scheduler)
        return self


class WorkerSettings(EngineSettings):
    """Base of the settings of recipes that label structures."""

    workers: int = setting(
        1,
        "Structures that are labelled at a time",
        ge=1,
        panel=WORKERS,
        may_change=True,
        detail="Each in a process of its own, which share the threads. With a scheduler its own workers count.",
    )


def refuse_scheduler_without_dask(engine: str, scheduler: str | None) -> None:
    """Refuse an address that nobody would call."""
    if scheduler is not None and engine != "dask":
        raise InputError("option-not-for-engine", f"scheduler is of the engine dask, not of {engine}; leave it out")
