"""Models of DeePMD-kit and its numbers for them (tests/deepmd_references/make_references.py makes both)."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from ase import Atoms

FOLDER = Path(__file__).parents[1] / "deepmd_references"
NUMBERS = np.load(FOLDER / "references.npz")
MODELS = sorted({name.partition("/")[0] for name in NUMBERS if name.endswith("/bulk/energy")})
STRUCTURES = ("molecule", "bulk", "triclinic")
FIELDS = ("energy", "atomic_energies", "forces", "virial")


def model_file(name: str, folder: Path) -> Path:
    """The model of that name, unpacked in `folder`."""
    path = folder / name
    path.write_bytes(gzip.decompress((FOLDER / f"{name}.gz").read_bytes()))
    return path


def structure(name: str) -> Atoms:
    return Atoms(**{field: NUMBERS[f"{name}/{field}"] for field in ("numbers", "positions", "cell", "pbc")})


def expected(model: str, name: str) -> dict[str, np.ndarray]:
    """DeePMD-kit's numbers: energy (1,), atomic energies (N, 1), forces (N, 3), virial (9,); eV and Angstrom."""
    return {field: NUMBERS[f"{model}/{name}/{field}"] for field in FIELDS}
