"""The command line in this process, a water molecule on disk, and small models."""

from pathlib import Path
from typing import NamedTuple

import pytest
from ase.build import molecule
from small_figures import small_figures as small_figures

from dp_sim.cli.main import status


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def dp_sim(capsys, tmp_path, monkeypatch):
    """Run a command line in an empty folder: dp_sim("opt", "water.xyz", ...) -> Outcome."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Outcome:
        code = status([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def water(tmp_path) -> Path:
    molecule("H2O").write(tmp_path / "water.xyz")
    return tmp_path / "water.xyz"


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> list[Path]:
    """Two models of H and O with random weights: every term of the energy is there."""
    from random_model import write_random_model

    folder = tmp_path_factory.mktemp("models")
    return [write_random_model(folder / f"m{seed}.pt", seed=seed, species=("H", "O")) for seed in (1, 2)]
