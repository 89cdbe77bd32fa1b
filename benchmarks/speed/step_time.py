"""Microseconds per atom and step of the standard water model through DPCalculator, beside the matrix-product rate.

    OMP_NUM_THREADS=1 python benchmarks/speed/step_time.py --repeat 1 2 --dtype float64 float32

Random weights: what a step costs does not depend on them. With one thread, times are processor time, which other work
on the machine disturbs little; with more they are wall time (threads that wait use the processor too), and need a quiet
machine. The matrix product is timed between the steps likewise.
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

from dp_sim.compress import compress_file
from dp_sim.config import ModelConfig
from dp_sim.export import save_model
from dp_sim.model import DeepPotential
from dp_sim.plugins.ase_calculator import DPCalculator

WATER = Path(__file__).resolve().parents[2] / "example_systems" / "water" / "water.extxyz"
#: Multiplications and additions per atom that no arrangement avoids: fitting net and contraction, there and back.
MFLOP_PER_ATOM = 2.7


def seconds_of(work: Callable[[], Any]) -> float:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    work()
    return clock() - start


def standard_models(folder: Path, dtype: str) -> dict[str, Path]:
    """Embedding 25-50-100, axis 16, fitting 240-240-240, cutoff 6/0.5 Angstrom, one-sided: as it is, and compressed."""
    torch.manual_seed(0)
    config = ModelConfig(species=("H", "O"), precision=dtype)  # type: ignore[arg-type]
    model = DeepPotential(config)
    environment = model.descriptor.environment
    environment.scale.copy_(torch.tensor([10.0, 3.0, 3.0, 3.0]).expand(2, 4))
    environment.mean.fill_(0.15)
    environment.deviation.fill_(0.12)
    paths = {"networks": folder / f"{dtype}.pt", "compressed": folder / f"{dtype}-compressed.pt"}
    save_model(paths["networks"], model, config)
    compress_file(paths["networks"], paths["compressed"])
    return paths


def matrix_product_rate(dtype: str, edge: int = 1024) -> float:
    """GFLOP/s of one product."""
    a = torch.randn(edge, edge, dtype=getattr(torch, dtype))
    return 2e-9 * edge**3 / seconds_of(lambda: a @ a)


def measure(paths: dict[str, Path], dtype: str, repeat: int, rounds: int) -> None:
    structure = read(WATER).repeat(repeat)
    rng = np.random.default_rng(0)
    calculators = {name: DPCalculator(path) for name, path in paths.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calculators}
    rates = []
    for _ in range(rounds + 3):  # TorchScript compiles during the first three
        atoms = structure.copy()
        atoms.positions += rng.normal(scale=0.01, size=atoms.positions.shape)
        for name, calculator in calculators.items():
            atoms.calc = calculator
            seconds[name].append(seconds_of(atoms.get_forces))
        rates.append(matrix_product_rate(dtype))
    rate = float(np.median(rates[3:]))
    limit = 1e3 * MFLOP_PER_ATOM / rate
    for name, values in seconds.items():
        each = 1e6 * float(np.median(values[3:])) / len(structure)
        print(
            f"{dtype}  {len(structure):6d} atoms  {name:10s}  {each:7.1f} us per atom and step, {each / limit:4.1f} "
            f"times the limit of {limit:.1f} us ({rate:.0f} GFLOP/s, {torch.get_num_threads()} threads)",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, nargs="+", default=[1])
    parser.add_argument("--dtype", nargs="+", choices=["float64", "float32"], default=["float64", "float32"])
    parser.add_argument("--rounds", type=int, default=9)
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for dtype in settings.dtype:
            paths = standard_models(Path(folder), dtype)
            for repeat in settings.repeat:
                measure(paths, dtype, repeat, settings.rounds)


if __name__ == "__main__":
    main()
