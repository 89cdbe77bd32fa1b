"""Do calibrated intervals hold? Committees and last layers for water, ethanol and silicon, on frames held out.

    python benchmarks/calibration/run.py --data DIR --out DIR [--only water] [--members 4] [--steps 1500]

The data of each system are in three parts (DATA_OF): the members are trained on the first with the settings of
benchmarks/accuracy/ (few steps, other seeds). The uncertainty is calibrated on the second and coverage is counted on
the third, and then the other way round, so that nothing was fitted to any frame that is counted. Water's parts are
trajectories of their own, silicon's two are the first and second half in time of each trajectory's frames. Beside the
committee stands the last layer of its first member alone. Trained members stay in --out, and so do the counts
(coverage.json). Prints a table and draws coverage.png beside this file; results.md holds them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import ase.io
import numpy as np
import typer
from ase import Atoms
from scipy.stats import spearmanr

from dp_sim.config.training_input import parse_config, read_config
from dp_sim.datasets.frames import Frame
from dp_sim.datasets.reading import read_frames
from dp_sim.model.model_file import load_model, save_model
from dp_sim.recipes.models.calibration.held_out import HeldOut, evaluated
from dp_sim.recipes.models.calibration.last_layer import fitted_last_layer, with_uncertainties
from dp_sim.recipes.results.figures import COLOURS, new_panels
from dp_sim.training.data import read_datasets
from dp_sim.training.loop import fit
from dp_sim.training.trainer import Trainer
from dp_sim.uncertainty.calibration import SCALES
from dp_sim.uncertainty.points import Points
from dp_sim.uncertainty.scale import LEVELS, fitted_scale

ACCURACY = Path(__file__).parents[1] / "accuracy"
#: What intervals are to hold.
WANTED = {"68": (0.60, 0.76), "95": (0.92, 0.98)}
INPUTS = {"water": "water.yaml", "ethanol": "ethanol.yaml", "silicon": "si.yaml"}
Parts = tuple[list[Atoms], list[Atoms], list[Atoms]]


def of_trajectories(data: Path) -> Parts:
    """Water: data_0 to train, data_2 and data_1 held out."""
    zero, two, one = (ase.io.read(data / f"water_dpkit_data_{number}.extxyz", ":") for number in (0, 2, 1))
    return zero, two, one


def at_random(data: Path) -> Parts:
    """Ethanol: 1000 of the frames of one long trajectory, drawn by those who made the set and in no order."""
    frames = ase.io.read(data / "rmd17_ethanol_train.extxyz", ":")
    order = np.random.default_rng(17).permutation(len(frames))
    train, one, two = ([frames[number] for number in sorted(part)] for part in np.split(order, [250, 600]))
    return train, one, two


def of_stretches(data: Path) -> Parts:
    """Silicon: 100 frames at random to train; of each trajectory's others the first half, and the second, held out.

    Frames of one trajectory are 4000 steps apart. Strained crystals and surfaces are taken like trajectories.
    """
    frames = ase.io.read(data / "mlearn_Si_train.extxyz", ":")
    train = set(np.random.default_rng(17).permutation(len(frames))[:100].tolist())
    parts: Parts = ([frames[number] for number in sorted(train)], [], [])
    trajectories: dict[str, list[Atoms]] = {}
    for number, atoms in enumerate(frames):
        if number not in train:
            words = atoms.info.get("description", "")
            name = words.split(" of ", 2)[2] if " simulation " in words else atoms.info["group"]
            trajectories.setdefault(name, []).append(atoms)
    for held_out in trajectories.values():
        half = len(held_out) // 2
        parts[1].extend(held_out[:half])
        parts[2].extend(held_out[half:])
    return parts


DATA_OF = {"water": of_trajectories, "ethanol": at_random, "silicon": of_stretches}
#: Frames of each part that the last layer is measured on, at most: its forces take a backward pass for every feature.
LAST_LAYER_FRAMES = {"water": 24, "ethanol": 150, "silicon": 100}


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


def halves(folder: Path, most: int | None = None) -> list[list[Frame]]:
    """Read the two parts that are held out, or as many frames of each, evenly spaced."""
    parts = [read_frames(folder / f"{name}.extxyz") for name in ("calibrate", "test")]
    return [thinned(part, most) for part in parts]


def thinned(frames: list[Frame], most: int | None) -> list[Frame]:
    """Take no more than so many frames, evenly spaced."""
    return frames if most is None else frames[:: -(-len(frames) // most)]


def of_committee(folder: Path, files: list[Path]) -> tuple[HeldOut, int]:
    """Evaluate both parts with the raw spread of the members."""
    model, parts = load_model(files), halves(folder)
    frames = [frame for part in parts for frame in part]
    return evaluated(model.evaluate_each(frames), frames, _halves_of(parts), _nothing), len(files)


def of_last_layer(folder: Path, file: Path, most: int) -> tuple[HeldOut, None]:
    """Evaluate both parts with the raw uncertainty of the last layer of one model."""
    model, parts = load_model(file), halves(folder, most)
    frames = [frame for part in parts for frame in part]
    last_layer = fitted_last_layer(model, thinned(read_frames(folder / "train.extxyz"), most), _nothing)
    return evaluated(with_uncertainties(model, last_layer, frames), frames, _halves_of(parts), _nothing), None


def _halves_of(parts: list[list[Frame]]) -> np.ndarray:
    return np.repeat([0, 1], [len(part) for part in parts])


def _nothing(count: int) -> None:
    """Show no progress."""


def counted(points: Points, members: int | None) -> dict[str, Any]:
    """Count what intervals hold of each half, with the scale of the other."""
    inside = {level: np.zeros(len(points.error), dtype=bool) for level in LEVELS}
    told = np.zeros(len(points.error))
    for half in (0, 1):
        here = points.block == half
        scale = fitted_scale(points.chosen(~here), members)
        told[here] = scale.factor * points.spread[here]
        for level in LEVELS:
            inside[level][here] = points.error[here] <= (scale.interval(level) or np.inf) * told[here]
    frames = [np.flatnonzero(points.frame == one) for one in np.unique(points.frame)]
    ranks = spearmanr(points.spread, points.error).statistic
    return {
        "frames": len(frames),
        "points": len(points.error),
        "rmse": float(np.sqrt(np.mean(points.error**2) / points.components)),
        "raw": [float(np.mean(points.error <= width * points.spread)) for width in (1.0, 1.96)],
        "factor": fitted_scale(points, members).factor,
        "standard": float(np.mean(points.error <= told)),
        "held": {str(level): float(np.mean(inside[level])) for level in LEVELS},
        # of the mean over frames, which are taken to be independent of each other
        "error": {
            str(level): float(np.std([inside[level][one].mean() for one in frames], ddof=1) / np.sqrt(len(frames)))
            for level in LEVELS
        },
        "rank": float(ranks),
    }


def row(system: str, by: str, kind: str, found: dict[str, Any]) -> str:
    """Write a line of the table, in percent."""
    held = [f"{100 * found['held'][level]:.1f} ± {100 * found['error'][level]:.1f}" for level in ("68", "95")]
    met = all(low <= found["held"][level] <= high for level, (low, high) in WANTED.items())
    raw = ", ".join(f"{100 * one:.0f}" for one in found["raw"])
    numbers = [f"{1e3 * found['rmse']:.3g}", f"{found['factor']:.2f}", raw, *held, f"{found['rank']:.2f}"]
    return f"| {system} | {by} | {kind} | {found['points']} | {' | '.join(numbers)} | {'yes' if met else 'no'} |"


def draw(found: dict[str, dict[str, dict[str, Any]]], file: Path) -> None:
    """Draw what intervals hold against what they are to hold."""
    figure, panels = new_panels([("interval (%)", "held (%)")] * len(found))
    for axes, (system, ways) in zip(panels, found.items(), strict=True):
        axes.plot([45, 100], [45, 100], color="gray", linewidth=0.8, zorder=0)
        for level, (low, high) in WANTED.items():
            axes.plot([int(level)] * 2, [100 * low, 100 * high], color="gray", linewidth=7, alpha=0.25, zorder=0)
        for marker, (by, kinds) in zip("os", ways.items(), strict=False):
            for shift, (colour, (kind, one)) in enumerate(zip(COLOURS, kinds.items(), strict=False)):
                levels = np.array([int(level) for level in one["held"]])
                held, error = (100 * np.array(list(one[name].values())) for name in ("held", "error"))
                axes.errorbar(
                    levels + 0.5 * (shift - 1), held, yerr=error, fmt=marker, ms=4, lw=0.8, color=colour,
                    fillstyle="full" if marker == "o" else "none", label=f"{kind}, {by}",
                )  # fmt: skip
        axes.set_title(system, fontsize=10)
    panels[0].legend(fontsize=6)
    figure.savefig(file)


def main(
    data: Annotated[Path, typer.Option(help="Folder with the files of benchmarks/accuracy/README.md.")],
    out: Annotated[Path, typer.Option(help="Folder for the members.")],
    only: Annotated[str | None, typer.Option(help="One system.")] = None,
    members: Annotated[int, typer.Option(help="Members of each committee.")] = 4,
    steps: Annotated[int, typer.Option(help="Steps of each training.")] = 1500,
) -> None:
    """Train what is missing, count, and print the table."""
    for system in INPUTS if only is None else [only]:
        folder = out / system
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "test.extxyz").exists():
            for name, frames in zip(("train", "calibrate", "test"), DATA_OF[system](data), strict=True):
                ase.io.write(folder / f"{name}.extxyz", frames)
        files = [trained(system, folder, seed, steps) for seed in range(1, members + 1)]
        if not (folder / "coverage.json").exists():
            ways = {
                f"{members} members": of_committee(folder, files),
                "last layer": of_last_layer(folder, files[0], LAST_LAYER_FRAMES[system]),
            }
            counts = {
                by: {kind: counted(getattr(held_out, kind), number) for kind in SCALES}
                for by, (held_out, number) in ways.items()
            }
            (folder / "coverage.json").write_text(json.dumps(counts, indent=1) + "\n")
    found = {
        system: json.loads(file.read_text()) for system in INPUTS if (file := out / system / "coverage.json").exists()
    }
    print("| system | uncertainty | of | points | RMSE | std / raw | raw ±1, ±1.96 s hold (%) | ", end="")
    print("68 % interval (%) | 95 % interval (%) | rank correlation | met |")
    print("|---" * 11 + "|")
    for system, ways in found.items():
        for by, kinds in ways.items():
            for kind, one in kinds.items():
                print(row(system, by, kind, one))
    draw(found, Path(__file__).parent / "coverage.png")


if __name__ == "__main__":
    typer.run(main)
