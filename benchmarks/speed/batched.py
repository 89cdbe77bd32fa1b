"""Many small structures in one call of Model.evaluate against a loop over them: ethanol, energy and forces.

    OMP_NUM_THREADS=1 python benchmarks/speed/batched.py --structures 64 --rounds 15

Loop and batch take turns; the medians of the rounds are printed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.io import read

from dp_sim import load_model
from dp_sim.model.compression import compress_file

ETHANOL = Path(__file__).resolve().parents[2] / "example_systems" / "ethanol"


def seconds_of(work: Callable[[], Any]) -> float:
    """Time a call, wall seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(path: Path, name: str, structures: int, rounds: int) -> None:
    """Time a loop over structures and one batch of them, and print both."""
    model = load_model(path)
    rng = np.random.default_rng(0)
    many = [read(ETHANOL / "ethanol.extxyz") for _ in range(structures)]
    for atoms in many:
        atoms.positions += rng.normal(scale=0.02, size=atoms.positions.shape)
    turns = {"loop": lambda: [model.evaluate(atoms) for atoms in many], "batch": lambda: model.evaluate(many)}
    seconds: dict[str, list[float]] = {turn: [] for turn in turns}
    for _ in range(rounds + 2):  # TorchScript compiles during the first two
        for turn, work in turns.items():
            seconds[turn].append(seconds_of(work))
    loop, batch = (1e3 * float(np.median(seconds[turn][2:])) / structures for turn in turns)
    print(
        f"{name:10s}  {structures} x ethanol: loop {loop:.2f} ms, batch {batch:.2f} ms a structure, "
        f"{loop / batch:.1f} times the throughput ({torch.get_num_threads()} threads)"
    )


def main() -> None:
    """Measure the ethanol model as trained and compressed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compressed = Path(folder) / "compressed.pt"
        compress_file(ETHANOL / "ethanol.pt", compressed)
        measure(ETHANOL / "ethanol.pt", "as trained", settings.structures, settings.rounds)
        measure(compressed, "compressed", settings.structures, settings.rounds)


if __name__ == "__main__":
    main()
