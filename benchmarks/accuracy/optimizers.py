"""Held-out errors against processor seconds: Adam, SOAP and RLEKF on the data of a training input.

    OMP_NUM_THREADS=1 python benchmarks/accuracy/optimizers.py benchmarks/accuracy/ethanol.yaml --seconds 120

All train the same small net on the same split; learning rates fall over as many steps as the seconds hold, counted in a
short trial before the run. Processor time, not wall time, so that other work on the machine disturbs little.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from dp_sim.config.training import TrainConfig
from dp_sim.config.training_input import parse_config, read_config
from dp_sim.training.data import Datasets, read_datasets
from dp_sim.training.loss import roots
from dp_sim.training.trainer import Trainer

#: Small, because the filter's covariance grows with it.
NET: dict[str, Any] = {"embedding": [8, 16], "axis_width": 4, "one_side": True, "fitting": [20, 20]}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {"learning_rate": 1e-2, "learning_rate_end": 1e-4},
    "soap": {"learning_rate": 1e-2, "learning_rate_end": 1e-3},
    "rlekf": {},
}
TRIAL, SHARES = 20, (0.25, 0.5, 1.0)


def settings(config: TrainConfig, optimizer: str, own: dict[str, Any]) -> TrainConfig:
    """Give the training input with this optimiser, the small net, and `own` settings."""
    sections = config.model_dump()
    shared = {key: sections["training"][key] for key in ("seed", "average", "valid_frames")}
    training = {**shared, "optimizer": optimizer, **OPTIMIZERS[optimizer], **own}
    return parse_config({**sections, "model": {**sections["model"], **NET}, "training": training})


def seconds_of(trainer: Trainer, steps: int) -> float:
    """Time so many training steps; processor seconds."""
    start = time.process_time()
    for _ in range(steps):
        trainer.step()
    return time.process_time() - start


def measure(config: TrainConfig, data: Datasets, optimizer: str, own: dict[str, Any], seconds: float) -> None:
    """Train for `seconds` of processor time and print held-out errors on the way."""
    batch_size = own["batch_size"]
    few = Datasets(data.train[:TRIAL], [])
    trial = Trainer(settings(config, optimizer, {**own, "steps": 10 * TRIAL}), few)
    seconds_of(trial, TRIAL)  # geometry is prepared, memory is warm
    steps = int(seconds / seconds_of(trial, TRIAL) * TRIAL)
    trainer = Trainer(settings(config, optimizer, {**own, "steps": steps}), data)
    spent = 0.0
    for share in SHARES:
        spent += seconds_of(trainer, round(share * steps) - trainer.step_number)
        energy, forces, _ = roots(trainer.validation_sums())
        epochs = trainer.step_number * batch_size / len(data.train)
        print(
            f"| {optimizer} | {batch_size} | {spent:.0f} | {trainer.step_number} | {epochs:.1f} | "
            f"{1e3 * (forces or 0):.0f} | {1e3 * (energy or 0):.2f} |",
            flush=True,
        )


def main(
    config: Annotated[Path, typer.Argument(help="Training input with data held out.")],
    seconds: Annotated[float, typer.Option(help="Processor seconds for each optimiser.")] = 120.0,
    optimizers: Annotated[str, typer.Option(help="Which ones, in this order.")] = ",".join(OPTIMIZERS),
    batch_size: Annotated[int | None, typer.Option(help="Frames a step, in place of the input's.")] = None,
    force_groups: Annotated[int, typer.Option(help="Of rlekf.")] = 6,
    block_size: Annotated[int, typer.Option(help="Of rlekf.")] = 1024,
) -> None:
    """Print rows: optimiser, batch, processor s, steps, epochs, RMSE of forces (meV/Angstrom), of energy (meV/atom)."""
    torch.set_num_threads(1)
    read = read_config(config)
    data = read_datasets(read)
    for optimizer in optimizers.split(","):
        own: dict[str, Any] = {"batch_size": batch_size or read.training.batch_size}
        if optimizer == "rlekf":
            own |= {"force_groups": force_groups, "block_size": block_size}
        measure(read, data, optimizer, own, seconds)


if __name__ == "__main__":
    typer.run(main)
