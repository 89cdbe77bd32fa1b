"""Our neighbour search beside vesin's, which it stands in for on processors: water, and many small molecules.

    OMP_NUM_THREADS=1 python benchmarks/speed/neighbor_search.py --rounds 15

Both find the same pairs. They take turns; medians of the rounds are printed with their ratio. vesin is called as
the TorchScript path calls it (`NeighborSearch`), structure by structure.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import read

from dp_sim.compiled.library import register_operators
from dp_sim.neighbors.compiled_search import CompiledSearch
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.batch import AtomicBatch, NeighborList

EXAMPLES = Path(__file__).resolve().parents[2] / "example_systems"
CUTOFF = 6.0
COLUMNS = "{:<28}{:>10}{:>14}{:>14}{:>8}"


def batch_of(structures: list[Atoms]) -> tuple[AtomicBatch, torch.Tensor]:
    """Structures as tensors: a batch (its species left at zero), and their periodicities (S, 3)."""
    sizes = torch.tensor([len(atoms) for atoms in structures])
    positions = torch.from_numpy(np.concatenate([atoms.positions for atoms in structures]))
    cells = torch.from_numpy(np.stack([np.array(atoms.cell) for atoms in structures]))
    system = torch.repeat_interleave(torch.arange(len(structures)), sizes)
    pbc = torch.from_numpy(np.stack([atoms.pbc for atoms in structures]))
    return AtomicBatch(positions, torch.zeros_like(system), cells, system), pbc


def searches(structures: list[Atoms]) -> dict[str, Callable[[], NeighborList]]:
    """Both searches over the same structures."""
    batch, pbc = batch_of(structures)
    vesin, own = NeighborSearch(CUTOFF), CompiledSearch(CUTOFF)

    def compiled() -> NeighborList:
        return NeighborList(*own.of_systems(batch.positions, batch.cell, pbc, batch.system)[:3])

    return {"vesin": lambda: vesin.of_systems(batch, pbc), "ours": compiled}


def measure(name: str, structures: list[Atoms], rounds: int) -> None:
    """Time both in turns, and print medians and their ratio."""
    turns = searches(structures)
    pairs = {turn: len(work().center) for turn, work in turns.items()}
    assert pairs["ours"] == pairs["vesin"], pairs
    seconds: dict[str, list[float]] = {turn: [] for turn in turns}
    for _ in range(rounds):
        for turn, work in turns.items():
            start = time.perf_counter()
            work()
            seconds[turn].append(time.perf_counter() - start)
    medians = {turn: 1e3 * float(np.median(values)) for turn, values in seconds.items()}
    ratio = float(np.median(np.array(seconds["vesin"]) / np.array(seconds["ours"])))
    print(
        COLUMNS.format(name, pairs["ours"], f"{medians['vesin']:.2f}", f"{medians['ours']:.2f}", f"{ratio:.1f}"),
        flush=True,
    )


def main() -> None:
    """Time both searches on liquid water and on many small molecules."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    if register_operators():
        raise SystemExit(f"there is no compiled search here: {register_operators()}")
    water = read(EXAMPLES / "water" / "water.extxyz")
    ethanol = read(EXAMPLES / "ethanol" / "ethanol.extxyz")
    print(COLUMNS.format("system", "pairs", "vesin (ms)", "ours (ms)", "ratio"))
    for times in (1, 2, 4):
        atoms = water.repeat(times)
        measure(f"water, {len(atoms)} atoms", [atoms], arguments.rounds)
    measure("64 ethanol molecules", [ethanol.copy() for _ in range(64)], arguments.rounds)


if __name__ == "__main__":
    main()
