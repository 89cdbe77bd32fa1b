"""Small models with random weights, and the structures that the plugin tests evaluate them on."""

from pathlib import Path

import pytest
from ase import Atoms
from ase.build import molecule
from random_model import write_random_model

from dp_sim.model.compression import compress_file


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("models") / "random.pt")


@pytest.fixture(scope="session")
def compressed_file(model_file: Path) -> Path:
    target = model_file.with_name("compressed.pt")
    compress_file(model_file, target, spacing=0.02)
    return target


@pytest.fixture(params=["trained", "compressed"])
def either_file(request: pytest.FixtureRequest, model_file: Path, compressed_file: Path) -> Path:
    """What takes the compiled path, and what does not."""
    return model_file if request.param == "trained" else compressed_file


@pytest.fixture(scope="session")
def committee_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("committee")
    return [write_random_model(folder / f"m{seed}.pt", seed=seed) for seed in (1, 2, 3)]


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
