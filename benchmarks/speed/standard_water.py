"""The standard water model of Deep Potential papers and boxes of water, for the scripts of this folder.

Random weights: what a step costs does not depend on them.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import torch
from ase import Atoms
from ase.io import read

from dp_sim.config.model import ModelConfig
from dp_sim.model.compression import compress_file
from dp_sim.model.model_file import save_model
from dp_sim.model.potential import DeepPotential

WATER = Path(__file__).resolve().parents[2] / "example_systems" / "water" / "water.extxyz"
#: Of water at 1 g/cm^3, atoms/Angstrom^3.
DENSITY = 0.100
#: Multiplications and additions per atom that no arrangement avoids: fitting net and contraction, there and back.
MFLOP_PER_ATOM = 2.7


def water_box(n_atoms: int) -> Atoms:
    """192 atoms, repeated: the nearest to a cube. 96: what lies in the lower half. Bonds are scaled with the cell."""
    atoms = read(WATER)
    edge = (len(atoms) / DENSITY) ** (1 / 3)
    atoms.set_cell([edge] * 3, scale_atoms=True)
    atoms.wrap()
    if n_atoms < len(atoms):
        lowest = atoms.positions[:, 2].argsort()[:n_atoms]
        atoms = atoms[sorted(lowest)]
        atoms.cell[2] *= n_atoms / 192
        atoms.wrap()
        return atoms
    copies, rest = divmod(n_atoms, len(atoms))
    if rest:
        raise SystemExit(f"{n_atoms} atoms: give a multiple of {len(atoms)}")
    divisors = [n for n in range(1, copies + 1) if copies % n == 0]
    shapes = [shape for shape in itertools.product(divisors, repeat=3) if shape[0] * shape[1] * shape[2] == copies]
    return atoms.repeat(min(shapes, key=lambda shape: (max(shape), shape)))


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
