"""Microseconds per atom and step of the standard water model through DPCalculator, beside the matrix-product rate.

    OMP_NUM_THREADS=1 python benchmarks/speed/step_time.py --atoms 192 1536 --dtype float64 float32

With one thread, times are processor time, which other work on the machine disturbs little; with more they are wall time
(threads that wait use the processor too), and need a quiet machine. The matrix product is timed between the steps
likewise.
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
from standard_water import MFLOP_PER_ATOM, standard_models, water_box

from dp_sim.plugins.ase_calculator import DPCalculator


def seconds_of(work: Callable[[], Any]) -> float:
    """Time a call: processor seconds on one thread, else wall seconds."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    work()
    return clock() - start


def matrix_product_rate(dtype: str, edge: int = 1024) -> float:
    """Measure GFLOP/s of one product."""
    a = torch.randn(edge, edge, dtype=getattr(torch, dtype))
    return 2e-9 * edge**3 / seconds_of(lambda: a @ a)


def measure(paths: dict[str, Path], dtype: str, n_atoms: int, rounds: int) -> None:
    """Time a step with each model, and print it beside what the arithmetic alone would take."""
    structure = water_box(n_atoms)
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
    """Measure networks and compressed models at each precision and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, nargs="+", default=[192])
    parser.add_argument("--dtype", nargs="+", choices=["float64", "float32"], default=["float64", "float32"])
    parser.add_argument("--rounds", type=int, default=9)
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for dtype in settings.dtype:
            paths = standard_models(Path(folder), dtype)
            for n_atoms in settings.atoms:
                measure(paths, dtype, n_atoms, settings.rounds)


if __name__ == "__main__":
    main()
