"""Cost and memory of dp-sim from about 100 to 100 000 atoms: both should be proportional to the number of atoms.

    OMP_NUM_THREADS=1 python benchmarks/speed/linear.py

The compressed standard model through DPCalculator; every size in a process of its own (step_worker.py). Processor
time, all threads together. Leaves a JSON file and a plot.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import speed_report
import typer
from against_deepmd import Worker
from ase.io import write
from standard_water import standard_models, water_box

HERE = Path(__file__).resolve().parent
SIZES = [96, 192, 384, 768, 1536, 3072, 6144, 12288, 24576, 49152, 98304]


def measure(atoms: list[int], dtype: str, rounds: int) -> list[dict[str, float]]:
    """Time the compressed model at each size; give time per atom and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        model = standard_models(Path(folder), dtype)["compressed"]
        points = []
        for n_atoms in atoms:
            structure = Path(folder) / "water.extxyz"
            write(structure, water_box(n_atoms))
            worker = Worker(Path(sys.executable), "dp-sim", model, structure, dict(os.environ))
            answers = [worker.step() for _ in range(rounds)]
            worker.close()
            seconds = float(np.median([answer["processor_seconds"] for answer in answers]))
            point = {"atoms": n_atoms, "us_per_atom": 1e6 * seconds / n_atoms, "peak_MB": answers[-1]["peak_MB"]}
            print(dtype, point, flush=True)
            points.append(point)
    return points


def plot(curves: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Draw time per atom and memory against the number of atoms."""
    figure, (time, memory) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for dtype, points in curves.items():
        atoms = [point["atoms"] for point in points]
        time.semilogx(atoms, [point["us_per_atom"] for point in points], "o-", label=dtype)
        memory.loglog(atoms, [point["peak_MB"] for point in points], "o-", label=dtype)
    time.set(xlabel="atoms", ylabel="processor time, µs per atom and step")
    time.set_ylim(bottom=0)
    time.legend()
    memory.set(xlabel="atoms", ylabel="peak memory above the imports, MB")
    figure.savefig(path, dpi=120)


def main(
    atoms: Annotated[list[int], typer.Option(help="Repeatable: 96, or a multiple of 192.")] = SIZES,
    dtype: Annotated[list[str], typer.Option(help="Repeatable.")] = ["float64", "float32"],  # noqa: B006
    rounds: int = 5,
    out: Annotated[Path, typer.Option(help="Name of the results without suffix.")] = HERE / "results/linear",
) -> None:
    """Microseconds per atom and step, and peak memory, of dp-sim by the number of atoms."""
    curves: dict[str, list[dict[str, float]]] = {}
    report = speed_report.circumstances({})
    report |= {"threads": os.environ.get("OMP_NUM_THREADS", "all"), "rounds": rounds, "curves": curves}
    out.parent.mkdir(parents=True, exist_ok=True)
    for precision in dtype:
        curves[precision] = measure(atoms, precision, rounds)
        report["load"].append(os.getloadavg()[0])
        out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
        plot(curves, out.with_suffix(".png"))


if __name__ == "__main__":
    typer.run(main)
