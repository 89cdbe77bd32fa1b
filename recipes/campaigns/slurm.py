"""The script of a Slurm job array with an element for each task that is left: Slurm schedules, and nothing of ours."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

SCRIPT = "campaign.sbatch"
#: Seconds before the walltime at which a task is told to save its state.
WARNING_S = 120


def script(folders: Sequence[Path], directory: Path, *, threads: int, workers: int | None) -> str:
    """Write the script of a job array that runs tasks.

    Parameters
    ----------
    folders
        Of the tasks that are left.
    directory
        Of the campaign.
    threads
        Of each task.
    workers
        Tasks at a time, at most.
    """
    limit = "" if workers is None else f"%{workers}"
    names = "\n".join(f"  {shlex.quote(folder.name)}" for folder in folders)
    return f"""#!/bin/bash
# Tasks of a dp-sim campaign that have not ended. Add your partition, account and walltime, then: sbatch {SCRIPT}
# A task that a walltime cuts short goes on when the campaign is called with --resume, which writes this anew.
#SBATCH --job-name=dp-sim-campaign
#SBATCH --array=0-{len(folders) - 1}{limit}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={threads}
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@{WARNING_S}
#SBATCH --output={shlex.quote(str(directory))}/slurm-%A_%a.txt

cd {shlex.quote(str(directory))} || exit 1
tasks=(
{names}
)
exec {shlex.quote(sys.executable)} -m dp_sim.recipes.campaigns.task "tasks/${{tasks[$SLURM_ARRAY_TASK_ID]}}"
"""
