"""One training input on several random splits of its data: how much of a figure is the luck of the split.

    python benchmarks/accuracy/splits.py benchmarks/accuracy/si.yaml --splits 5 --members 3 --out splits

Each split is trained on by several members, which differ in their seeds; the errors of the members' mean are those of
a committee. Finished models stay in `out`, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from dp_sim.config.training import TrainConfig
from dp_sim.config.training_input import read_config
from dp_sim.datasets.frames import Frame
from dp_sim.model.model_file import load_model, save_model
from dp_sim.training.data import Datasets, read_datasets
from dp_sim.training.loop import fit
from dp_sim.training.trainer import Trainer


def with_seed(config: TrainConfig, seed: int) -> TrainConfig:
    """Copy the training input with another seed."""
    return config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})


def predictions(file: Path, config: TrainConfig, data: Datasets) -> tuple[np.ndarray, np.ndarray]:
    """Energies (frames,) and all forces in a row of the model in `file`, which is trained first if it is not there."""
    if not file.exists():
        trainer = Trainer(config, data)
        fit(trainer)
        save_model(file, trainer.result, trainer.config.model)
    model = load_model(file)
    outputs = [model.evaluate(frame) for frame in data.valid]
    forces = np.concatenate([output.forces.numpy().ravel() for output in outputs if output.forces is not None])
    return np.array([output.energy.item() for output in outputs]), forces


def errors(valid: Sequence[Frame], energies: np.ndarray, forces: np.ndarray) -> tuple[float, float]:
    """Mean absolute errors: energy in meV/atom, forces in meV/Angstrom."""
    sizes = np.array([len(frame.numbers) for frame in valid])
    energy_labels = np.array([frame.energy for frame in valid], dtype=float)
    force_labels = np.concatenate([np.ravel(frame.forces) for frame in valid])
    return 1e3 * float(np.abs((energies - energy_labels) / sizes).mean()), 1e3 * float(
        np.abs(forces - force_labels).mean()
    )


def main(
    config: Annotated[Path, typer.Argument(help="Training input that holds out a fraction of its data.")],
    out: Annotated[Path, typer.Option(help="Folder for the models.")],
    splits: Annotated[int, typer.Option(help="Splits, by the seeds 0, 1, ...")] = 5,
    members: Annotated[int, typer.Option(help="Models of each split.")] = 1,
) -> None:
    """Train on every split and print the errors on its held-out frames."""
    out.mkdir(parents=True, exist_ok=True)
    settings = read_config(config)
    table = []
    for split in range(splits):
        data = read_datasets(with_seed(settings, split))
        each = [
            predictions(out / f"split{split}-{member}.pt", with_seed(settings, 1000 * member + split), data)
            for member in range(members)
        ]
        energies, forces = (np.mean(values, axis=0) for values in zip(*each, strict=True))
        row = (*errors(data.valid, *each[0]), *errors(data.valid, energies, forces))
        print(f"split {split}: one {row[0]:.2f} meV/atom {row[1]:.1f} meV/A", end="   ")
        print(f"mean of {members} {row[2]:.2f} meV/atom {row[3]:.1f} meV/A", flush=True)
        table.append(row)
    mean, median = np.mean(table, axis=0), np.median(table, axis=0)
    print(f"over the splits, mean (median): one {mean[0]:.2f} ({median[0]:.2f}), {mean[1]:.1f};", end=" ")
    print(f"mean of {members} {mean[2]:.2f} ({median[2]:.2f}), {mean[3]:.1f}")


if __name__ == "__main__":
    typer.run(main)
