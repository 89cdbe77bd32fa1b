"""Time a model that DeePMD-kit trained beside the standard water model of dp-sim, which has no mean, in turns.

    OMP_NUM_THREADS=1 python benchmarks/speed/trained_model.py frozen.pth

The file is imported and compressed. Its cost is comparable where it has the sizes of the standard model (embedding
25-50-100, axis 16, fitting 240-240-240, cutoff 6 Angstrom, one-sided), as DeePMD-kit's water example has. Times are
processor time on one thread of energy, forces and virial, neighbour list and checks included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from standard_water import standard_models, water_box

from dp_sim.deepmd.importing import import_model
from dp_sim.model.compression import compress_file
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import load_model


def seconds_of(model: Model, atoms: Atoms) -> float:
    """Processor time of one evaluation."""
    start = time.process_time()
    model.evaluate(atoms, virial=True)
    return time.process_time() - start


def models(file: Path, folder: Path) -> dict[str, Model]:
    """Open the own model and the imported one, each as trained and compressed, and the imported one in TorchScript."""
    import_model(file, folder / "imported.pt")
    compress_file(folder / "imported.pt", folder / "imported-compressed.pt")
    precision = load_model(folder / "imported.pt").metadata.dtype
    own = standard_models(folder, precision)
    opened = {
        "dp-sim's own": load_model(own["networks"]),
        "trained by DeePMD-kit": load_model(folder / "imported.pt"),
        "dp-sim's own, compressed": load_model(own["compressed"]),
        "trained by DeePMD-kit, compressed": load_model(folder / "imported-compressed.pt"),
        "trained by DeePMD-kit, TorchScript": load_model(folder / "imported.pt"),
    }
    opened["trained by DeePMD-kit, TorchScript"].compiled = [None]
    return opened


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--atoms", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=15)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        opened = models(settings.file, Path(folder))
    structure, rng = water_box(settings.atoms), np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in opened}
    for _ in range(settings.rounds + 3):  # TorchScript compiles during the first three
        atoms = structure.copy()
        atoms.positions += rng.normal(scale=0.01, size=atoms.positions.shape)
        for name, model in opened.items():
            seconds[name].append(seconds_of(model, atoms))
    for name, values in seconds.items():
        print(f"{name:36s} {1e6 * float(np.median(values[3:])) / len(structure):7.1f} us per atom and step")


if __name__ == "__main__":
    main()
