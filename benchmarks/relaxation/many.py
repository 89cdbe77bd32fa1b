"""Relaxation of many structures in one call against a loop, paired: both take turns on the same structures."""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from ase import Atoms
from ase.io import read
from ase.optimize import BFGS

from dp_sim import load_model
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import optimize

ETHANOL = Path(__file__).parents[2] / "example_systems" / "ethanol"


def perturbed(count: int) -> list[Atoms]:
    """Frames of ethanol at 500 K, each rattled anew where there are not enough."""
    frames = read(ETHANOL / "test.extxyz.gz", ":")
    structures = []
    for number in range(count):
        atoms = frames[number % len(frames)].copy()
        atoms.rattle(0.02, seed=number)
        structures.append(atoms)
    return structures


def loop_of_ase(structures: list[Atoms], calculator: DPCalculator) -> int:
    """Relax one after another with ASE alone; return the number of steps."""
    steps = 0
    for atoms in structures:
        moved = atoms.copy()
        moved.calc = calculator
        optimizer = BFGS(moved, logfile=None)
        optimizer.run(fmax=0.01, steps=500)
        steps += optimizer.nsteps
    return steps


def main() -> None:
    """Print the time of each round and the median of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model = load_model(ETHANOL / "ethanol.pt")
    calculator, structures = DPCalculator(model), perturbed(options.structures)
    optimize(structures[:2], model)  # warm
    ratios = []
    for _ in range(options.rounds):
        start = time.perf_counter()
        result = optimize(structures, model)
        together = time.perf_counter() - start
        start = time.perf_counter()
        steps = loop_of_ase(structures, calculator)
        loop = time.perf_counter() - start
        same = sum(one.steps for one in result.results.values())
        print(f"in batches {together:.2f} s ({same} steps), ASE's loop {loop:.2f} s ({steps} steps)")
        ratios.append(loop / together)
    print(f"{options.structures} structures: median {statistics.median(ratios):.1f} times as fast")


if __name__ == "__main__":
    main()
