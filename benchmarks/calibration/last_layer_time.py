"""Processor time of evaluations with the uncertainty of a single model's energy, and without, in turn.

    OMP_NUM_THREADS=1 python benchmarks/calibration/last_layer_time.py

Energy, forces and virial of the models that ship with dp-sim; medians of 101. The matrix of the regression is one of
random numbers: its values do not matter to the time.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import ase.io
import numpy as np

from dp_sim import load_model
from dp_sim.uncertainty.last_layer import LastLayer

SYSTEMS = Path(__file__).parents[2] / "example_systems"


def main() -> None:
    """Time both systems."""
    for name in ("ethanol", "water"):
        model, atoms = load_model(SYSTEMS / name / f"{name}.pt"), ase.io.read(SYSTEMS / name / f"{name}.extxyz")
        features = len(model.features.theta)
        last_layer = LastLayer(np.random.default_rng(0).normal(size=(features, features)))
        seconds: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(101):
            for known, times in seconds.items():
                model.last_layer = last_layer if known else None
                start = time.process_time()
                model.evaluate(atoms, forces=True, virial=bool(atoms.pbc.all()))
                times.append(time.process_time() - start)
        without, with_it = (1000 * statistics.median(seconds[known]) for known in (False, True))
        print(f"{name}, {len(atoms)} atoms, {features} features: {without:.3f} and {with_it:.3f} ms", end="")
        print(f", ratio {with_it / without:.3f}")


if __name__ == "__main__":
    main()
