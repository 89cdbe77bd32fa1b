"""Do calibrated intervals hold? Committees for water, ethanol and silicon, calibrated and tested on frames held out.

    python benchmarks/calibration/run.py --data DIR --out DIR [--only water] [--members 4] [--steps 1500]

The data of each system are in three parts (DATA_OF): the members are trained on the first with the settings of
benchmarks/accuracy/ (few steps, other seeds), the spread is calibrated on the second, and coverage is counted on the
third, which nothing was fitted to. Water's parts are trajectories of their own. Trained members stay in --out. Prints
a table; results.md holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import ase.io
import numpy as np
import typer
from ase import Atoms

from dp_sim.config.training_input import parse_config, read_config
from dp_sim.datasets.reading import read_frames
from dp_sim.model.model_file import load_model, save_model
from dp_sim.recipes.models.calibration.calibrate import calibrate
from dp_sim.training.data import read_datasets
from dp_sim.training.loop import fit
from dp_sim.training.trainer import Trainer
from dp_sim.uncertainty.scale import Scale

ACCURACY = Path(__file__).parents[1] / "accuracy"
INPUTS = {"water": "water.yaml", "ethanol": "ethanol.yaml", "silicon": "si.yaml"}
Parts = tuple[list[Atoms], list[Atoms], list[Atoms]]


def of_trajectories(data: Path) -> Parts:
    """Water: data_0 to train, data_2 to calibrate, data_1 to test."""
    zero, two, one = (ase.io.read(data / f"water_dpkit_data_{number}.extxyz", ":") for number in (0, 2, 1))
    return zero, two, one


def at_random(file: str, first: int, second: int) -> Callable[[Path], Parts]:
    """Frames that are far apart in their trajectory, or of many phases: a random split in three."""

    def parts(data: Path) -> Parts:
        frames = ase.io.read(data / file, ":")
        order = np.random.default_rng(17).permutation(len(frames))
        train, calibration, test = (
            [frames[number] for number in sorted(part)] for part in np.split(order, [first, second])
        )
        return train, calibration, test

    return parts


DATA_OF = {
    "water": of_trajectories,
    "ethanol": at_random("rmd17_ethanol_train.extxyz", 250, 600),
    "silicon": at_random("mlearn_Si_train.extxyz", 100, 157),
}


def trained(system: str, folder: Path, seed: int, steps: int) -> Path:
    """Train one member, if it is not there; return its file."""
    file = folder / f"{seed}.pt"
    if not file.exists():
        sections = read_config(ACCURACY / INPUTS[system]).model_dump(mode="json")
        sections["data"] |= {"train": [str(folder / "train.extxyz")], "valid": [], "valid_fraction": 0.0}
        sections["training"] |= {"steps": steps, "seed": seed, "report_every": max(1, steps // 4)}
        config = parse_config(sections, system)
        trainer = Trainer(config, read_datasets(config))
        fit(trainer)
        save_model(file, trainer.result, trainer.config.model)
    return file


def rows(system: str, folder: Path, files: list[Path]) -> list[str]:
    """Calibrate, and count how many errors of the test frames intervals hold."""
    found = calibrate(files, folder / "calibrate.extxyz", progress=False)
    model = load_model(files)
    scores: dict[str, list[np.ndarray]] = {"energy": [], "forces": [], "atoms": []}
    frames = read_frames(folder / "test.extxyz")
    for frame, output in zip(frames, model.evaluate_each(frames), strict=True):
        error, spread = output.forces.numpy() - frame.forces, output.forces_std.numpy()
        scores["energy"].append(np.array([abs(output.energy.item() - frame.energy) / output.energy_std.item()]))
        scores["forces"].append((np.abs(error) / spread).ravel())
        scores["atoms"].append(np.linalg.norm(error, axis=1) / np.linalg.norm(spread, axis=1))
    lines = []
    for kind, parts in scores.items():
        scale: Scale = getattr(found.calibration, kind)
        held = getattr(found, kind)
        ratio = np.concatenate(parts)
        inside = [100 * np.mean(ratio <= scale.factor * (scale.interval(level) or np.inf)) for level in (68, 95)]
        raw = [100 * np.mean(ratio <= width) for width in (1.0, 1.96)]
        standard = 100 * np.mean(ratio <= scale.factor)
        alpha = "" if scale.alpha_squared is None else f"{scale.alpha_squared:.2f}"
        numbers = [
            f"{1e3 * held.rmse:.3g}", f"{scale.factor:.2f}", alpha, f"{raw[0]:.0f}, {raw[1]:.0f}", f"{standard:.1f}",
            f"{inside[0]:.1f}", f"{inside[1]:.1f}", f"{held.rank_correlation.value:.2f}",
        ]  # fmt: skip
        lines.append(f"| {system} | {kind} | {len(ratio)} | {' | '.join(numbers)} |")
    return [*lines, *(f"{system}: {line}" for line in found.useless)]


def main(
    data: Annotated[Path, typer.Option(help="Folder with the files of benchmarks/accuracy/README.md.")],
    out: Annotated[Path, typer.Option(help="Folder for the members.")],
    only: Annotated[str | None, typer.Option(help="One system.")] = None,
    members: Annotated[int, typer.Option(help="Members of each committee.")] = 4,
    steps: Annotated[int, typer.Option(help="Steps of each training.")] = 1500,
) -> None:
    """Train what is missing, calibrate, test, and print the table."""
    print("| system | of | test points | RMSE | std / spread | alpha² | raw ±1, ±1.96 s hold (%) | ", end="")
    print("±std (%) | 68 % interval (%) | 95 % interval (%) | rank correlation |")
    print("|---" * 11 + "|")
    for system in INPUTS if only is None else [only]:
        folder = out / system
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "test.extxyz").exists():
            for name, frames in zip(("train", "calibrate", "test"), DATA_OF[system](data), strict=True):
                ase.io.write(folder / f"{name}.extxyz", frames)
        files = [trained(system, folder, seed, steps) for seed in range(1, members + 1)]
        print("\n".join(rows(system, folder, files)), flush=True)


if __name__ == "__main__":
    typer.run(main)
