"""How long DeePMD-kit takes for a step of its water training on this machine: the budget of water.yaml.

    python benchmarks/accuracy/deepmd_steps.py --dp PATH/TO/dp --data FOLDER [--steps 100]

`dp` is the command of an environment that holds deepmd-kit[torch]==3.2.0; FOLDER holds water_dpkit_data_0.extxyz and so
on. Its network and settings are those of DeePMD-kit's water example (embedding 25-50-100, axis 16, one-sided types,
fitting 240-240-240, cutoff 6.0 / 0.5, float64, batch 1). Prints the seconds a step and the rate of a matrix product.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from ase.io import read

MATRIX = 2048


def write_system(source: Path, folder: Path) -> None:
    """An extxyz file of one composition -> DeePMD-kit's npy folder."""
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


def seconds_of(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def matrix_rate(dtype: type) -> float:
    """GFLOP/s of a matrix product, median of five."""
    a = np.random.default_rng(0).normal(size=(MATRIX, MATRIX)).astype(dtype)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / float(np.median(times[1:])) * 1e-9


def main(
    dp: Annotated[Path, typer.Option(help="The command dp of DeePMD-kit.")],
    data: Annotated[Path, typer.Option(help="Folder of water_dpkit_data_*.extxyz.")],
    steps: Annotated[int, typer.Option(help="Steps to time.")] = 100,
) -> None:
    """Time `steps` training steps as the difference of a long and a short run, which leaves the start-up out."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(3):
            write_system(data / f"water_dpkit_data_{number}.extxyz", folder / f"data_{number}")
        systems = [f"data_{number}" for number in range(3)]
        short, long = 20, 20 + steps
        for count in (short, long):
            (folder / f"{count}.json").write_text(json.dumps(settings(systems, count)))
        times = {
            n: seconds_of([str(dp), "--pt", "train", f"{n}.json", "--skip-neighbor-stat"], folder)
            for n in (short, long)
        }
    typer.echo(f"DeePMD-kit: {(times[long] - times[short]) / steps:.3f} s a step (long run {times[long]:.1f} s)")
    typer.echo(f"matrix product: float64 {matrix_rate(np.float64):.0f}, float32 {matrix_rate(np.float32):.0f} GFLOP/s")


if __name__ == "__main__":
    typer.run(main)
