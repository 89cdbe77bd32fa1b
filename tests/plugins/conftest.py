"""Small models with random weights, and the structures that the plugin tests evaluate them on."""

from pathlib import Path

import pytest
import torch
from ase import Atoms
from ase.build import molecule

from dp_sim.config import ModelConfig
from dp_sim.export import save_model
from dp_sim.model import DeepPotential

SPECIES = ("H", "C", "N", "O")


def write_random_model(path: Path, seed: int, cutoff: float = 4.0) -> Path:
    """A model that was never trained: every weight is random, so every term of the energy is there."""
    config = ModelConfig(
        species=SPECIES, cutoff=cutoff, embedding=(8, 16), axis_width=4, fitting=(16, 16), precision="float64"
    )
    torch.manual_seed(seed)
    save_model(path, DeepPotential(config), config)
    return path


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("models") / "random.pt", seed=1)


@pytest.fixture(scope="session")
def committee_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("committee")
    return [write_random_model(folder / f"m{seed}.pt", seed) for seed in (1, 2, 3)]


@pytest.fixture
def ethanol() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


@pytest.fixture
def triclinic() -> Atoms:
    """Three molecules in a triclinic cell (in OpenMM's reduced form) that is hardly wider than the cutoff."""
    atoms = molecule("CH3CH2OH") + molecule("H2O") + molecule("NH3")
    atoms.positions[9:12] += [3.2, 2.0, 0.5]
    atoms.positions[12:] += [0.5, 2.5, 3.0]
    atoms.set_cell([[6.0, 0.0, 0.0], [1.5, 6.5, 0.0], [-1.2, 0.9, 6.2]])
    atoms.pbc = True
    atoms.rattle(0.05, seed=2)
    return atoms
