"""Time of the exact Hessian against the number of atoms: compiled, by 6N evaluations of the forces, by autodiff.

OMP_NUM_THREADS=1 python benchmarks/hessian/hessian_time.py

Processor time, so that other work on the machine counts little; the ways take turns, medians are printed. Water at
1 g/cm3 of the standard sizes (benchmarks/speed/standard_water.py), with networks and compressed; ethanol with the model
that ships. Differences and autodiff of large systems are left out above `--most` atoms: they take minutes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import read

from dp_sim import load_model
from dp_sim.model.evaluator import Model
from dp_sim.model.second_derivatives import Differentiated

sys.path.insert(0, str(Path(__file__).parents[1] / "speed"))
from standard_water import standard_models, water_box

SYSTEMS = Path(__file__).parents[2] / "example_systems"


def cpu_seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def of_forces(model: Model, atoms: Atoms) -> Callable[[], object]:
    """Central differences as a recipe makes them: the six displacements of an atom in a batch."""

    def work() -> None:
        for atom in range(len(atoms)):
            displaced = [atoms.copy() for _ in range(6)]
            for k, moved in enumerate(displaced):
                moved.positions[atom, k // 2] += 0.005 if k % 2 else -0.005
            model.evaluate(displaced)

    return work


def of_autodiff(model: Model, atoms: Atoms) -> Callable[[], object]:
    """Backward passes, one a row."""
    differentiated = Differentiated(lambda batch, pairs: model.module(*batch, *pairs))
    batch, pairs = model.prepare(atoms)
    return lambda: differentiated.rows(batch, pairs, np.arange(len(atoms)))


def measure(name: str, model: Model, atoms: Atoms, rounds: int, most: int) -> None:
    """Print a row of the table."""
    ways: dict[str, Callable[[], object]] = {
        "compiled": lambda: model.sparse_hessian(atoms),
        "product": lambda: model.hessian_product(atoms, np.ones((len(atoms), 3))),
        "forces": lambda: model.evaluate(atoms),
    }
    if len(atoms) <= most:
        ways |= {"6N forces": of_forces(model, atoms), "autodiff": of_autodiff(model, atoms)}
    for work in ways.values():
        work()  # TorchScript compiles in its first calls
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, work in ways.items():
            times[way].append(cpu_seconds(work))
    median = {way: statistics.median(found) for way, found in times.items()}
    wanted = ("compiled", "6N forces", "autodiff", "product", "forces")
    columns = " | ".join(f"{median[way]:.3g}" if way in median else "" for way in wanted)
    print(f"| {name} | {len(atoms)} | {columns} |", flush=True)


def main() -> None:
    """Measure all systems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most", type=int, default=100, help="atoms up to which the slow ways are measured")
    parser.add_argument("--atoms", type=int, nargs="*", default=[12, 48, 96, 192, 768, 1536])
    arguments = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, CPU seconds, medians of {arguments.rounds}")
    print("| | atoms | compiled | 6N forces | autodiff | one product | forces |\n|---|---|---|---|---|---|---|")
    ethanol = load_model(SYSTEMS / "ethanol" / "ethanol.pt", dtype="float64")
    measure("ethanol", ethanol, read(SYSTEMS / "ethanol" / "ethanol.extxyz"), arguments.rounds, arguments.most)
    with tempfile.TemporaryDirectory() as folder:
        models = {kind: load_model(path) for kind, path in standard_models(Path(folder), "float64").items()}
        for count in arguments.atoms:
            for kind, model in models.items():
                measure(f"water, {kind}", model, water_box(count), arguments.rounds, arguments.most)


if __name__ == "__main__":
    main()
