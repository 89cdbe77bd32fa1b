"""Settings of a campaign: where and how its tasks run. What they are stands in the plan."""

from __future__ import annotations

from typing import ClassVar

from dp_sim.config.recipe import setting
from dp_sim.recipes.run.worker_settings import EngineSettings

ENGINES = ("local", "dask", "slurm")


class CampaignSettings(EngineSettings):
    """Run many tasks from a plan: recipes, labels and trainings, on this machine, a Dask cluster or Slurm."""

    recipe: ClassVar[str] = "campaign"
    function: ClassVar[str] = "dp_sim.recipes.campaigns.campaign:campaign"

    engine: str = setting(
        "local",
        "What runs the tasks",
        choices=ENGINES,
        may_change=True,
        detail="`local`: processes of this machine; `dask`: a scheduler, or a cluster of this machine; `slurm`: a job "
        "array that you submit, so that no process stays on the login node.",
    )
    workers: int | None = setting(
        None, "Tasks at a time; the processors over the threads if not given", ge=1, may_change=True
    )
    threads: int = setting(1, "Processor threads of each task", ge=1, may_change=True)
    attempts: int = setting(
        3,
        "How often a task is begun in one session, at most",
        ge=1,
        may_change=True,
        detail="Again after it was killed, or stopped by its time limit: each goes on where it was. A task that says "
        "why it failed is not tried again before the next session.",
    )
    attempt_minutes: float | None = setting(
        None,
        "Time after which a task is stopped, to go on in a new attempt; none if not given",
        unit="min",
        gt=0,
        may_change=True,
        detail="Less than the walltime of the jobs that workers run in, so that a task saves its state before.",
    )
