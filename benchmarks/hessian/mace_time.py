"""Time of MACE's Hessian (`MACECalculator.get_hessian`, automatic differentiation) beside its forces.

OMP_NUM_THREADS=1 python benchmarks/hessian/mace_time.py     # in an environment with mace-torch, ase

A network of the size of MACE-OFF23 small (96 scalar channels, two interactions, cutoff 4.5 Angstrom), random weights.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np
import torch
from ase.io import read
from e3nn import o3
from mace import modules
from mace.calculators import MACECalculator

torch.set_default_dtype(torch.float64)
SYSTEMS = Path(__file__).parents[2] / "example_systems"


def network() -> torch.nn.Module:
    """Make the network; weights are random."""
    block = modules.interaction_classes
    return modules.ScaleShiftMACE(
        r_max=4.5,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=block["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=block["RealAgnosticInteractionBlock"],
        num_interactions=2,
        num_elements=3,
        hidden_irreps=o3.Irreps("96x0e"),
        MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.zeros((1, 3)),
        avg_num_neighbors=20.0,
        atomic_numbers=[1, 6, 8],
        correlation=3,
        gate=torch.nn.functional.silu,
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )


def main() -> None:
    """Measure ethanol and a part of a box of water."""
    calculator = MACECalculator(models=[network()], device="cpu", default_dtype="float64")
    water = read(SYSTEMS / "water" / "water.extxyz")[:24]
    for name, atoms in (("ethanol", read(SYSTEMS / "ethanol" / "ethanol.extxyz")), ("water", water)):
        times: dict[str, list[float]] = {"Hessian": [], "forces": []}
        for _ in range(4):
            for way, work in (("Hessian", calculator.get_hessian), ("forces", calculator.get_forces)):
                atoms.rattle(1e-4)
                start = time.process_time()
                work(atoms)
                times[way].append(time.process_time() - start)
        found = ", ".join(f"{way} {statistics.median(values[1:]):.3g} s" for way, values in times.items())
        print(f"{name}, {len(atoms)} atoms: {found}", flush=True)


if __name__ == "__main__":
    main()
