"""Evaluations that optimisers take on rattled crystals, with exact energies and with rounded ones.

OMP_NUM_THREADS=1 python benchmarks/relaxation/optimizers.py
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT

from dp_sim.recipes import optimize


class Counted(EMT):
    """Counts evaluations; with `digits` energies are rounded, as single precision or a loose SCF round them."""

    def __init__(self, digits: int | None) -> None:
        super().__init__()
        self.evaluations, self.digits = 0, digits

    def calculate(self, *arguments: object, **keywords: object) -> None:
        """Evaluate."""
        self.evaluations += 1
        super().calculate(*arguments, **keywords)
        if self.digits is not None:
            for name in ("energy", "free_energy"):
                self.results[name] = float(np.round(self.results[name], self.digits))


def starts() -> Iterator[tuple[str, Atoms, bool]]:
    """Name each start, and say whether its cell relaxes."""
    for name, atoms, stretch in (
        ("crystal of 108 atoms", bulk("Cu", cubic=True) * (3, 3, 3), 1.0),
        ("the same with its cell", bulk("Cu", cubic=True) * (3, 3, 3), 1.03),
        ("rod of 192 atoms", bulk("Cu", cubic=True) * (2, 2, 12), 1.0),
        ("crystal of 500 atoms", bulk("Cu", cubic=True) * (5, 5, 5), 1.0),
        ("slab of 64 atoms", fcc111("Cu", (4, 4, 4), vacuum=8), 1.0),
    ):
        atoms.set_cell(atoms.cell * stretch, scale_atoms=True)
        atoms.rattle(0.1, seed=1)
        yield name, atoms, stretch != 1


def main() -> None:
    """Print a line for each start and optimiser."""
    for digits in (None, 3):
        print("exact energies" if digits is None else f"energies to {digits} decimals")
        for name, atoms, cell in starts():
            counts = []
            for optimizer in ("lbfgs", "precon-lbfgs"):
                calculator = Counted(digits)
                result = optimize(atoms, calculator, optimizer=optimizer, cell=cell, progress=False)
                counts.append(f"{optimizer} {calculator.evaluations:3d} evaluations, {result.ended_by}")
            print(f"  {name:24} {'; '.join(counts)}")


if __name__ == "__main__":
    main()
