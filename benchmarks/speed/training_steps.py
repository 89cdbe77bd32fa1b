"""Seconds of a training step, DeePMD-kit's and ours, in turns: same network, same data, one frame a step.

    python benchmarks/speed/training_steps.py --dp PATH/TO/dp --data FOLDER [--steps 60] [--rounds 3]

`dp` is the command of an environment that holds deepmd-kit[torch]==3.2.0; FOLDER holds water_dpkit_data_0.extxyz and so
on. Network and settings are those of DeePMD-kit's water example (embedding 25-50-100, axis 16, one-sided types,
fitting 240-240-240 with residual steps, cutoff 6.0 / 0.5, batch 1, Adam); DeePMD-kit trains in float64, dp-sim in both
precisions. A time is the difference of a long and a short run, which leaves the start-up out; medians of the rounds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from ase.io import read

MATRIX = 2048


def write_system(source: Path, folder: Path) -> None:
    """Convert an extxyz file of one composition to DeePMD-kit's npy folder."""
    frames = read(source, index=":")
    part = folder / "set.000"
    part.mkdir(parents=True)
    symbols = ["O", "H"]
    (folder / "type_map.raw").write_text("\n".join(symbols) + "\n")
    types = [symbols.index(symbol) for symbol in frames[0].get_chemical_symbols()]
    (folder / "type.raw").write_text("\n".join(map(str, types)) + "\n")
    np.save(part / "coord.npy", np.array([frame.positions.ravel() for frame in frames]))
    np.save(part / "box.npy", np.array([np.asarray(frame.cell).ravel() for frame in frames]))
    np.save(part / "energy.npy", np.array([frame.get_potential_energy() for frame in frames]))
    np.save(part / "force.npy", np.array([frame.get_forces().ravel() for frame in frames]))


def settings(systems: list[str], steps: int) -> dict[str, object]:
    """Give DeePMD-kit's training input."""
    return {
        "model": {
            "type_map": ["O", "H"],
            "descriptor": {
                "type": "se_e2_a", "sel": [46, 92], "rcut_smth": 0.5, "rcut": 6.0, "neuron": [25, 50, 100],
                "axis_neuron": 16, "type_one_side": True, "precision": "float64", "seed": 1,
            },
            "fitting_net": {"neuron": [240, 240, 240], "resnet_dt": True, "precision": "float64", "seed": 1},
        },
        "learning_rate": {"type": "exp", "decay_steps": 5000, "start_lr": 0.001, "stop_lr": 3.51e-8},
        "loss": {
            "type": "ener", "start_pref_e": 0.02, "limit_pref_e": 1, "start_pref_f": 1000, "limit_pref_f": 1,
            "start_pref_v": 0, "limit_pref_v": 0,
        },
        "training": {
            "training_data": {"systems": systems, "batch_size": 1}, "numb_steps": steps, "seed": 10,
            "disp_file": "lcurve.out", "disp_freq": steps, "save_freq": 10 * steps,
        },
    }  # fmt: skip


def seconds_of(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Time a program, wall seconds."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def matrix_rate(dtype: type) -> float:
    """Measure GFLOP/s of a matrix product, median of five."""
    a = np.random.default_rng(0).normal(size=(MATRIX, MATRIX)).astype(dtype)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / float(np.median(times[1:])) * 1e-9


def our_settings(files: list[Path], precision: str, steps: int) -> dict[str, object]:
    """Give our training input with the same networks."""
    return {
        "model": {
            "species": ["O", "H"], "cutoff": 6.0, "switch_start": 0.5, "embedding": [25, 50, 100], "axis_width": 16,
            "fitting": [240, 240, 240], "residual_timestep": True, "precision": precision,
        },
        "data": {"train": [str(file) for file in files]},
        "loss": {"energy": [0.02, 1], "forces": [1000, 1]},
        "training": {
            "optimizer": "adam", "steps": steps, "batch_size": 1, "learning_rate": 1e-3, "learning_rate_end": 3.51e-8,
            "report_every": steps, "save_every": steps,
        },
    }  # fmt: skip


def main(
    dp: Annotated[Path, typer.Option(help="The command dp of DeePMD-kit.")],
    data: Annotated[Path, typer.Option(help="Folder of water_dpkit_data_*.extxyz.")],
    steps: Annotated[int, typer.Option(help="Steps to time; ours, which are shorter, five times as many.")] = 60,
    rounds: Annotated[int, typer.Option(help="How often the two take turns.")] = 3,
    threads: Annotated[int, typer.Option(help="Threads of either.")] = 2,
) -> None:
    """Time training steps of both and print seconds a step and their ratio."""
    limits = {"OMP_NUM_THREADS": str(threads), "DP_INTRA_OP_PARALLELISM_THREADS": str(threads)}
    environment = {**os.environ, **limits, "OMP_WAIT_POLICY": "PASSIVE", "DP_INTER_OP_PARALLELISM_THREADS": "1"}
    files = [(data / f"water_dpkit_data_{number}.extxyz").resolve() for number in range(3)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in files:
            write_system(file, folder / file.stem)
        programs: dict[str, tuple[int, Callable[[int], list[str]]]] = {}

        def deepmd(count: int) -> list[str]:
            (folder / "deepmd.json").write_text(json.dumps(settings([file.stem for file in files], count)))
            return [str(dp), "--pt", "train", "deepmd.json", "--skip-neighbor-stat"]

        def ours(precision: str) -> Callable[[int], list[str]]:
            def command(count: int) -> list[str]:
                (folder / "ours.yaml").write_text(json.dumps(our_settings(files, precision, count)))
                options = ["-o", "run", "--overwrite", "--quiet", "--threads", str(threads)]
                return [str(Path(sys.executable).with_name("dp-sim")), "train", "ours.yaml", *options]

            return command

        programs["DeePMD-kit, float64"] = (steps, deepmd)
        programs |= {f"dp-sim, {precision}": (5 * steps, ours(precision)) for precision in ("float64", "float32")}
        seconds: dict[str, list[float]] = {label: [] for label in programs}
        for _ in range(rounds):
            for label, (count, command) in programs.items():
                short, long = (seconds_of(command(n), folder, environment) for n in (20, 20 + count))
                seconds[label].append((long - short) / count)
    reference = float(np.median(seconds["DeePMD-kit, float64"]))
    for label, values in seconds.items():
        median = float(np.median(values))
        typer.echo(f"{label}: {median:.4f} s a step, DeePMD-kit takes {reference / median:.1f} times as long")
    typer.echo(f"matrix product: float64 {matrix_rate(np.float64):.0f}, float32 {matrix_rate(np.float32):.0f} GFLOP/s")


if __name__ == "__main__":
    typer.run(main)
